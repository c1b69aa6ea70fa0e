//! The device people hold.

mod errors;

use std::fmt;
use std::future::poll_fn;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::circuit::Ticket;
use crate::config::Settings;
use crate::error::{Error, Rejected};
use crate::guarded::Guarded;
use crate::locked::{Declined, LockedCircuit, Pause};
use crate::name::Name;
use crate::outcome::Outcome;
use crate::permit::{Permit, Unsettled};
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::State;

/// A circuit breaker: lets calls through while their dependency works, and rejects them while it
/// does not.
///
/// It comes from a [factory](crate::CircuitBreakerFactory), or from
/// [`purgatory::get_breaker`](crate::get_breaker). Clones, and breakers obtained under the same name,
/// share one circuit.
///
/// While the circuit is closed and nothing has failed, a call costs two reads of one atomic word:
/// no lock, no write, no clock, no allocation.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, State};
///
/// let breaker = CircuitBreakerFactory::new().get_breaker("numbers")?;
///
/// let seven = breaker.call(|| "7".parse::<u8>())?;
/// assert_eq!(seven, 7);
///
/// for _ in 0..5 {
///     breaker.call(|| "seven".parse::<u8>()).unwrap_err();
/// }
/// assert_eq!(breaker.state(), State::Open);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CircuitBreaker {
    locked: Arc<LockedCircuit>,
    rules: Rules,
}

impl CircuitBreaker {
    pub(crate) fn new(locked: Arc<LockedCircuit>) -> Self {
        Self { locked, rules: Rules::default() }
    }

