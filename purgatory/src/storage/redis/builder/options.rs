//! How a storage in Redis is used.

use std::time::Duration;

use super::RedisStorageBuilder;
use crate::storage::Consistency;
#[cfg(doc)]
use crate::storage::StorageOptions;

impl RedisStorageBuilder {
    /// How much a call knows of other processes, see [`Consistency`]. Default: [`Consistency::Mirror`]; in the
    /// [Python layout](Self::python_layout), [`Consistency::Strict`].
    ///
    /// ```
    /// # use purgatory::{Consistency, RedisStorage};
    /// let builder =
    ///     RedisStorage::builder("redis://localhost").python_layout().consistency(Consistency::Mirror);
    /// ```
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = Some(consistency);
        self
    }

    /// How often the record of a circuit that is not closed is read again, see [`StorageOptions::poll()`].
    /// Default: 1 s. More than zero, at most a day.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// # use std::time::Duration;
    /// let builder = RedisStorage::builder("redis://localhost").poll(Duration::from_millis(200));
    /// ```
    pub fn poll(mut self, poll: Duration) -> Self {
        self.options = self.options.poll(poll);
        self
    }

    /// How long an answer may take, see [`StorageOptions::operation_timeout()`]. Default: 250 ms. More than
    /// zero, at most a day.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// # use std::time::Duration;
    /// let builder =
    ///     RedisStorage::builder("redis://localhost").operation_timeout(Duration::from_millis(100));
    /// ```
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.options = self.options.operation_timeout(timeout);
        self
    }

    /// How often the server is asked whether it is still there. Default: 500 ms. More than zero, at most a
    /// day.
    ///
    /// A server that hangs is noticed after this and the [operation timeout](Self::operation_timeout), or
    /// earlier if there was something to tell it.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// # use std::time::Duration;
    /// let builder = RedisStorage::builder("redis://localhost").heartbeat(Duration::from_secs(2));
    /// ```
    pub fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// The longest time between two attempts to connect, see [`StorageOptions::max_backoff()`]. Default: 1 s.
    /// More than zero, at most a day.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// # use std::time::Duration;
    /// let builder = RedisStorage::builder("redis://localhost").max_backoff(Duration::from_secs(5));
    /// ```
    pub fn max_backoff(mut self, backoff: Duration) -> Self {
        self.options = self.options.max_backoff(backoff);
        self
    }

    /// How long a call may wait for leave to be a probe, see [`StorageOptions::probe_wait()`]. Default: 50 ms.
    /// More than zero, at most a day.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// # use std::time::Duration;
    /// let builder = RedisStorage::builder("redis://localhost").probe_wait(Duration::from_millis(20));
    /// ```
    pub fn probe_wait(mut self, wait: Duration) -> Self {
        self.options = self.options.probe_wait(wait);
        self
    }

    /// How long a record is kept that nobody writes, see [`StorageOptions::expiry()`]. Default: an hour. More
    /// than zero, at most 366 days.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// # use std::time::Duration;
    /// let builder = RedisStorage::builder("redis://localhost").expiry(Duration::from_secs(24 * 3600));
    /// ```
    pub fn expiry(mut self, expiry: Duration) -> Self {
        self.options = self.options.expiry(expiry);
        self
    }
}
