//! How a factory is put together.

use std::any::TypeId;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "storage")]
use super::sharing::Sharing;
use super::{CircuitBreakerFactory, Inner};
use crate::clock::{Clock, SystemClock, TimeSource};
use crate::config::Config;
use crate::error::ConfigError;
use crate::listener::{Listener, Listeners};
use crate::locked::Common;
use crate::name::Name;
use crate::outcome::Outcome;
use crate::registry::Registry;
use crate::rules::Rules;

/// A factory to be.
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, Config, Event};
///
/// let factory = CircuitBreakerFactory::builder()
///     .threshold(3)
///     .ttl(Duration::from_secs(10))
///     .circuit("payments", Config::new().threshold(10))
///     .exclude::<std::io::Error>(|error| error.kind() == std::io::ErrorKind::NotFound)
///     .listener(|event: &Event| println!("{}: {}", event.circuit(), event.name()))
///     .build()?;
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[must_use = "a builder does nothing by itself, finish with `.build()`"]
pub struct FactoryBuilder {
    defaults: Config,
    circuits: Vec<(String, Config)>,
    clock: TimeSource,
    listeners: Listeners,
    rules: Rules,
    #[cfg(feature = "storage")]
    pub(super) sharing: Sharing,
}

impl FactoryBuilder {
    pub(super) fn new() -> Self {
        Self {
            defaults: Config::new(),
            circuits: Vec::new(),
            clock: TimeSource::System,
            listeners: Listeners::new(),
            rules: Rules::default(),
            #[cfg(feature = "storage")]
            sharing: Sharing::default(),
        }
    }

    /// The default of [`Config::threshold()`]: 5 if not given.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let builder = CircuitBreakerFactory::builder().threshold(3);
    /// ```
    #[doc(alias = "default_threshold")]
    pub fn threshold(mut self, failures: u32) -> Self {
        self.defaults = self.defaults.threshold(failures);
        self
    }