    /// Makes a call, if the circuit admits it.
    ///
    /// `Ok` is a success. `Err` is a failure, unless a rule [excludes](Self::exclude) or
    /// [ignores](Self::ignore) it. A panic is a failure, and goes on. The result is handed through
    /// untouched. If the circuit is shared, the thread may be blocked as by [`acquire`](Self::acquire) before
    /// the call.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] if the call was not admitted, and so did not run; [`Error::Inner`] is the
    /// error of the call.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("numbers")?;
    /// let number = breaker.call(|| "7".parse::<u8>())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn call<T, E: 'static>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, Error<E>> {
        let mut permit = self.permit()?;
        // Nothing but a panic can keep the call from returning.
        permit.unsettled(Unsettled::Failure);
        let result = call();
        permit.end_with(&result);
        result.map_err(Error::Inner)
    }

    /// Makes an async call, if the circuit admits it. Takes an async closure, or a closure that
    /// returns a future; if the call is rejected, the future is not even made.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// Nothing happens before the first poll. Dropped after it, the call counts as neither success
    /// nor failure, and a probe gives its place back.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// # async fn fetch(id: u32) -> Result<String, std::io::Error> { Ok(id.to_string()) }
    /// # let future = async {
    /// let breaker = CircuitBreakerFactory::new().get_breaker("pages")?;
    /// let page = breaker.call_async(async || fetch(7).await).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # };
    /// # futures_executor::block_on(future).unwrap();
    /// ```
    #[inline]
    pub async fn call_async<T, E: 'static>(
        &self,
        call: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<T, Error<E>> {
        let mut permit = self.permit_async().await?;
        // Making the future is part of the call: a panic in it is a failure.
        let between_polls = permit.unsettled(Unsettled::Failure);
        let body = call();
        permit.unsettled(between_polls);
        let result = Guarded::new(&mut permit, body).await;
        permit.end_with(&result);
        result.map_err(Error::Inner)
    }

    /// Asks for leave to make one call, for calls that do not fit into a closure. If the circuit is shared,
    /// the thread may be blocked for as long as [`acquire_async`](Self::acquire_async) may wait.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the circuit is open, or half-open with its probes busy.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// match breaker.acquire() {
    ///     Ok(permit) => permit.success(), // after the call
    ///     Err(rejected) => println!("{rejected}"),
    /// }
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    #[inline(always)]
    pub fn acquire(&self) -> Result<Permit<&Self>, Rejected> {
        Ok(Permit::for_user(self, self.locked.acquire()?))
    }

    /// As [`acquire`](Self::acquire), in a task.
    ///
    /// It makes a difference only to a circuit that is [shared](crate::FactoryBuilder::storage): a call
    /// that asks for leave to be a probe waits for the storage, up to
    /// [`probe_wait`](crate::StorageOptions::probe_wait()), and if
    /// [strict](crate::Consistency::Strict) every call, up to
    /// [`operation_timeout`](crate::StorageOptions::operation_timeout()), and one that asks for leave up to both; here
    /// without blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// Dropped before it ends, it gives back what it would have got.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// # let future = async {
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// let permit = breaker.acquire_async().await?;
    /// permit.success();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # };
    /// # futures_executor::block_on(future).unwrap();
    /// ```
    #[inline]
    pub async fn acquire_async(&self) -> Result<Permit<&Self>, Rejected> {
        Ok(Permit::for_user(self, self.ticket_async().await?))
    }

    /// [`acquire`](Self::acquire) for those who say themselves what a drop means.
    #[inline(always)]
    pub(crate) fn permit(&self) -> Result<Permit<&Self>, Rejected> {
        Ok(Permit::new(self, self.locked.acquire()?))
    }

    /// The same in a task: a permit, or one that is given when the pause is over.
    #[inline(always)]
    pub(crate) fn permit_or_pause(
        &self,
    ) -> Result<(Permit<&Self>, Option<Box<Pause<'_>>>), Rejected> {
        match self.locked.acquire_or_wait() {
            Ok(ticket) => Ok((Permit::new(self, ticket), None)),
            Err(Declined::Rejected(rejected)) => Err(rejected),
            Err(Declined::Pause(pause)) => Ok((Permit::to_be_given(self), Some(Box::new(pause)))),
        }
    }

    #[inline(always)]
    pub(crate) async fn permit_async(&self) -> Result<Permit<&Self>, Rejected> {
        Ok(Permit::new(self, self.ticket_async().await?))
    }

    #[inline(always)]
    async fn ticket_async(&self) -> Result<Ticket, Rejected> {
        match self.locked.acquire_or_wait() {
            Ok(ticket) => Ok(ticket),
            Err(Declined::Rejected(rejected)) => Err(rejected),
            Err(Declined::Pause(pause)) => {
                // Boxed, so that the futures of guarded calls do not grow for what is rare.
                let mut pause = Box::new(pause);
                poll_fn(move |cx| pause.poll(cx)).await
            }
        }
    }

    /// The name of the circuit.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// assert_eq!(breaker.name(), "payments");
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn name(&self) -> &Name {
        self.locked.name()
    }

    /// The state of the circuit. Time alone does not change it: an open circuit whose ttl has passed
    /// is open until a call comes.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, State};
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// assert_eq!(breaker.state(), State::Closed);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn state(&self) -> State {
        self.locked.state()
    }

    /// The settings in force.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// assert_eq!(breaker.settings().threshold, 5);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn settings(&self) -> Settings {
        self.locked.settings()
    }

    /// Everything there is to know about the circuit now.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// assert_eq!(breaker.snapshot().rejected, 0);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn snapshot(&self) -> Snapshot {
        self.locked.snapshot()
    }

    /// Closes the circuit and forgets its failures. Outcomes of calls that are still running are late. If the
    /// circuit is shared, it is closed here at once, and elsewhere as soon as the storage has heard of it.
    ///
    /// ```
    /// use purgatory::{CircuitBreakerFactory, Config, State};
    ///
    /// let breaker = CircuitBreakerFactory::new()
    ///     .get_breaker_with("payments", Config::new().threshold(1))?;
    /// breaker.acquire()?.failure();
    /// assert_eq!(breaker.state(), State::Open);
    /// breaker.reset();
    /// assert_eq!(breaker.state(), State::Closed);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset(&self) {
        self.locked.reset();
    }

    /// What the rules make of an error.
    #[inline(always)]
    pub(crate) fn outcome_of<E: 'static>(&self, error: &E) -> Outcome {
        self.rules.outcome(self.locked.rules(), error)
    }

    #[inline(always)]
    pub(crate) fn locked(&self) -> &LockedCircuit {
        &self.locked
    }
}

// Clocks, rules and listeners are the user's, behind `dyn`, so this is not found out by the compiler. No
// panic leaves a circuit half changed: none of them runs while it is being changed.
impl UnwindSafe for CircuitBreaker {}
impl RefUnwindSafe for CircuitBreaker {}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
