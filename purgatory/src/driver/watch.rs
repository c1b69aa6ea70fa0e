//! What the driver hears from the storage.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time;

use crate::locked::FleetLink;
use crate::storage::{StorageError, Versioned, Watch, Watcher};

/// One connection, as its watcher tells of it. The flags publish nothing but themselves.
#[derive(Debug, Default)]
pub(super) struct Watched {
    ready: AtomicBool,
    ended: AtomicBool,
    news: Mutex<News>,
}

/// What was told since it was taken last.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Something is in the way of announcements.
    pub(super) unannounced: Option<String>,
    /// Nothing is, any more.
    pub(super) announced: bool,
}

/// How long a connection may take to begin.
const CONNECT: Duration = Duration::from_secs(5);

impl Watched {
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Ends when the connection has taken too long to begin.
    pub(super) async fn late(&self) -> StorageError {
        time::sleep(CONNECT).await;
        if self.is_ready() {
            std::future::pending::<()>().await;
        }
        StorageError::Unavailable(format!("no connection within {CONNECT:?}"))
    }

    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *self.news())
    }

    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on nothing is heard.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

struct LinkWatch {
    link: Arc<FleetLink>,
    watched: Arc<Watched>,
}

pub(super) fn watcher(link: &Arc<FleetLink>, watched: &Arc<Watched>) -> Watcher {
    Watcher::new(LinkWatch { link: Arc::clone(link), watched: Arc::clone(watched) })
}

impl Watch for LinkWatch {
    /// The first time, the connection has begun: whether changes arrive by themselves may be told before.
    fn ready(&self) {
        if self.watched.ready.swap(true, Ordering::Relaxed) {
            self.watched.news().announced = true;
        }
        self.link.wake();
    }

    /// Straight to the circuit: the driver need not be awake for it.
    fn changed(&self, circuit: &str, record: Versioned) {
        if self.watched.ended.load(Ordering::Relaxed) {
            return;
        }
        if let Some(circuit) = self.link.find(circuit) {
            circuit.pushed(record, self.link.offset());
        }
    }

    fn unannounced(&self, cause: &str) {
        let unannounced = Some(cause.to_owned());
        *self.watched.news() = News { unannounced, announced: false };
        self.link.wake();
    }
}
