//! Name to breaker.

mod builder;
#[cfg(feature = "storage")]
mod sharing;

use std::collections::HashMap;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::breaker::CircuitBreaker;
use crate::config::Config;
use crate::error::ConfigError;
use crate::listener::{Listener, ListenerId};
#[cfg(feature = "storage")]
use crate::locked::FleetLink;
use crate::locked::{Common, LockedCircuit};
use crate::name::Name;
use crate::registry::{Registry, RemoveError};
use crate::snapshot::Snapshot;

pub use self::builder::FactoryBuilder;

/// A registry of circuit breakers by name, with what they have in common: default settings, rules,
/// listeners, clock.
///
/// Cheap to clone; clones are the same factory. Most programs have one, the
/// [global](crate::factory()) one, which the attribute uses as well.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, Config};
///
/// let factory = CircuitBreakerFactory::new();
/// let breaker = factory.get_breaker_with("payments", Config::new().threshold(3))?;
///
/// // The same circuit: settings are those of the first registration.
/// assert_eq!(factory.get_breaker("payments")?.settings().threshold, 3);
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[doc(alias = "CircuitBreakerRegistry")]
#[derive(Clone)]
pub struct CircuitBreakerFactory {
    inner: Arc<Inner>,
}

struct Inner {
    common: Arc<Common>,
    defaults: Config,
    overrides: HashMap<Name, Config>,
    registry: Registry,
    #[cfg(feature = "storage")]
    link: Option<Arc<FleetLink>>,
}

impl CircuitBreakerFactory {
    /// A factory with the default settings: threshold 5, ttl 30 s, one probe.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// assert!(CircuitBreakerFactory::new().names().is_empty());
    /// ```
    pub fn new() -> Self {
        FactoryBuilder::new().build_with(HashMap::new())
    }

