//! How a driver is started, and what if it cannot go on.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::thread;

use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time;

use super::Driver;
use crate::event::Event;
use crate::locked::{Common, FleetLink};
use crate::storage::{Storage, StorageError};

/// Runs the driver somewhere.
pub(crate) type Spawn = Box<dyn FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) + Send>;

/// Starts a driver, on a thread of its own if nothing else was asked for.
pub(crate) fn start(
    storage: Arc<dyn Storage>,
    link: Arc<FleetLink>,
    common: Arc<Common>,
    spawn: Option<Spawn>,
) {
    link.attend();
    let end = End(Arc::clone(&link));
    let driver = Box::pin(drive(storage, link, Arc::clone(&common), end));
    if let Some(spawn) = spawn {
        return spawn(driver);
    }
    let run = move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(driver);
        // Nothing of the storage's may keep the thread.
        runtime.shutdown_background();
        Ok::<(), std::io::Error>(())
    };
    let told = Arc::clone(&common);
    let run = move || run().unwrap_or_else(|error| give_up(&told, &error));
    if let Err(error) = thread::Builder::new().name("purgatory".to_owned()).spawn(run) {
        give_up(&common, &error);
    }
}

/// Starts a driver in a process that was forked from the one with the first.
pub(crate) fn restart(storage: Arc<dyn Storage>, link: Arc<FleetLink>, common: Arc<Common>) {
    link.all().iter().for_each(|circuit| circuit.forked());
    start(storage, link, common, None);
}

/// Without a driver every circuit is on its own, as without a storage.
fn give_up(common: &Common, error: &std::io::Error) {
    let cause = StorageError::Unavailable(format!("the driver cannot start: {error}"));
    common.listeners.notify(&Event::StorageDown { cause });
}

/// However a driver ends, also by not being run or with its runtime, from here on every circuit is on its own.
struct End(Arc<FleetLink>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.abandon();
        self.0.all().iter().for_each(|circuit| circuit.unanswered());
    }
}

async fn drive(storage: Arc<dyn Storage>, link: Arc<FleetLink>, common: Arc<Common>, _end: End) {
    // Dropped with this, the driver ends too.
    let mut running = JoinSet::new();
    loop {
        let driver = Driver::new(Arc::clone(&storage), Arc::clone(&link), Arc::clone(&common));
        running.spawn(driver.run());
        let Some(Err(error)) = running.join_next().await else { return };
        if !error.is_panic() {
            return;
        }
        // A fault of this crate: until the next driver, every circuit is on its own.
        let cause = StorageError::Unavailable("the driver panicked".to_owned());
        common.listeners.notify(&Event::StorageDown { cause });
        let mut again = pin!(time::sleep(link.options().max_backoff));
        loop {
            // Also who comes meanwhile.
            drop(link.take_flushes());
            link.all().iter().for_each(|circuit| circuit.unanswered());
            tokio::select! {
                () = &mut again => break,
                () = link.news() => {}
            }
        }
    }
}
