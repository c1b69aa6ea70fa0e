//! Which errors of the calls are no failures.

use std::error::Error as StdError;

use super::CircuitBreaker;
use crate::outcome::Outcome;

impl CircuitBreaker {
    /// Counts errors of type `E` as successes, if `when` holds; if not, they are failures.
    ///
    /// The rule belongs to this handle and its later clones, and comes before those of the factory.
    /// The first rule whose type matches decides, and none after it is asked; this is Python's
    /// meaning of `exclude`. What a rule can find is told under
    /// [`FactoryBuilder::exclude`](crate::FactoryBuilder::exclude).
    ///
    /// ```
    /// use std::num::{IntErrorKind, ParseIntError};
    /// use purgatory::CircuitBreakerFactory;
    ///
    /// let breaker = CircuitBreakerFactory::new()
    ///     .get_breaker("numbers")?
    ///     .exclude::<ParseIntError>(|error| *error.kind() == IntErrorKind::Empty);
    ///
    /// breaker.call(|| "".parse::<u8>()).unwrap_err();
    /// assert_eq!(breaker.snapshot().failures, 0);
    /// breaker.call(|| "seven".parse::<u8>()).unwrap_err();
    /// assert_eq!(breaker.snapshot().failures, 1);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    #[must_use = "the rule belongs to the breaker that is returned"]
    pub fn exclude<E: StdError + 'static>(
        mut self,
        when: impl Fn(&E) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.add(Outcome::Success, when);
        self
    }

    /// Counts all errors of type `E` as successes.
    ///
    /// ```
    /// use std::num::ParseIntError;
    /// use purgatory::CircuitBreakerFactory;
    ///
    /// let breaker = CircuitBreakerFactory::new()
    ///     .get_breaker("numbers")?
    ///     .exclude_all::<ParseIntError>();
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    #[must_use = "the rule belongs to the breaker that is returned"]
    pub fn exclude_all<E: StdError + 'static>(self) -> Self {
        self.exclude::<E>(|_| true)
    }

    /// Counts errors of type `E` as neither success nor failure, if `when` holds; if not, they are
    /// failures. Otherwise as [`exclude`](Self::exclude).
    ///
    /// ```
    /// use std::io::{self, ErrorKind};
    /// use purgatory::CircuitBreakerFactory;
    ///
    /// let breaker = CircuitBreakerFactory::new()
    ///     .get_breaker("files")?
    ///     .ignore::<io::Error>(|error| error.kind() == ErrorKind::Interrupted);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    #[must_use = "the rule belongs to the breaker that is returned"]
    pub fn ignore<E: StdError + 'static>(
        mut self,
        when: impl Fn(&E) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.add(Outcome::Ignored, when);
        self
    }

    /// Counts all errors of type `E` as neither success nor failure.
    ///
    /// For instance the rejection of another breaker, through which the call itself goes: as
    /// [`acquire`](Self::acquire) gives it, or, in a box, as the source of what
    /// [`call`](Self::call) gives. [`look_into`](Self::look_into) finds it elsewhere.
    ///
    /// ```
    /// use purgatory::{CircuitBreakerFactory, Rejected};
    ///
    /// let breaker = CircuitBreakerFactory::new()
    ///     .get_breaker("checkout")?
    ///     .ignore_all::<Rejected>();
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    #[must_use = "the rule belongs to the breaker that is returned"]
    pub fn ignore_all<E: StdError + 'static>(self) -> Self {
        self.ignore::<E>(|_| true)
    }

    /// Lets the rules look along the sources of errors of type `E`, see
    /// [`FactoryBuilder::look_into`](crate::FactoryBuilder::look_into).
    ///
    /// ```
    /// use purgatory::{CircuitBreakerFactory, Error, Rejected};
    /// use std::num::ParseIntError;
    ///
    /// let outer = CircuitBreakerFactory::new()
    ///     .get_breaker("outer")?
    ///     .ignore_all::<Rejected>()
    ///     .look_into::<Error<ParseIntError>>(); // what `call` of an inner breaker gives
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    #[must_use = "the rule belongs to the breaker that is returned"]
    pub fn look_into<E: StdError + 'static>(mut self) -> Self {
        self.rules.search::<E>();
        self
    }
}
