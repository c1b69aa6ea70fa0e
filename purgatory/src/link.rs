//! Between the circuits of a factory and its driver.

use std::collections::HashMap;
use std::fmt;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::clock::Timestamp;
use crate::name::Name;
use crate::offset::{Offset, OffsetClock};
use crate::storage::StorageOptions;
use crate::sync::{self, Mutex};

/// Between the circuits of a factory and its driver: circuits list themselves here when they have news,
/// and the driver finds them here when there is news for them.
#[derive(Debug)]
pub(crate) struct Link<C> {
    options: StorageOptions,
    lists: Mutex<Lists<C>>,
    offset: Mutex<OffsetClock>,
    /// The driver has something to do.
    news: Notify,
    closed: AtomicBool,
    seed: AtomicU64,
    /// The process that the driver lives in, and how to start another: a fork has no threads.
    process: AtomicU32,
    restart: OnceLock<Restart>,
}

pub(crate) struct Restart(pub(crate) Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restart").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Lists<C> {
    known: HashMap<Name, Weak<C>>,
    /// Held strongly, so that what a circuit counted arrives though nobody else holds it any more.
    news: Vec<Arc<C>>,
    flushes: Vec<(Duration, Flush)>,
}

/// Somebody who waits until everything has arrived. Dropped, it has not.
#[derive(Debug)]
pub(crate) struct Flush(oneshot::Sender<()>);

impl Flush {
    pub(crate) fn done(self) {
        // Who does not wait any more need not be told.
        let _ = self.0.send(());
    }
}

impl<C> Link<C> {
    pub(crate) fn new(options: StorageOptions, seed: u64) -> Self {
        Self {
            options,
            lists: Mutex::new(Lists {
                known: HashMap::new(),
                news: Vec::new(),
                flushes: Vec::new(),
            }),
            offset: Mutex::default(),
            news: Notify::new(),
            closed: AtomicBool::new(false),
            seed: AtomicU64::new(seed),
            process: AtomicU32::new(process::id()),
            restart: OnceLock::new(),
        }
    }

    pub(crate) fn options(&self) -> StorageOptions {
        self.options
    }

    /// A number that no other circuit of this process has, nor, as good as certain, of any other.
    pub(crate) fn draw(&self) -> u64 {
        // The odd constant is that of Fibonacci hashing: all 2^64 values come before one comes again.
        self.seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
    }

    /// A new circuit.
    pub(crate) fn join(&self, name: Name, circuit: &Arc<C>) {
        let mut lists = sync::lock(&self.lists);
        lists.known.insert(name, Arc::downgrade(circuit));
        lists.news.push(Arc::clone(circuit));
        drop(lists);
        self.wake();
    }

    pub(crate) fn leave(&self, name: &str) {
        sync::lock(&self.lists).known.remove(name);
    }

    /// The circuit has news, and was not on the list.
    pub(crate) fn list(&self, circuit: Arc<C>) {
        sync::lock(&self.lists).news.push(circuit);
        self.wake();
    }

    pub(crate) fn take_news(&self) -> Vec<Arc<C>> {
        std::mem::take(&mut sync::lock(&self.lists).news)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<C>> {
        sync::lock(&self.lists).known.get(name)?.upgrade()
    }

    pub(crate) fn all(&self) -> Vec<Arc<C>> {
        let mut all: Vec<(Name, Arc<C>)> = {
            let lists = sync::lock(&self.lists);
            let known = lists.known.iter();
            known.filter_map(|(name, circuit)| Some((name.clone(), circuit.upgrade()?))).collect()
        };
        // In the same order in every run.
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all.into_iter().map(|(_, circuit)| circuit).collect()
    }

    /// The receiver hears when all that was counted up to now has arrived, or that it has not in time.
    pub(crate) fn flush(&self, timeout: Duration) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        sync::lock(&self.lists).flushes.push((timeout, Flush(sender)));
        self.wake();
        receiver
    }

    pub(crate) fn take_flushes(&self) -> Vec<(Duration, Flush)> {
        std::mem::take(&mut sync::lock(&self.lists).flushes)
    }

    /// The factory is gone.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.news.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Wakes the driver, or in a forked process starts one.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
        let Some(restart) = self.restart.get() else { return };
        let here = process::id();
        if self.process.swap(here, Ordering::Relaxed) != here {
            // Nobody is to take this process's failures for its parent's.
            self.seed.fetch_xor(u64::from(here) << 32, Ordering::Relaxed);
            (restart.0)();
        }
    }

    /// How to start another driver, should this process be forked.
    pub(crate) fn restart_by(&self, restart: Restart) {
        // It is set once, before anybody else has the link.
        let _ = self.restart.set(restart);
    }

    pub(crate) fn offset(&self) -> Offset {
        sync::lock(&self.offset).offset()
    }

    pub(crate) fn observe(&self, asked: Timestamp, answered: Timestamp, there: Timestamp) {
        sync::lock(&self.offset).observe(asked, answered, there);
    }

    /// Another connection may lead to another clock.
    pub(crate) fn forget_offset(&self) {
        *sync::lock(&self.offset) = OffsetClock::default();
    }
}
