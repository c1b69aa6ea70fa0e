//! A storage that is watched, as a driver does.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::super::{RedisStorage, RedisStorageBuilder};
use crate::storage::watcher::Watch;
use crate::storage::{Storage, StorageError, Stored, Swap, Versioned, Watcher, Write};

/// What a watcher is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Ready,
    Changed(String, Versioned),
    Unannounced(String),
}

pub(super) struct Watched {
    pub(super) storage: RedisStorage,
    pub(super) told: UnboundedReceiver<Told>,
    pub(super) task: JoinHandle<StorageError>,
}

/// Far more than anything here takes on an idle machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

struct Teller(UnboundedSender<Told>);

impl Watch for Teller {
    fn ready(&self) {
        let _ = self.0.send(Told::Ready);
    }

    fn changed(&self, circuit: &str, record: Versioned) {
        let _ = self.0.send(Told::Changed(circuit.to_owned(), record));
    }

    fn unannounced(&self, cause: &str) {
        let _ = self.0.send(Told::Unannounced(cause.to_owned()));
    }
}

impl Watched {
    /// Begins to watch, which may come to nothing.
    pub(super) fn begin(storage: RedisStorage) -> Self {
        let (teller, told) = unbounded_channel();
        let watched = storage.clone();
        let watch = async move { watched.watch(Watcher::new(Teller(teller))).unwrap().await };
        Self { storage, told, task: tokio::spawn(watch) }
    }

    pub(super) async fn ready(storage: RedisStorage) -> Self {
        let mut watched = Self::begin(storage);
        let first = watched.next().await;
        if first != Some(Told::Ready) {
            panic!("told {first:?} and not that it is ready: {:?}", watched.end().await);
        }
        watched
    }

    /// Its failure, and nothing but it.
    pub(super) async fn refused(storage: RedisStorage) -> StorageError {
        let mut watched = Self::begin(storage);
        let end = watched.end().await;
        assert_eq!(watched.told.recv().await, None);
        end
    }

    /// What it is told next; none if the watch is over.
    pub(super) async fn next(&mut self) -> Option<Told> {
        timeout(PATIENCE, self.told.recv()).await.expect("a watcher is told something")
    }

    pub(super) async fn end(&mut self) -> StorageError {
        timeout(PATIENCE, &mut self.task).await.expect("the watch ends").unwrap()
    }

    pub(super) async fn load(&self, circuit: &str) -> Result<Stored, StorageError> {
        self.storage.load(circuit).await
    }

    pub(super) async fn write(&self, circuit: &str, expected: u64, record: &str) -> Swap {
        self.try_write(circuit, expected, record, false).await.unwrap()
    }

    pub(super) async fn announce(&self, circuit: &str, expected: u64, record: &str) -> Versioned {
        self.try_write(circuit, expected, record, true).await.unwrap().stored.record.unwrap()
    }

    pub(super) async fn try_write(
        &self,
        circuit: &str,
        expected: u64,
        record: &str,
        announce: bool,
    ) -> Result<Swap, StorageError> {
        let expires_in = Duration::from_secs(60);
        let bytes = record.as_bytes();
        let write = Write { circuit, expected, bytes, expires_in, announce };
        self.storage.compare_and_set(write).await
    }
}

/// Runs a test as a driver runs.
pub(super) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}

/// A storage whose limits a loaded machine keeps.
pub(super) fn patient(url: String) -> RedisStorageBuilder {
    RedisStorage::builder(url).operation_timeout(Duration::from_secs(5))
}

/// The refusal's text.
pub(super) fn refusal(error: &StorageError) -> &str {
    match error {
        StorageError::Refused(cause) => cause,
        other => panic!("{other} is no refusal"),
    }
}
