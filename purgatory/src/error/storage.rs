//! What goes wrong between a factory and its storage.

/// Why a storage has no answer. The texts are for people, in events and logs: no password may be in them.
///
/// ```
/// use purgatory::storage::StorageError;
///
/// let error = StorageError::Refused("READONLY You can't write against a read only replica.".to_owned());
/// assert!(error.to_string().starts_with("refused: READONLY"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// No answer came: what was asked may have been done or not. The storage counts as down.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The storage answered that it does not do that now: what was asked was not done. It counts as down.
    #[error("refused: {0}")]
    Refused(String),
    /// The part of the storage that has this circuit's record does not answer, or not as it should: what was
    /// asked may have been done or not. Other circuits are not affected, and the next time it may answer.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// There is something in the place of this circuit's record that cannot be replaced. Other circuits are
    /// not affected.
    #[error("unusable: {0}")]
    Unusable(String),
}

/// Not everything that was counted has reached the storage in time.
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, MemoryStorage};
///
/// let factory = CircuitBreakerFactory::builder().storage(MemoryStorage::new()).build()?;
/// factory.get_breaker("payments")?.acquire()?.failure();
/// if let Err(unflushed) = factory.flush(Duration::from_secs(1)) {
///     println!("{unflushed}");
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("not everything has reached the storage, {failures} failures are under way")]
pub struct Unflushed {
    /// Failures of which it is not known that they have arrived.
    pub failures: u64,
}
