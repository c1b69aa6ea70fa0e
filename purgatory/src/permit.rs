//! Leave to make one call.

use std::borrow::Borrow;
use std::fmt;
use std::mem;
use std::thread;

use crate::breaker::CircuitBreaker;
use crate::circuit::{ProbeId, Ticket};
use crate::outcome::Outcome;

/// Leave to make one call, to be settled with what the call came to.
///
/// What the closure of [`call`](CircuitBreaker::call) does by itself, a permit does step by step: it
/// is what Python's `with breaker:` is. However a permit ends, nothing is leaked:
///
/// | end | outcome |
/// | --- | --- |
/// | [`success`](Self::success), [`failure`](Self::failure), [`ignore`](Self::ignore), [`settle`](Self::settle) | as it says |
/// | dropped, for instance with a cancelled future | ignored; a probe gives its place back |
/// | dropped by a panic | failure |
/// | forgotten ([`std::mem::forget`]) | none; a probe's place is free again when its [lease](crate::Config::probe_lease()) ends |
///
/// [`acquire`](CircuitBreaker::acquire) gives a `Permit<&CircuitBreaker>`; [`into_owned`](Self::into_owned)
/// makes it a `Permit`, which borrows nothing.
///
/// ```
/// use purgatory::CircuitBreakerFactory;
///
/// let breaker = CircuitBreakerFactory::new().get_breaker("numbers")?;
///
/// let permit = breaker.acquire()?;
/// let result = "seven".parse::<u8>();
/// permit.settle(&result);
///
/// assert_eq!(breaker.snapshot().failures, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a permit that is dropped at once says nothing about the call"]
pub struct Permit<B: Borrow<CircuitBreaker> = CircuitBreaker> {
    breaker: B,
    // The parts of a `Ticket`, so that there is no padding: it would be copied at every move.
    generation: u64,
    probe: Option<ProbeId>,
    unsettled: Unsettled,
}

/// What it means if the permit is dropped now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Unsettled {
    /// It is settled already.
    Nothing,
    /// It is not given yet; then it will be ignored.
    NotYet,
    /// It is not given yet; then it will be a failure.
    NotYetFailure,
    Ignored,
    Failure,
    /// A failure if the thread is panicking by then, else ignored.
    FailureIfPanicking,
}

impl<B: Borrow<CircuitBreaker>> Permit<B> {
    /// A permit whose holder says itself what a drop means.
    #[inline(always)]
    pub(crate) fn new(breaker: B, ticket: Ticket) -> Self {
        Self::with(breaker, ticket, Unsettled::Ignored)
    }

    /// A permit for somebody who may drop it in a panic.
    #[inline(always)]
    pub(crate) fn for_user(breaker: B, ticket: Ticket) -> Self {
        // A panic that was there before the call says nothing about the call.
        let unsettled =
            if thread::panicking() { Unsettled::Ignored } else { Unsettled::FailureIfPanicking };
        Self::with(breaker, ticket, unsettled)
    }

    #[inline(always)]
    fn with(breaker: B, Ticket { generation, probe }: Ticket, unsettled: Unsettled) -> Self {
        Self { breaker, generation, probe, unsettled }
    }

    /// A permit that is still to be given, and until then means nothing.
    #[inline(always)]
    pub(crate) fn to_be_given(breaker: B) -> Self {
        Self::with(breaker, Ticket { generation: 0, probe: None }, Unsettled::NotYet)
    }

    /// Gives it.
    pub(crate) fn give(&mut self, Ticket { generation, probe }: Ticket) {
        self.generation = generation;
        self.probe = probe;
        self.unsettled = match self.unsettled {
            Unsettled::NotYetFailure => Unsettled::Failure,
            _ => Unsettled::Ignored,
        };
    }

    /// Being dropped is a failure, once it is given.
    #[inline(always)]
    pub(crate) fn fail_if_cancelled(&mut self) {
        self.unsettled = match self.unsettled {
            Unsettled::NotYet => Unsettled::NotYetFailure,
            _ => Unsettled::Failure,
        };
    }

    /// The same permit with a breaker of its own, to move it into a task or a struct.
    ///
    /// ```
    /// use purgatory::{CircuitBreakerFactory, Permit};
    ///
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// let permit: Permit = breaker.acquire()?.into_owned();
    /// std::thread::spawn(move || permit.success()).join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_owned(mut self) -> Permit {
        let unsettled = mem::replace(&mut self.unsettled, Unsettled::Nothing);
        Permit::with(self.breaker().clone(), self.ticket(), unsettled)
    }

    /// The call succeeded.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// breaker.acquire()?.success();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn success(mut self) {
        self.end(Outcome::Success);
    }

    /// The call failed.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// breaker.acquire()?.failure();
    /// assert_eq!(breaker.snapshot().failures, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn failure(mut self) {
        self.end(Outcome::Failure);
    }

    /// The call says nothing about the dependency. Dropping the permit does the same, but in a panic.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// breaker.acquire()?.ignore();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn ignore(mut self) {
        self.end(Outcome::Ignored);
    }

    /// The call came to this result: `Ok` is a success, `Err` what the rules make of it, as in
    /// [`call`](CircuitBreaker::call).
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("numbers")?;
    /// let permit = breaker.acquire()?;
    /// permit.settle(&"7".parse::<u8>());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline(always)]
    pub fn settle<T, E: 'static>(mut self, result: &Result<T, E>) {
        self.end_with(result);
    }

    #[inline(always)]
    pub(crate) fn end_with<T, E: 'static>(&mut self, result: &Result<T, E>) {
        let outcome = match result {
            Ok(_) => Outcome::Success,
            Err(error) => self.breaker().outcome_of(error),
        };
        self.end(outcome);
    }

    /// Whether the circuit was half-open when it gave the permit: the call is to find out about the
    /// dependency.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// assert!(!breaker.acquire()?.is_probe());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// The breaker that gave it.
    #[inline(always)]
    pub(crate) fn breaker(&self) -> &CircuitBreaker {
        self.breaker.borrow()
    }

    #[inline(always)]
    fn ticket(&self) -> Ticket {
        Ticket { generation: self.generation, probe: self.probe }
    }

    /// Says what a drop means from here on, and returns what it meant before.
    #[inline(always)]
    pub(crate) fn unsettled(&mut self, meaning: Unsettled) -> Unsettled {
        mem::replace(&mut self.unsettled, meaning)
    }

    /// Settles in place.
    #[inline(always)]
    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.unsettled = Unsettled::Nothing;
        self.breaker().locked().settle(self.ticket(), outcome);
    }
}

impl<B: Borrow<CircuitBreaker>> Drop for Permit<B> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.unsettled != Unsettled::Nothing {
            settle_dropped(self.breaker(), self.ticket(), self.unsettled);
        }
    }
}

/// The parts one by one, so that a permit on the fast path stays in registers.
#[cold]
fn settle_dropped(breaker: &CircuitBreaker, ticket: Ticket, unsettled: Unsettled) {
    let outcome = match unsettled {
        Unsettled::Nothing | Unsettled::NotYet | Unsettled::NotYetFailure => return,
        Unsettled::Failure => Outcome::Failure,
        Unsettled::FailureIfPanicking if thread::panicking() => Outcome::Failure,
        Unsettled::Ignored | Unsettled::FailureIfPanicking => Outcome::Ignored,
    };
    breaker.locked().settle(ticket, outcome);
}

impl<B: Borrow<CircuitBreaker>> fmt::Debug for Permit<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("circuit", self.breaker().name())
            .field("generation", &self.generation)
            .field("is_probe", &self.is_probe())
            .finish()
    }
}
