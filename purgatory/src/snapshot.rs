//! One look at a circuit.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Settings;
use crate::name::Name;
use crate::state::State;

/// What a circuit was at one moment.
///
/// All fields are of the same moment, but [`rejected`](Self::rejected) may be ahead by calls that are
/// being rejected meanwhile, and [`taken_at`](Self::taken_at) is a little earlier.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, State};
///
/// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
/// breaker.acquire()?.failure();
///
/// let snapshot = breaker.snapshot();
/// assert_eq!((snapshot.state, snapshot.failures), (State::Closed, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The name of the circuit.
    pub name: Name,
    /// Its state. An open circuit whose ttl has passed is open until a call comes.
    pub state: State,
    /// Failures in a row, if it is closed; else 0.
    pub failures: u32,
    /// How often the circuit has changed its state, or been reset; if it is shared, as far as this process has seen.
    pub generation: u64,
    /// When it came into its state; when it was registered, if it never left it.
    pub since: Timestamp,
    /// When the snapshot was taken, on the same clock.
    pub taken_at: Timestamp,
    /// What is in force.
    pub settings: Settings,
    /// How many calls have been rejected.
    pub rejected: u64,
    /// How many outcomes came too late to count.
    pub late: u64,
    /// How many events were dropped because a listener was stuck and 1024 were waiting for it.
    /// Changes of state are never dropped.
    pub events_dropped: u64,
    /// How it stands to its storage; `None`, if it is not [shared](crate::FactoryBuilder::storage).
    #[cfg(feature = "storage")]
    pub shared: Option<SharedSnapshot>,
}

/// How a shared circuit stood to its storage at one moment, as far as this process knows.
///
/// Every failure that this process counted while the circuit was closed is in exactly one of
/// [`recorded`](Self::recorded), [`discarded`](Self::discarded) and [`pending`](Self::pending).
///
/// ```
/// use purgatory::{CircuitBreakerFactory, MemoryStorage};
///
/// let factory = CircuitBreakerFactory::builder().storage(MemoryStorage::new()).build()?;
/// let breaker = factory.get_breaker("payments")?;
/// breaker.acquire()?.failure();
///
/// let shared = breaker.snapshot().shared.unwrap();
/// assert_eq!(shared.recorded + shared.discarded + shared.pending, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "storage")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SharedSnapshot {
    /// How many failures have reached the storage.
    pub recorded: u64,
    /// How many failures did not, and will not: when they could have, they did not matter any more.
    pub discarded: u64,
    /// How many failures are not sent yet, or were sent and not answered.
    pub pending: u64,
    /// Whether the storage is up, and what it has for the circuit is known and can be changed. If not, this
    /// process goes on alone.
    pub in_sync: bool,
    /// The version of the record that was last heard of, if there was one.
    pub version: Option<u64>,
}

impl Snapshot {
    /// How long the circuit had been in its state.
    ///
    /// ```
    /// use std::time::Duration;
    /// use purgatory::{CircuitBreakerFactory, ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build()?;
    /// let breaker = factory.get_breaker("payments")?;
    /// clock.advance(Duration::from_secs(7));
    /// assert_eq!(breaker.snapshot().age(), Duration::from_secs(7));
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn age(&self) -> Duration {
        self.taken_at.since(self.since)
    }

    /// When the circuit opened, if it is open.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// assert_eq!(breaker.snapshot().opened_at(), None);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn opened_at(&self) -> Option<Timestamp> {
        (self.state == State::Open).then_some(self.since)
    }
}
