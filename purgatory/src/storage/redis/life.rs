//! What a watch keeps open, for as long as nothing fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use redis::Value;
use tokio::sync::mpsc;

use super::dial::{Link, within};
use super::failure::failure;
#[cfg(feature = "redis-cluster")]
use super::nodes::Nodes;
use super::scripts::{Answer, Call};
use crate::storage::{StorageError, Watcher};
use crate::sync::lock;

/// From a handshake to the first failure.
pub(super) struct Life {
    pub(super) route: Route,
    pub(super) operation_timeout: Duration,
    pub(super) watcher: Watcher,
    /// Ends the watch.
    pub(super) end: mpsc::Sender<StorageError>,
    thread: ThreadId,
    /// Whether the watcher knows that nothing is announced.
    told: AtomicBool,
}

/// How operations get to the server.
pub(super) enum Route {
    /// All of them through the connection of the watch.
    Link(Arc<Link>),
    /// To the node that has the key.
    #[cfg(feature = "redis-cluster")]
    Nodes(Nodes),
}

impl Life {
    pub(super) fn new(
        route: Route,
        operation_timeout: Duration,
        watcher: Watcher,
        end: mpsc::Sender<StorageError>,
    ) -> Self {
        let (thread, told) = (thread::current().id(), AtomicBool::new(false));
        Self { route, operation_timeout, watcher, end, thread, told }
    }

    pub(super) async fn ask(&self, call: &Call) -> Result<Answer, StorageError> {
        Answer::of(self.run(call).await?)
    }

    pub(super) async fn run(&self, call: &Call) -> Result<Value, StorageError> {
        match &self.route {
            Route::Link(link) => {
                within(self.operation_timeout, async {
                    call.run(&mut link.handle()).await.map_err(|error| failure(&error))
                })
                .await
            }
            #[cfg(feature = "redis-cluster")]
            Route::Nodes(nodes) => nodes.run(call).await,
        }
    }

    /// Writes what shows that the server is the right one to watch.
    pub(super) async fn prove(&self, call: &Call) -> Result<Answer, StorageError> {
        match &self.route {
            Route::Link(_) => self.ask(call).await,
            #[cfg(feature = "redis-cluster")]
            Route::Nodes(nodes) => Answer::of(nodes.prove(call).await?),
        }
    }

    /// Whether the server may cease to be that one, though it goes on answering.
    pub(super) fn is_one_of_many(&self) -> bool {
        !matches!(self.route, Route::Link(_))
    }

    /// Whether it looks as if it has.
    pub(super) fn is_doubted(&self) -> bool {
        match &self.route {
            Route::Link(_) => false,
            #[cfg(feature = "redis-cluster")]
            Route::Nodes(nodes) => nodes.is_doubted(),
        }
    }

    pub(super) fn unannounced(&self, cause: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            self.watcher.unannounced(&format!("PUBLISH: {cause}"));
        }
    }

    pub(super) fn is_unannounced(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// What is announced arrives (again).
    pub(super) fn announced(&self) {
        if self.told.swap(false, Ordering::Relaxed) {
            self.watcher.ready();
        }
    }
}

/// The lives of a storage: one for every watch, of which there is one for every factory.
#[derive(Default)]
pub(super) struct Lives(Mutex<Vec<Arc<Life>>>);

impl Lives {
    /// The one that was begun on this thread, where a driver has its operations too, unless its runtime has several
    /// threads or several drivers. Any other serves as well: its failures are failures of the same server.
    pub(super) fn mine(&self) -> Option<Arc<Life>> {
        let (lives, here) = (lock(&self.0), thread::current().id());
        lives.iter().find(|life| life.thread == here).or_else(|| lives.last()).cloned()
    }

    /// From here on, operations find it.
    pub(super) fn enter(&self, life: Arc<Life>) {
        lock(&self.0).push(life);
    }

    /// From here on, no operation does.
    pub(super) fn leave(&self, life: &Arc<Life>) {
        lock(&self.0).retain(|other| !Arc::ptr_eq(other, life));
    }

    /// The first failure ends it, and with it its watch.
    pub(super) fn end(&self, life: &Arc<Life>, error: StorageError) {
        self.leave(life);
        // There is room for one: the first.
        let _ = life.end.try_send(error);
    }
}
