//! What a caller or a builder is told when something is refused.

#[cfg(feature = "storage")]
mod storage;

use std::fmt;
use std::io;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::name::Name;
use crate::state::State;

#[cfg(feature = "storage")]
pub use self::storage::{StorageError, Unflushed};

/// A call that was not admitted, and did not run.
///
/// It is made without an allocation, and says how long to wait. It converts into
/// [`std::io::Error`], `anyhow::Error` and `Box<dyn Error + Send + Sync>`; an annotated function
/// with an error type of its own needs one `From<Rejected>`.
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, Config, ManualClock, Reason, State};
///
/// let clock = ManualClock::new();
/// let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build()?;
/// let config = Config::new().threshold(1).ttl(Duration::from_secs(30));
/// let breaker = factory.get_breaker_with("payments", config)?;
/// breaker.acquire()?.failure();
/// clock.advance(Duration::from_secs(18));
///
/// let rejected = breaker.acquire().unwrap_err();
/// assert_eq!(rejected.to_string(), r#"circuit "payments" is open, retry in 12s"#);
/// assert_eq!(rejected.circuit(), "payments");
/// assert_eq!(rejected.state(), State::Open);
/// assert_eq!(rejected.reason(), Reason::Open);
/// assert_eq!(rejected.retry_after(), Duration::from_secs(12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Rejected {
    circuit: Name,
    /// Twice the nanoseconds to wait, and one more if the probes are busy. One word without padding,
    /// as the result of every guarded call has room for this struct, and is moved about with it.
    wait_and_reason: u64,
}

impl Rejected {
    pub(crate) fn new(circuit: &Name, reason: Reason, at: Timestamp, until: Timestamp) -> Self {
        let wait = until.nanos().saturating_sub(at.nanos());
        let busy = u64::from(reason == Reason::ProbesBusy);
        Self { circuit: circuit.clone(), wait_and_reason: wait << 1 | busy }
    }

    /// The name of the circuit.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Config};
    /// # let config = Config::new().threshold(1);
    /// # let breaker = CircuitBreakerFactory::new().get_breaker_with("payments", config)?;
    /// # breaker.acquire()?.failure();
    /// let rejected = breaker.acquire().unwrap_err();
    /// assert_eq!(rejected.circuit(), "payments");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn circuit(&self) -> &str {
        &self.circuit
    }

    /// The state that the circuit was in.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Config, State};
    /// # let config = Config::new().threshold(1);
    /// # let breaker = CircuitBreakerFactory::new().get_breaker_with("payments", config)?;
    /// # breaker.acquire()?.failure();
    /// let rejected = breaker.acquire().unwrap_err();
    /// assert_eq!(rejected.state(), State::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn state(&self) -> State {
        self.reason().state()
    }

    /// Why the call was not admitted.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Config, Reason};
    /// # let config = Config::new().threshold(1);
    /// # let breaker = CircuitBreakerFactory::new().get_breaker_with("payments", config)?;
    /// # breaker.acquire()?.failure();
    /// let rejected = breaker.acquire().unwrap_err();
    /// assert_eq!(rejected.reason(), Reason::Open);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reason(&self) -> Reason {
        if self.wait_and_reason & 1 == 0 { Reason::Open } else { Reason::ProbesBusy }
    }

    /// How long after the rejection a call may be admitted again: once more than this has passed.
    ///
    /// With the coarse clock of [`SystemClock`](crate::SystemClock) it may be too long by a tick, and
    /// never is too short. For [`Reason::ProbesBusy`] it is when the first of the probes loses its
    /// place; one that reports earlier decides earlier. Of a shared circuit, it may be too short while
    /// another call asks the storage for leave to probe: it is how long that may take.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Config};
    /// # let config = Config::new().threshold(1);
    /// # let breaker = CircuitBreakerFactory::new().get_breaker_with("payments", config)?;
    /// # breaker.acquire()?.failure();
    /// let rejected = breaker.acquire().unwrap_err();
    /// println!("again in {:?}", rejected.retry_after());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.wait_and_reason >> 1)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (circuit, reason, wait) =
            (&self.circuit, self.reason(), for_people(self.retry_after()));
        write!(f, "circuit {circuit:?} is {reason}, retry in {wait:?}")
    }
}

impl fmt::Debug for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejected")
            .field("circuit", &self.circuit)
            .field("reason", &self.reason())
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl std::error::Error for Rejected {}

impl From<Rejected> for io::Error {
    /// An error of kind [`io::ErrorKind::Other`] around the rejection; its `get_ref()` finds it again.
    fn from(rejected: Rejected) -> Self {
        Self::other(rejected)
    }
}

/// Rounds a wait to what a reader cares for: up to milliseconds, from one second on to the nearest
/// tenth of a second, from ten seconds on to the nearest second.
fn for_people(wait: Duration) -> Duration {
    let millis = wait.as_nanos().div_ceil(1_000_000) as u64;
    let step = match millis {
        0..1_000 => 1,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    // At the very end of the ttl the wait is zero, and the call still rejected.
    Duration::from_millis(((millis + step / 2) / step * step).max(1))
}

/// Why a call was not admitted.
///
/// ```
/// use purgatory::{Reason, State};
/// assert_eq!(Reason::ProbesBusy.state(), State::HalfOpen);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The circuit is open, and its ttl has not passed; or, if it is shared, leave to probe was not given (in
    /// time), or another call is just asking for it.
    Open,
    /// The circuit is half-open, and as many probes are out as may be; or, if it is shared, leave to probe was not
    /// given (in time), or another call is just asking for it.
    ProbesBusy,
}

