//! Time: where it comes from, and how it is written down.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A point in time on the clock of a factory, in nanoseconds since that clock's own origin.
///
/// For [`SystemClock`] the origin is arbitrary (often the start of the machine), so a timestamp
/// means something only beside others of the same clock. It never is a time of day.
///
/// ```
/// use std::time::Duration;
/// use purgatory::Timestamp;
///
/// let opened = Timestamp::from_origin(Duration::from_secs(60));
/// let now = Timestamp::from_origin(Duration::from_secs(72));
/// assert_eq!(now.since(opened), Duration::from_secs(12));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ORIGIN: Self = Self(0);

    /// The last timestamp: 146 years after the origin. What lies beyond it counts as it.
    pub const MAX: Self = Self((1 << 62) - 3);

    /// The time `offset` after the origin of the clock, at most [`Timestamp::MAX`].
    ///
    /// ```
    /// # use purgatory::Timestamp;
    /// # use std::time::Duration;
    /// assert_eq!(Timestamp::from_origin(Duration::MAX), Timestamp::MAX);
    /// ```
    pub const fn from_origin(offset: Duration) -> Self {
        Self::ORIGIN.saturating_add(offset)
    }

    /// How long after the origin of the clock this is.
    ///
    /// ```
    /// # use purgatory::Timestamp;
    /// assert!(Timestamp::ORIGIN.since_origin().is_zero());
    /// ```
    pub const fn since_origin(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    ///
    /// ```
    /// # use purgatory::Timestamp;
    /// assert!(Timestamp::ORIGIN.since(Timestamp::MAX).is_zero());
    /// ```
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time `duration` after this, at most [`Timestamp::MAX`].
    ///
    /// ```
    /// # use purgatory::Timestamp;
    /// # use std::time::Duration;
    /// let later = Timestamp::ORIGIN.saturating_add(Duration::from_nanos(5));
    /// assert_eq!(later.since_origin().as_nanos(), 5);
    /// ```
    pub const fn saturating_add(self, duration: Duration) -> Self {
        let nanos = duration.as_nanos();
        let left = (Self::MAX.0 - self.0) as u128;
        if nanos >= left { Self::MAX } else { Self(self.0 + nanos as u64) }
    }

    /// The nanoseconds since the origin, at most 2^62 - 3, so that two values of 62 bits are left over.
    #[inline]
    pub(crate) const fn nanos(self) -> u64 {
        self.0
    }

    /// The inverse of [`Timestamp::nanos`].
    #[inline]
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        if nanos < Self::MAX.0 { Self(nanos) } else { Self::MAX }
    }
}

/// A source of time that does not depend on the time of day.
///
/// It should never go backwards. If it does, nothing breaks: an open circuit stays open for that
/// much longer. It must not panic: the outcome of the call that it is asked for would be lost. It is never
/// read while a lock of the library is held, but for the clock of a `MemoryStorage`, which is read while that
/// is locked.
///
/// ```
/// use purgatory::{Clock, Timestamp};
///
/// struct Frozen;
///
/// impl Clock for Frozen {
///     fn now(&self) -> Timestamp {
///         Timestamp::ORIGIN
///     }
/// }
/// # assert_eq!(Frozen.now(), Timestamp::ORIGIN);
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }
}

/// The monotonic clock of the operating system, the default.
///
/// Rejections that no listener is told of read its coarse form where there is one
/// (`CLOCK_MONOTONIC_COARSE`, on Linux and Android), which lags behind by up to a tick of the system
/// (1 to 10 ms) and never runs ahead. Near the end of the ttl the exact form decides, so a circuit
/// turns half-open neither early nor late.
///
/// ```
/// use purgatory::{Clock, SystemClock};
///
/// let earlier = SystemClock.now();
/// assert!(SystemClock.now() >= earlier);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        system::now()
    }
}

