//! A promise that was broken.

use std::fmt;

/// A promise that a storage has broken: which, what was done, what should have come of it, and what did.
///
/// ```
/// use std::sync::Arc;
/// use purgatory::storage::{Fault, MemoryStorage, OperationKind, Promise, contract};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let forgetful = MemoryStorage::new().with_faults(|operation| match operation.kind {
///     OperationKind::Push => Fault::LoseReply,
///     _ => Fault::None,
/// });
/// let breach = contract(Arc::new(forgetful)).await.unwrap_err();
/// assert_eq!(breach.promise, Promise::Announcing);
/// println!("{breach}");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{promise}: {done}: expected {expected}, found {found}")]
pub struct Breach {
    /// The promise.
    pub promise: Promise,
    /// What was done.
    pub done: String,
    /// What should have come of it.
    pub expected: String,
    /// What came of it.
    pub found: String,
}

impl Breach {
    pub(super) fn new(
        promise: Promise,
        done: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { promise, done: done.into(), expected: expected.into(), found: found.into() }
    }
}

/// What [`contract`](super::contract) looks at. Its text is the promise in a sentence.
///
/// ```
/// # use purgatory::storage::Promise;
/// let text = "a version is more than 0, and grows with every write of its circuit";
/// assert_eq!(Promise::Growing.to_string(), text);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Promise {
    /// The options are those that a factory takes.
    Options,
    /// While nothing is wrong with it, a storage answers every operation.
    Answering,
    /// A circuit that was never written has no record.
    Absence,
    /// A record is written over the version that the write names, and over no other.
    Comparing,
    /// The answer to a write tells what is there then: what was written, or what was in the way.
    Reporting,
    /// A read tells what was written last, whoever wrote it.
    Reading,
    /// A version is more than 0, and grows with every write of its circuit, also past an expiry.
    Growing,
    /// Bytes come back as they were written.
    Bytes,
    /// Circuits with different names have different records.
    Separating,
    /// A record is kept for as long as the last write of it asked.
    Keeping,
    /// Of several writes over one version one is applied, and none is lost.
    Excluding,
    /// An operation that is dropped half way is done or not, and keeps nobody up.
    Dropping,
    /// The time is told always or never, and does not run backwards.
    Telling,
    /// Outcomes are added as [`Bump::apply`](crate::storage::Bump::apply) adds them.
    Adding,
    /// A watch calls `ready`, goes on until something is wrong, and can be begun again.
    Watching,
    /// Whoever watches is told of every write that is announced.
    Announcing,
    /// Nobody is told of what was not written, or not yet.
    Truth,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Options => "the options are those that a factory takes",
            Self::Answering => "a storage answers every operation while nothing is wrong with it",
            Self::Absence => "a circuit that was never written has no record",
            Self::Comparing => "a record is written over the version that the write names only",
            Self::Reporting => "the answer to a write tells what is there then",
            Self::Reading => "a read tells what was written last",
            Self::Growing => "a version is more than 0, and grows with every write of its circuit",
            Self::Bytes => "bytes come back as they were written",
            Self::Separating => "circuits with different names have different records",
            Self::Keeping => "a record is kept for as long as the last write of it asked",
            Self::Excluding => "of several writes over one version one is applied, none is lost",
            Self::Dropping => "an operation that is dropped is done or not, and keeps nobody up",
            Self::Telling => "the time is told always or never, and does not run backwards",
            Self::Adding => "outcomes are added as `Bump::apply` adds them",
            Self::Watching => "a watch calls `ready`, goes on, and can be begun again",
            Self::Announcing => "whoever watches is told of every write that is announced",
            Self::Truth => "nobody is told of what was not written, or not yet",
        })
    }
}
