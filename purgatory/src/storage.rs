//! Where the circuits of a fleet meet.
//!
//! A factory with a [storage](crate::FactoryBuilder::storage) shares its circuits with every other
//! process that uses the same one. The processes decide about their calls by themselves, from what they
//! know; a driver in the background tells the storage what happened, and hears from it what happened
//! elsewhere. See [the guide](crate::guide::sharing).
//!
//! [`MemoryStorage`] joins the factories of one process, for tests. With the feature `redis`,
//! [`RedisStorage`] joins processes. Anything else that can replace a value if it is
//! still the one that was read makes a storage of your own: implement [`Storage`], and let
//! [`contract()`] tell whether it is right.

mod contract;
mod memory;
pub(crate) mod options;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod watcher;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::contract::{Breach, Promise, contract, contract_between};
pub use self::memory::{Fault, MemoryStorage, Operation, OperationKind};
pub use self::options::{Consistency, StorageOptions};
#[cfg(feature = "redis")]
pub use self::redis::{RedisStorage, RedisStorageBuilder};
pub(crate) use self::watcher::Watch;
pub use self::watcher::Watcher;
pub use crate::bump::{Bump, Bumped};
pub use crate::error::{StorageError, Unflushed};

/// Keeps one small record for every circuit, for several processes.
///
/// A record is a few hundred bytes, whose meaning a storage does not know. What it has to do is to
/// replace a record only if nobody else has in the meantime: that is all of
/// [`compare_and_set`](Self::compare_and_set). What else is here makes it better, not right.
///
/// Only the driver of a factory calls these methods, with several calls under way at a time, up to 512. They
/// are polled on a tokio runtime: on the driver's thread, or wherever
/// [`driver`](crate::FactoryBuilder::driver) runs it. A call that takes longer than
/// [`operation_timeout`](StorageOptions::operation_timeout()) is dropped, and counts as
/// [`StorageError::Unavailable`].
///
/// `examples/storage.rs` is a complete storage in files, in less than 120 lines.
pub trait Storage: Send + Sync + 'static {
    /// Reads the record of a circuit, as every write that has ended by then has left it.
    ///
    /// # Errors
    ///
    /// If it cannot be told whether there is one, and which.
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored>;

    /// Writes a record if the one there still has the version `write.expected`; if `expected` is 0, if
    /// there is none. Atomic: of several at the same time with the same `expected` one is applied.
    ///
    /// The new version is larger than every version that the circuit ever had, also if its record has
    /// expired or was deleted in between. A good one is the larger of the version before plus one, and
    /// the microseconds since 1970.
    ///
    /// # Errors
    ///
    /// If it was not written, or cannot be told. That the version is another is no error: see
    /// [`Swap::applied`].
    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap>;

    /// Adds outcomes to a record, atomically, see [`Bump::apply`]. `None`, the default, if the storage
    /// has no way to do that in one step; it is then done with
    /// [`compare_and_set`](Self::compare_and_set), over and over until nobody comes between.
    ///
    /// # Errors
    ///
    /// As of [`compare_and_set`](Self::compare_and_set).
    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        let _ = bump;
        None
    }

    /// Tells the watcher of records that others write with [`Write::announce`], until it cannot go on;
    /// the future ends with the reason. `None`, the default, if the storage has no way to tell: then it
    /// is asked every now and then, see [`StorageOptions::poll()`].
    ///
    /// It calls [`ready`](Watcher::ready) as soon as from there on nothing can be missed. Until then, and
    /// after its end, the storage counts as down. It is called again after every end, but not at once. If it
    /// is not ready within five seconds, it is dropped and called again.
    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        let _ = watcher;
        None
    }

    /// What suits this storage.
    fn options(&self) -> StorageOptions {
        StorageOptions::default()
    }
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        (**self).load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        (**self).compare_and_set(write)
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        (**self).bump(bump)
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        (**self).watch(watcher)
    }

    fn options(&self) -> StorageOptions {
        (**self).options()
    }
}

/// What a [`Storage`] answers, when it does.
pub type StorageFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StorageError>> + Send + 'a>>;

/// A [watch](Storage::watch), which ends with the reason why it did.
pub type Watching<'a> = Pin<Box<dyn Future<Output = StorageError> + Send + 'a>>;

/// A record with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Grows with every write of the circuit. 0 is for what no [`Storage`] has written: it counts as
    /// absent, and is overwritten.
    pub version: u64,
    /// The record, which means nothing to a storage.
    pub bytes: Vec<u8>,
}

/// What a storage has of a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The record, if there is one.
    pub record: Option<Versioned>,
    /// The time by the storage's clock, if it has one. If not, processes go by their own clocks, which then
    /// have to agree (NTP).
    pub now: Option<SystemTime>,
}

/// What came of a [`compare_and_set`](Storage::compare_and_set).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// Whether it was written.
    pub applied: bool,
    /// What is there now: what was written, or what was in the way.
    pub stored: Stored,
}

/// A record to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Write<'a> {
    /// The name of the circuit: up to 255 bytes, any characters but control characters.
    pub circuit: &'a str,
    /// The version that it replaces, 0 for none.
    pub expected: u64,
    /// The record.
    pub bytes: &'a [u8],
    /// How long it has to be kept at least; later it may be deleted, if nothing was written since.
    pub expires_in: Duration,
    /// Whether the watchers must be told.
    pub announce: bool,
}