/// A clock that stands still until it is told to move, for tests.
///
/// Clones show the same time.
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, Config, ManualClock, State};
///
/// let clock = ManualClock::new();
/// let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build()?;
/// let breaker = factory.get_breaker_with("payments", Config::new().threshold(1))?;
///
/// breaker.acquire()?.failure();
/// assert!(breaker.acquire().is_err());
///
/// clock.advance(Duration::from_secs(31)); // no sleeping for the ttl of 30 s
/// assert!(breaker.acquire()?.is_probe());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ManualClock {
    nanos: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock that shows [`Timestamp::ORIGIN`].
    ///
    /// ```
    /// use purgatory::{Clock, ManualClock, Timestamp};
    /// assert_eq!(ManualClock::new().now(), Timestamp::ORIGIN);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward.
    ///
    /// ```
    /// # use purgatory::{Clock, ManualClock};
    /// # use std::time::Duration;
    /// let clock = ManualClock::new();
    /// clock.advance(Duration::from_millis(250));
    /// assert_eq!(clock.now().since_origin(), Duration::from_millis(250));
    /// ```
    pub fn advance(&self, by: Duration) {
        let moved = |nanos| Some(Timestamp::from_nanos(nanos).saturating_add(by).nanos());
        // The closure always answers, so there always is an update.
        let _ = self.nanos.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
    }

    /// Sets the clock, also backwards.
    ///
    /// ```
    /// # use purgatory::{Clock, ManualClock, Timestamp};
    /// # use std::time::Duration;
    /// let clock = ManualClock::new();
    /// let hour = Timestamp::from_origin(Duration::from_secs(3600));
    /// clock.set(hour);
    /// assert_eq!(clock.now(), hour);
    /// ```
    pub fn set(&self, to: Timestamp) {
        self.nanos.store(to.nanos(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// The clock of a factory. The usual one is read without a call through a pointer.
#[derive(Clone)]
pub(crate) enum TimeSource {
    System,
    Custom(Arc<dyn Clock>),
}

impl TimeSource {
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Self::System => system::now(),
            Self::Custom(clock) => clock.now(),
        }
    }

    /// Whether `until` has not passed: if so, a reading that is not ahead of [`now`](Self::now), and
    /// may lag behind it.
    #[inline]
    pub(crate) fn not_after(&self, until: Timestamp) -> Option<Timestamp> {
        if let Self::System = self {
            let recent = system::recent();
            if recent.saturating_add(TICK) < until {
                return Some(recent);
            }
        }
        let now = self.now();
        (now <= until).then_some(now)
    }

    /// The time, for use under a lock, where it may turn out not to be needed.
    ///
    /// The system clock is read only when asked for. A clock that is somebody else's code is read
    /// here, before the lock.
    pub(crate) fn before_lock(&self) -> impl Fn() -> Timestamp + use<> {
        let read = match self {
            Self::System => None,
            Self::Custom(clock) => Some(clock.now()),
        };
        move || read.unwrap_or_else(system::now)
    }
}

/// By how much a coarse clock may lag behind.
const TICK: Duration = Duration::from_millis(10);

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "SystemClock",
            Self::Custom(_) => "dyn Clock",
        })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use super::Timestamp;
    use rustix::time::{ClockId, clock_gettime};

    pub(super) fn now() -> Timestamp {
        read(ClockId::Monotonic)
    }

    #[inline]
    pub(super) fn recent() -> Timestamp {
        read(ClockId::MonotonicCoarse)
    }

    #[inline]
    fn read(clock: ClockId) -> Timestamp {
        let time = clock_gettime(clock);
        // Neither part of a monotonic clock is negative. A `Duration` on the way costs a nanosecond.
        let seconds = (time.tv_sec as u64).saturating_mul(1_000_000_000);
        Timestamp::from_nanos(seconds.saturating_add(time.tv_nsec as u64))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod system {
    use super::Timestamp;
    use std::sync::OnceLock;
    use std::time::Instant;

    pub(super) fn now() -> Timestamp {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        Timestamp::from_origin(ORIGIN.get_or_init(Instant::now).elapsed())
    }

    pub(super) fn recent() -> Timestamp {
        now()
    }
}
