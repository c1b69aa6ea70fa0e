//! What can go wrong with a storage in memory.

use std::time::Duration;

use crate::storage::StorageError;

/// What goes wrong with one operation of a [`MemoryStorage`](super::MemoryStorage).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It begins late. Pushes with different delays come in another order.
    Delay(Duration),
    /// It is done, and its answer comes late.
    DelayReply(Duration),
    /// It is not done.
    Error(StorageError),
    /// It is done, and its answer never comes: an error does. A push is lost.
    LoseReply,
    /// It is not done, and nothing ever comes.
    Hang,
}

/// An operation of a [`MemoryStorage`](super::MemoryStorage).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation<'a> {
    /// What is done.
    pub kind: OperationKind,
    /// To which circuit; empty for a watch.
    pub circuit: &'a str,
    /// Which operation of the storage it is. Numbers grow, with gaps.
    pub number: u64,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationKind {
    /// [`Storage::load`](crate::Storage::load)
    Load,
    /// [`Storage::compare_and_set`](crate::Storage::compare_and_set)
    CompareAndSet,
    /// [`Storage::bump`](crate::Storage::bump)
    Bump,
    /// The beginning of a [`Storage::watch`](crate::Storage::watch).
    Watch,
    /// The news for one watcher.
    Push,
}