impl Reason {
    /// The state in which a circuit gives this reason.
    ///
    /// ```
    /// # use purgatory::{Reason, State};
    /// assert_eq!(Reason::Open.state(), State::Open);
    /// ```
    pub fn state(self) -> State {
        match self {
            Self::Open => State::Open,
            Self::ProbesBusy => State::HalfOpen,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "open",
            Self::ProbesBusy => "half-open with its probes busy",
        })
    }
}

/// The error of [`call`](crate::CircuitBreaker::call) and
/// [`call_async`](crate::CircuitBreaker::call_async).
///
/// It says which of the two it was, and its source says more: so that is found by rules, and by
/// `downcast_ref`, in whatever this error is wrapped in. [`flatten`](Self::flatten) makes it the error of
/// a function that has one error type for both.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, Error};
///
/// let breaker = CircuitBreakerFactory::new().get_breaker("numbers")?;
/// match breaker.call(|| "seven".parse::<u8>()) {
///     Ok(number) => println!("{number}"),
///     Err(Error::Rejected(rejected)) => println!("again in {:?}", rejected.retry_after()),
///     Err(Error::Inner(error)) => println!("{error}"), // invalid digit found in string
/// }
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error<E> {
    /// The call was not admitted, and did not run.
    #[error("the call was rejected")]
    Rejected(#[from] Rejected),
    /// The call ran, and this is its error, untouched.
    #[error("the call failed")]
    Inner(#[source] E),
}

impl<E> Error<E> {
    /// The error of the call itself, if it ran.
    ///
    /// ```
    /// # use purgatory::Error;
    /// assert_eq!(Error::Inner("broken").into_inner(), Some("broken"));
    /// ```
    pub fn into_inner(self) -> Option<E> {
        match self {
            Self::Rejected(_) => None,
            Self::Inner(error) => Some(error),
        }
    }

    /// The error of the call itself, or one made from the rejection.
    ///
    /// ```
    /// use purgatory::{CircuitBreaker, Error};
    ///
    /// fn load(breaker: &CircuitBreaker) -> std::io::Result<String> {
    ///     breaker.call(|| std::fs::read_to_string("Cargo.toml")).map_err(Error::flatten)
    /// }
    /// # let breaker = purgatory::get_breaker("files").unwrap();
    /// # load(&breaker).unwrap();
    /// ```
    pub fn flatten(self) -> E
    where
        E: From<Rejected>,
    {
        match self {
            Self::Rejected(rejected) => rejected.into(),
            Self::Inner(error) => error,
        }
    }
}

/// An invalid setting or name, or an invalid option of a storage.
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, Config};
///
/// let config = Config::new().ttl(Duration::ZERO);
/// let error = CircuitBreakerFactory::new().get_breaker_with("payments", config).unwrap_err();
/// assert_eq!(error.field(), "ttl");
/// assert_eq!(error.value(), "0ns");
/// assert_eq!(
///     error.to_string(),
///     r#"circuit "payments": ttl must be more than zero and at most 2147483647 seconds, not 0ns"#,
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{rule}, not {value}", of_circuit(.circuit))]
pub struct ConfigError {
    circuit: Option<String>,
    field: &'static str,
    value: String,
    rule: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: String, rule: &'static str) -> Self {
        Self { circuit: None, field, value, rule }
    }

    pub(crate) fn of(mut self, circuit: &str) -> Self {
        self.circuit = Some(circuit.chars().take(Name::MAX_LEN).collect());
        self
    }

    /// The circuit that the setting is for; none if it is for all of a factory or for a storage, or if it is
    /// the name that is invalid.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let error = CircuitBreakerFactory::builder().threshold(0).build().unwrap_err();
    /// assert_eq!(error.circuit(), None);
    /// ```
    pub fn circuit(&self) -> Option<&str> {
        self.circuit.as_deref()
    }

    /// The setting, as the method is spelled that takes it: of [`Config`](crate::Config), of the options or the
    /// builder of a storage; or `name`, `url` or `nodes`.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let error = CircuitBreakerFactory::builder().threshold(0).build().unwrap_err();
    /// assert_eq!(error.field(), "threshold");
    /// ```
    pub fn field(&self) -> &str {
        self.field
    }

    /// The value that was given, or what is wrong with it. A long name is cut short; of a URL there is the host at
    /// most, and no password.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let error = CircuitBreakerFactory::builder().threshold(0).build().unwrap_err();
    /// assert_eq!(error.value(), "0");
    /// ```
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The rule that the value breaks.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let error = CircuitBreakerFactory::builder().threshold(0).build().unwrap_err();
    /// assert_eq!(error.rule(), "threshold must be 1 to 4294967295");
    /// ```
    pub fn rule(&self) -> &str {
        self.rule
    }
}

fn of_circuit(circuit: &Option<String>) -> String {
    circuit.as_ref().map_or_else(String::new, |circuit| format!("circuit {circuit:?}: "))
}

/// A [`ConfigError`] that can be made in a constant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Invalid {
    field: &'static str,
    value: Value,
    pub(crate) rule: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    Number(u32),
    Time(Duration),
}

impl Invalid {
    pub(crate) const fn number(field: &'static str, value: u32, rule: &'static str) -> Self {
        Self { field, value: Value::Number(value), rule }
    }

    pub(crate) const fn time(field: &'static str, value: Duration, rule: &'static str) -> Self {
        Self { field, value: Value::Time(value), rule }
    }
}

impl From<Invalid> for ConfigError {
    fn from(Invalid { field, value, rule }: Invalid) -> Self {
        let value = match value {
            Value::Number(number) => number.to_string(),
            Value::Time(time) => format!("{time:?}"),
        };
        Self::new(field, value, rule)
    }
}
