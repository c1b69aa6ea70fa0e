//! How a factory uses a storage.

use std::time::Duration;

use crate::error::ConfigError;

/// How the factories that have a storage use it: [what it asks for](super::Storage::options).
///
/// All times are more than zero and at most a day, but for the expiry.
///
/// ```
/// use std::time::Duration;
/// use purgatory::storage::StorageOptions;
///
/// let options = StorageOptions::new().probe_wait(Duration::from_millis(20));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "options do nothing by themselves"]
pub struct StorageOptions {
    pub(crate) consistency: Consistency,
    pub(crate) operation_timeout: Duration,
    pub(crate) probe_wait: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) poll: Duration,
    pub(crate) expiry: Duration,
    /// A new circuit is written at once, and what is stored decides the threshold and the ttl: the ways of
    /// the Python package.
    pub(crate) registers: bool,
}

/// How much a call knows of what happened in other processes.
///
/// ```
/// use purgatory::storage::Consistency;
/// assert_eq!(Consistency::default(), Consistency::Mirror);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Consistency {
    /// What has arrived: changes elsewhere arrive within milliseconds, and no call waits but one that asks for
    /// leave to probe. A process that has just begun knows nothing yet, and admits its first calls;
    /// [`in_sync`](crate::SharedSnapshot::in_sync) says when it has heard of the storage.
    #[default]
    Mirror,
    /// What is stored when the call begins: every call waits for one read, as in the Python package. If no
    /// answer comes within [`operation_timeout`](StorageOptions::operation_timeout()), or it is known
    /// that the storage is down, what has arrived decides.
    Strict,
}

impl StorageOptions {
    /// The usual options.
    ///
    /// ```
    /// # use purgatory::storage::StorageOptions;
    /// assert_eq!(StorageOptions::new(), StorageOptions::default());
    /// ```
    pub const fn new() -> Self {
        Self {
            consistency: Consistency::Mirror,
            operation_timeout: Duration::from_millis(250),
            probe_wait: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            expiry: Duration::from_secs(3600),
            registers: false,
        }
    }

    /// How much a call knows of other processes. Default: [`Consistency::Mirror`].
    ///
    /// ```
    /// # use purgatory::storage::{Consistency, StorageOptions};
    /// let options = StorageOptions::new().consistency(Consistency::Strict);
    /// ```
    pub const fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// How long one operation of the storage may take. Then the storage counts as down. Default: 250 ms.
    ///
    /// ```
    /// # use purgatory::storage::StorageOptions;
    /// # use std::time::Duration;
    /// let options = StorageOptions::new().operation_timeout(Duration::from_millis(100));
    /// ```
    pub const fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// How long a call may wait for leave to be a probe; then it is rejected. Default: 50 ms.
    ///
    /// In a process at most one call at a time asks for a circuit; the others are rejected meanwhile.
    ///
    /// ```
    /// # use purgatory::storage::StorageOptions;
    /// # use std::time::Duration;
    /// let options = StorageOptions::new().probe_wait(Duration::from_millis(20));
    /// ```
    pub const fn probe_wait(mut self, wait: Duration) -> Self {
        self.probe_wait = wait;
        self
    }

    /// Between two attempts to reach a storage that is down: each wait is drawn between half of its length and all of
    /// it. The first is 20 ms long, each of the others twice as long as the one before it, up to this. Default: 1 s.
    ///
    /// ```
    /// # use purgatory::storage::StorageOptions;
    /// # use std::time::Duration;
    /// let options = StorageOptions::new().max_backoff(Duration::from_secs(5));
    /// ```
    pub const fn max_backoff(mut self, backoff: Duration) -> Self {
        self.max_backoff = backoff;
        self
    }

    /// How often the record of a circuit that is not closed is read again, though no news came; where a
    /// storage cannot [watch](super::Storage::watch), of every circuit in use. Default: 1 s.
    ///
    /// ```
    /// # use purgatory::storage::StorageOptions;
    /// # use std::time::Duration;
    /// let options = StorageOptions::new().poll(Duration::from_millis(200));
    /// ```
    pub const fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll;
        self
    }

    /// How long a record is kept that nobody writes, at least. It is kept longer if ten times the ttl or the
    /// probe lease is more. Default: an hour. More than zero, at most 366 days.
    ///
    /// ```
    /// # use purgatory::storage::StorageOptions;
    /// # use std::time::Duration;
    /// let options = StorageOptions::new().expiry(Duration::from_secs(24 * 3600));
    /// ```
    pub const fn expiry(mut self, expiry: Duration) -> Self {
        self.expiry = expiry;
        self
    }

    /// Finds an option that breaks its rule.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let times = [
            (
                "operation_timeout",
                self.operation_timeout,
                DAY,
                "operation_timeout must be more than zero and at most a day",
            ),
            (
                "probe_wait",
                self.probe_wait,
                DAY,
                "probe_wait must be more than zero and at most a day",
            ),
            (
                "max_backoff",
                self.max_backoff,
                DAY,
                "max_backoff must be more than zero and at most a day",
            ),
            ("poll", self.poll, DAY, "poll must be more than zero and at most a day"),
            (
                "expiry",
                self.expiry,
                DAY * 366,
                "expiry must be more than zero and at most 366 days",
            ),
        ];
        for (field, time, at_most, rule) in times {
            if time.is_zero() || time > at_most {
                return Err(ConfigError::new(field, format!("{time:?}"), rule));
            }
        }
        Ok(())
    }
}

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for StorageOptions {
    fn default() -> Self {
        Self::new()
    }
}