    /// A factory with other settings.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let factory = CircuitBreakerFactory::builder().threshold(10).build()?;
    /// assert_eq!(factory.get_breaker("payments")?.settings().threshold, 10);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn builder() -> FactoryBuilder {
        FactoryBuilder::new()
    }

    /// The breaker of that name, which is registered if it is new.
    ///
    /// This settles the settings of a new name, so code that only looks should use
    /// [`find`](Self::find).
    ///
    /// # Errors
    ///
    /// If it is new and the name cannot be one, see [`Name`].
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let breaker = CircuitBreakerFactory::new().get_breaker("payments")?;
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn get_breaker(&self, name: &str) -> Result<CircuitBreaker, ConfigError> {
        match self.find(name) {
            Some(breaker) => Ok(breaker),
            None => Ok(self.register(Name::new(name)?, Config::new())),
        }
    }

    /// The breaker of that name, which is registered with these settings if it is new.
    ///
    /// What the config leaves out is decided by the factory. If the name is registered with other
    /// settings, or is not shared as asked for, it stays as it is, and an
    /// [`Event::ConfigConflict`](crate::Event::ConfigConflict) says so.
    ///
    /// # Errors
    ///
    /// If a setting breaks its rule, see [`Config`], or the name is new and cannot be one, see
    /// [`Name`].
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Config};
    /// let factory = CircuitBreakerFactory::new();
    /// let breaker = factory.get_breaker_with("payments", Config::new().threshold(3))?;
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn get_breaker_with(
        &self,
        name: &str,
        config: Config,
    ) -> Result<CircuitBreaker, ConfigError> {
        config.check().map_err(|invalid| ConfigError::from(invalid).of(name))?;
        match self.registered(name, config) {
            Some(breaker) => Ok(breaker),
            None => Ok(self.register(Name::new(name)?, config)),
        }
    }

    /// The breaker of that name, if it is registered.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// assert!(CircuitBreakerFactory::new().find("payments").is_none());
    /// ```
    pub fn find(&self, name: &str) -> Option<CircuitBreaker> {
        self.inner.registry.get(name).map(CircuitBreaker::new)
    }

    /// The names of all circuits, in order.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let factory = CircuitBreakerFactory::new();
    /// factory.get_breaker("search")?;
    /// factory.get_breaker("payments")?;
    /// assert_eq!(factory.names(), ["payments", "search"]);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn names(&self) -> Vec<Name> {
        self.breakers().map(|breaker| breaker.name().clone()).collect()
    }

    /// All breakers, by name.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let factory = CircuitBreakerFactory::new();
    /// factory.get_breaker("payments")?;
    /// factory.breakers().for_each(|breaker| breaker.reset());
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn breakers(&self) -> impl Iterator<Item = CircuitBreaker> + use<> {
        self.inner.registry.all().into_iter().map(CircuitBreaker::new)
    }

    /// What all circuits are now, by name. Each is seen at one moment, one after the other.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let factory = CircuitBreakerFactory::new();
    /// factory.get_breaker("payments")?;
    /// for circuit in factory.snapshot() {
    ///     println!("{} {} for {:?}", circuit.name, circuit.state, circuit.age());
    /// }
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn snapshot(&self) -> Vec<Snapshot> {
        self.breakers().map(|breaker| breaker.snapshot()).collect()
    }

    /// Closes every circuit, as [`CircuitBreaker::reset`] does.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// CircuitBreakerFactory::new().reset();
    /// ```
    pub fn reset(&self) {
        self.breakers().for_each(|breaker| breaker.reset());
    }

    /// Removes a circuit that nobody holds, also an open one: the next to ask for its name gets a
    /// new, closed one. What a storage has of it stays, and is what a shared one is again.
    ///
    /// # Errors
    ///
    /// If there is none of that name, or somebody holds a breaker or a permit of it. An annotated
    /// function with a literal name holds its breaker from its first call on; and the driver, a shared circuit
    /// of which the storage does not know all.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// let factory = CircuitBreakerFactory::new();
    /// factory.get_breaker("payments")?;
    /// factory.remove("payments")?;
    /// assert!(factory.names().is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn remove(&self, name: &str) -> Result<(), RemoveError> {
        self.inner.registry.remove(name)
    }

    /// Adds a listener, for everything that happens from here on, and what is still on its way to the
    /// others. From the first event of a circuit that reaches it, it misses none but those that are counted in
    /// [`Snapshot::events_dropped`](crate::Snapshot::events_dropped).
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Event};
    /// let factory = CircuitBreakerFactory::new();
    /// factory.add_listener(|event: &Event| println!("{event:?}"));
    /// ```
    pub fn add_listener(&self, listener: impl Listener) -> ListenerId {
        self.inner.common.listeners.add(Box::new(listener))
    }

    /// Removes a listener, and returns whether it was there. It gets no event after this has returned, except
    /// those, one of each circuit at most, that other threads are handing to it just now.
    ///
    /// ```
    /// # use purgatory::{CircuitBreakerFactory, Event};
    /// let factory = CircuitBreakerFactory::new();
    /// let id = factory.add_listener(|event: &Event| println!("{event:?}"));
    /// assert!(factory.remove_listener(id));
    /// ```
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.inner.common.listeners.remove(id)
    }

    /// How often a listener has panicked.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// assert_eq!(CircuitBreakerFactory::new().listener_panics(), 0);
    /// ```
    pub fn listener_panics(&self) -> u64 {
        self.inner.common.listeners.panics()
    }

    /// [`get_breaker_with`](Self::get_breaker_with), when it is known that nothing breaks a rule.
    pub(crate) fn obtain(&self, name: Name, config: Config) -> CircuitBreaker {
        self.registered(&name, config).unwrap_or_else(|| self.register(name, config))
    }

    /// The breaker of that name, if it is registered. Reports settings that it does not have.
    pub(crate) fn registered(&self, name: &str, config: Config) -> Option<CircuitBreaker> {
        self.inner.registry.get(name).map(|found| self.compared(found, config))
    }

    /// Registers a circuit, unless somebody else has just done that.
    fn register(&self, name: Name, config: Config) -> CircuitBreaker {
        let new = self.circuit(name.clone(), self.asked(&name, config).or(self.inner.defaults));
        match self.inner.registry.add(Arc::clone(&new)) {
            Ok(()) => {
                // Others find it by now, and a listener may take its time.
                #[cfg(feature = "storage")]
                new.join();
                new.announce();
                CircuitBreaker::new(new)
            }
            Err(found) => self.compared(found, config),
        }
    }

    fn circuit(&self, name: Name, config: Config) -> Arc<LockedCircuit> {
        let (settings, common) = (config.resolve(), Arc::clone(&self.inner.common));
        #[cfg(feature = "storage")]
        if let Some(link) = self.inner.link.as_ref().filter(|_| config.shared != Some(false)) {
            return LockedCircuit::shared(name, settings, common, link);
        }
        Arc::new(LockedCircuit::new(name, settings, common))
    }

    fn compared(&self, found: Arc<LockedCircuit>, config: Config) -> CircuitBreaker {
        #[cfg(feature = "storage")]
        let shares = self.inner.link.is_some();
        #[cfg(not(feature = "storage"))]
        let shares = false;
        found.compare(self.asked(found.name(), config), shares);
        CircuitBreaker::new(found)
    }

    /// What the code asks for, where it is not overridden.
    fn asked(&self, name: &str, config: Config) -> Config {
        self.inner.overrides.get(name).map_or(config, |overrides| overrides.or(config))
    }
}

#[cfg(feature = "storage")]
impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.close();
        }
    }
}

// As for `CircuitBreaker`.
impl UnwindSafe for CircuitBreakerFactory {}
impl RefUnwindSafe for CircuitBreakerFactory {}

impl fmt::Debug for CircuitBreakerFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreakerFactory")
            .field("circuits", &self.names())
            .field("defaults", &self.inner.defaults)
            .finish_non_exhaustive()
    }
}

impl Default for CircuitBreakerFactory {
    fn default() -> Self {
        Self::new()
    }
}