    /// The default of [`Config::ttl()`]: 30 s if not given.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// # use std::time::Duration;
    /// let builder = CircuitBreakerFactory::builder().ttl(Duration::from_secs(10));
    /// ```
    #[doc(alias = "default_ttl")]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.defaults = self.defaults.ttl(ttl);
        self
    }

    /// Defaults of any settings. What the config leaves out stays as it was.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Config};
    /// let builder = CircuitBreakerFactory::builder()
    ///     .defaults(Config::new().half_open_probes(3).success_threshold(3));
    /// ```
    pub fn defaults(mut self, config: Config) -> Self {
        self.defaults = config.or(self.defaults);
        self
    }

    /// Settings of one circuit, which override what the code asks for: to tune without a rebuild. Where
    /// two configs for one name ask for the same setting, the later one decides.
    ///
    /// ```
    /// use purgatory::{CircuitBreakerFactory, Config};
    ///
    /// let factory = CircuitBreakerFactory::builder()
    ///     .circuit("payments", Config::new().threshold(10))
    ///     .build()?;
    /// let breaker = factory.get_breaker_with("payments", Config::new().threshold(3))?;
    /// assert_eq!(breaker.settings().threshold, 10);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn circuit(mut self, name: &str, config: Config) -> Self {
        self.circuits.push((name.to_owned(), config));
        self
    }

    /// Counts errors of type `E` as successes, if `when` holds; if not, they are failures. Of all
    /// rules, the first one whose type is found in an error decides, and none after it is asked: a
    /// second rule for a type has no say, and rules for what may be inside other errors belong before those
    /// for the others.
    /// Rules of a [breaker](crate::CircuitBreaker::exclude), and the `exclude` and `ignore` of the
    /// attribute, come before those of the factory. If `when` panics, the call is a failure, and the panic
    /// takes the place of its result.
    ///
    /// # What is found
    ///
    /// The type system lets a rule for `E` find an `E` that is
    ///
    /// * the error itself;
    /// * in a `Box<dyn Error>`, also with `Send` or with `Send + Sync`, in an
    ///   `Arc<dyn Error + Send + Sync>`, in a [`std::io::Error`], or in an `anyhow::Error` (feature
    ///   `anyhow`), and anywhere along the [sources](Error::source) from there;
    /// * along the sources of an error type of your own, if [`look_into`](Self::look_into) names
    ///   that type.
    ///
    /// It is found nowhere else: not in a tuple, nor in an error type of your own, such as an enum, that is given
    /// to no `look_into`.
    ///
    /// ```
    /// use std::error::Error;
    /// use purgatory::CircuitBreakerFactory;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("status {0}")]
    /// struct HttpError(u16);
    ///
    /// let factory = CircuitBreakerFactory::builder().exclude::<HttpError>(|e| e.0 < 500).build()?;
    /// let breaker = factory.get_breaker("pages")?;
    ///
    /// let not_found = || Err::<(), Box<dyn Error + Send + Sync>>(Box::new(HttpError(404)));
    /// breaker.call(not_found).unwrap_err();
    /// assert_eq!(breaker.snapshot().failures, 0);
    /// breaker.call(|| Err::<(), _>(HttpError(503))).unwrap_err();
    /// assert_eq!(breaker.snapshot().failures, 1);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn exclude<E: Error + 'static>(
        mut self,
        when: impl Fn(&E) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.add(Outcome::Success, when);
        self
    }

    /// Counts all errors of type `E` as successes.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let builder = CircuitBreakerFactory::builder().exclude_all::<std::num::ParseIntError>();
    /// ```
    pub fn exclude_all<E: Error + 'static>(self) -> Self {
        self.exclude::<E>(|_| true)
    }

    /// Counts errors of type `E` as neither success nor failure, if `when` holds; if not, they are
    /// failures. Otherwise as [`exclude`](Self::exclude).
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// use std::io::{self, ErrorKind};
    /// let builder = CircuitBreakerFactory::builder()
    ///     .ignore::<io::Error>(|error| error.kind() == ErrorKind::Interrupted);
    /// ```
    pub fn ignore<E: Error + 'static>(
        mut self,
        when: impl Fn(&E) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.rules.add(Outcome::Ignored, when);
        self
    }

    /// Counts all errors of type `E` as neither success nor failure.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Rejected};
    /// let builder = CircuitBreakerFactory::builder().ignore_all::<Rejected>();
    /// ```
    pub fn ignore_all<E: Error + 'static>(self) -> Self {
        self.ignore::<E>(|_| true)
    }

    /// Lets rules look along the sources of errors of type `E`.
    ///
    /// ```
    /// use purgatory::CircuitBreakerFactory;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("no such page")]
    /// struct NotFound;
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("loading failed")]
    /// struct LoadError(#[from] NotFound);
    ///
    /// let factory = CircuitBreakerFactory::builder()
    ///     .exclude_all::<NotFound>()
    ///     .look_into::<LoadError>()
    ///     .build()?;
    /// let breaker = factory.get_breaker("pages")?;
    /// breaker.call(|| Err::<(), _>(LoadError(NotFound))).unwrap_err();
    /// assert_eq!(breaker.snapshot().failures, 0);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn look_into<E: Error + 'static>(mut self) -> Self {
        self.rules.search::<E>();
        self
    }

    /// Adds a listener, see [`Listener`].
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Event};
    /// let builder = CircuitBreakerFactory::builder()
    ///     .listener(|event: &Event| println!("{event:?}"));
    /// ```
    pub fn listener(self, listener: impl Listener) -> Self {
        self.listeners.add(Box::new(listener));
        self
    }

    /// The clock: [`SystemClock`] if not given.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, ManualClock};
    /// let builder = CircuitBreakerFactory::builder().clock(ManualClock::new());
    /// ```
    pub fn clock<C: Clock>(mut self, clock: C) -> Self {
        self.clock = if TypeId::of::<C>() == TypeId::of::<SystemClock>() {
            TimeSource::System
        } else {
            TimeSource::Custom(Arc::new(clock))
        };
        self
    }

    /// The factory.
    ///
    /// # Errors
    ///
    /// If a setting breaks its rule, see [`Config`], a name cannot be one, see [`Name`], or an option of a
    /// [storage](crate::storage::StorageOptions) breaks its rule (with the feature `storage`).
    ///
    /// # Panics
    ///
    /// If what was given to run the driver does, as `tokio::spawn` does outside a runtime.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let error = CircuitBreakerFactory::builder().threshold(0).build().unwrap_err();
    /// assert_eq!(error.to_string(), "threshold must be 1 to 4294967295, not 0");
    /// ```
    pub fn build(self) -> Result<CircuitBreakerFactory, ConfigError> {
        self.defaults.check()?;
        #[cfg(feature = "storage")]
        self.sharing.check()?;
        let mut overrides = HashMap::new();
        for (name, config) in &self.circuits {
            config.check().map_err(|invalid| ConfigError::from(invalid).of(name))?;
            let entry: &mut Config = overrides.entry(Name::new(name)?).or_default();
            *entry = config.or(*entry);
        }
        Ok(self.build_with(overrides))
    }

    /// The factory, of what is known to be valid.
    pub(super) fn build_with(self, overrides: HashMap<Name, Config>) -> CircuitBreakerFactory {
        let Self { defaults, clock, listeners, rules, .. } = self;
        let common = Arc::new(Common { clock, listeners, rules });
        let inner = Inner {
            #[cfg(feature = "storage")]
            link: self.sharing.start(&common),
            common,
            defaults,
            overrides,
            registry: Registry::new(),
        };
        CircuitBreakerFactory { inner: Arc::new(inner) }
    }
}

impl fmt::Debug for FactoryBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FactoryBuilder")
            .field("defaults", &self.defaults)
            .field("circuits", &self.circuits)
            .field("clock", &self.clock)
            .field("listeners", &self.listeners)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
