//! What the driver hears from the storage.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::locked::FleetLink;
use crate::storage::{Versioned, Watch, Watcher};

/// One connection, as its watcher tells of it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    ready: AtomicBool,
    ended: AtomicBool,
    unannounced: Mutex<Option<String>>,
}

impl Watched {
    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(super) fn take_unannounced(&self) -> Option<String> {
        self.unannounced.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// From here on nothing is heard.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
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
    fn ready(&self) {
        self.watched.ready.store(true, Ordering::Release);
        self.link.wake();
    }

    /// Straight to the circuit: the driver need not be awake for it.
    fn changed(&self, circuit: &str, record: Versioned) {
        if self.watched.ended.load(Ordering::Acquire) {
            return;
        }
        if let Some(circuit) = self.link.find(circuit) {
            circuit.pushed(record, self.link.offset());
        }
    }

    fn unannounced(&self, cause: &str) {
        let mut unannounced =
            self.watched.unannounced.lock().unwrap_or_else(PoisonError::into_inner);
        *unannounced = Some(cause.to_owned());
        drop(unannounced);
        self.link.wake();
    }
}
