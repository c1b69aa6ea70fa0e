//! How the circuits of a factory are shared.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{CircuitBreakerFactory, FactoryBuilder};
use crate::driver::{self, Spawn};
use crate::error::{ConfigError, Unflushed};
use crate::link::Restart;
use crate::locked::{Common, FleetLink};
use crate::storage::{Storage, StorageOptions};
use crate::waiter;

/// What a builder was told about sharing.
#[derive(Default)]
pub(super) struct Sharing {
    /// With its options: those that are checked are those that are used.
    storage: Option<(Arc<dyn Storage>, StorageOptions)>,
    spawn: Option<Spawn>,
    seed: Option<u64>,
}

impl Sharing {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.storage.as_ref().map_or(Ok(()), |(_, options)| options.check())
    }

    /// Starts the driver, if there is a storage.
    pub(super) fn start(self, common: &Arc<Common>) -> Option<Arc<FleetLink>> {
        let (storage, options) = self.storage?;
        let link = Arc::new(FleetLink::new(options, self.seed.unwrap_or_else(random)));
        if self.spawn.is_none() {
            let (storage, common, weak) = (storage.clone(), common.clone(), Arc::downgrade(&link));
            link.restart_by(Restart(Box::new(move || {
                if let Some(link) = weak.upgrade() {
                    driver::restart(storage.clone(), link, common.clone());
                }
            })));
        }
        driver::start(storage, Arc::clone(&link), Arc::clone(common), self.spawn);
        Some(link)
    }
}

/// What the standard library seeds its hash maps with.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}

impl FactoryBuilder {
    /// Shares the circuits with all factories, of this process and of others, that have the same storage.
    ///
    /// A circuit with [`Config::shared(false)`](crate::Config::shared()) stays this factory's own. See [the
    /// guide](crate::guide::sharing#when-to-share) for when sharing helps and when it harms.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, MemoryStorage};
    /// let builder = CircuitBreakerFactory::builder().storage(MemoryStorage::new());
    /// ```
    pub fn storage(mut self, storage: impl Storage) -> Self {
        let options = storage.options();
        self.sharing.storage = Some((Arc::new(storage), options));
        self
    }

    /// Has the driver, the task that talks to the storage, run by `spawn`, which needs a tokio runtime with
    /// its timers (and what else the storage needs). By default it runs on a thread of its own, so that
    /// sharing works whatever the application's runtime is busy with.
    ///
    /// It is for tests on tokio's paused time, and for those who cannot have another thread. If the future is
    /// dropped, or its runtime ends, and in a [fork](crate::guide::sharing#how-it-works), every circuit is on its own.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, MemoryStorage};
    /// let builder = CircuitBreakerFactory::builder()
    ///     .storage(MemoryStorage::new())
    ///     .driver(|driver| drop(tokio::spawn(driver)));
    /// ```
    pub fn driver(
        mut self,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + 'static,
    ) -> Self {
        self.sharing.spawn = Some(Box::new(spawn));
        self
    }

    /// What the driver draws from, so that a test can be repeated. Two factories with the same storage must
    /// not have the same seed: their failures would be taken for each other's.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let builder = CircuitBreakerFactory::builder().seed(7);
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.sharing.seed = Some(seed);
        self
    }
}

impl CircuitBreakerFactory {
    /// Waits until everything that was counted up to now has reached the storage; for instance before the
    /// process ends. Blocks the thread. Without a storage there is nothing to wait for.
    ///
    /// # Errors
    ///
    /// If it has not by then; it goes on in the background. At once, if it cannot: because something else, or a
    /// record of a newer version, has the place of a circuit that owes something, or there is no driver. Called by a
    /// listener on the driver's thread, it waits in vain.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// # use std::time::Duration;
    /// # let factory = CircuitBreakerFactory::new();
    /// factory.flush(Duration::from_millis(100))?;
    /// # Ok::<(), purgatory::storage::Unflushed>(())
    /// ```
    pub fn flush(&self, timeout: Duration) -> Result<(), Unflushed> {
        let Some(link) = &self.inner.link else { return Ok(()) };
        match waiter::block_on(link.flush(timeout), timeout) {
            Some(Ok(())) => Ok(()),
            Some(Err(_)) | None => Err(self.unflushed()),
        }
    }

    /// As [`flush`](Self::flush), in a task. It is the driver that measures the time: while a listener keeps
    /// that, this takes as long.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// # use std::time::Duration;
    /// # let future = async {
    /// # let factory = CircuitBreakerFactory::new();
    /// factory.flush_async(Duration::from_millis(100)).await?;
    /// # Ok::<(), purgatory::storage::Unflushed>(())
    /// # };
    /// # futures_executor::block_on(future).unwrap();
    /// ```
    pub async fn flush_async(&self, timeout: Duration) -> Result<(), Unflushed> {
        let Some(link) = &self.inner.link else { return Ok(()) };
        link.flush(timeout).await.map_err(|_| self.unflushed())
    }

    fn unflushed(&self) -> Unflushed {
        let circuits = self.inner.registry.all();
        Unflushed { failures: circuits.iter().map(|circuit| circuit.pending()).sum() }
    }
}

impl fmt::Debug for Sharing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sharing").field("storage", &self.storage.is_some()).finish_non_exhaustive()
    }
}
