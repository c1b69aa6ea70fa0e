//! How annotated functions find their breakers.

use std::sync::OnceLock;

use super::Pass;
use crate::breaker::CircuitBreaker;
use crate::config::Config;
use crate::error::Rejected;
use crate::factory::CircuitBreakerFactory;
use crate::global;
use crate::locked::Pause;
use crate::name::Name;

/// An annotated function with a literal name: it looks its breaker up once.
#[derive(Debug)]
pub struct Callsite {
    name: Name,
    config: Config,
    breaker: OnceLock<CircuitBreaker>,
}

impl Callsite {
    /// # Panics
    ///
    /// If the name or a setting breaks its rule. In a `static`, that is an error of the compiler.
    pub const fn new(name: &'static str, config: Config) -> Self {
        Self { name: Name::from_static(name), config: checked(config), breaker: OnceLock::new() }
    }

    /// The breaker: one look-up by name in the life of the program, but for scopes.
    #[inline(always)]
    pub fn breaker(&'static self) -> Breaker {
        if global::scopes_exist() {
            if let Some(breaker) = self.breaker_in_scope() {
                return Breaker(Kept::Own(breaker));
            }
        }
        Breaker(Kept::Here(self.breaker.get().unwrap_or_else(|| self.first_breaker())))
    }

    #[cold]
    fn first_breaker(&'static self) -> &'static CircuitBreaker {
        // Not within `get_or_init`, which is a lock: listeners are told of the new circuit, and may
        // call this very function.
        let breaker = self.obtain(&global::factory());
        self.breaker.get_or_init(|| breaker)
    }

    #[cold]
    fn breaker_in_scope(&self) -> Option<CircuitBreaker> {
        global::scoped().map(|factory| self.obtain(&factory))
    }

    fn obtain(&self, factory: &CircuitBreakerFactory) -> CircuitBreaker {
        factory.obtain(self.name.clone(), self.config)
    }
}

/// The breaker of one call of an annotated function.
#[derive(Debug)]
pub struct Breaker(Kept);

#[derive(Debug)]
enum Kept {
    Here(&'static CircuitBreaker),
    Own(CircuitBreaker),
}

impl Breaker {
    #[inline(always)]
    pub fn acquire(&self) -> Result<Pass<'_>, Rejected> {
        self.get().permit()
    }

    #[inline(always)]
    pub async fn acquire_async(&self) -> Result<Pass<'_>, Rejected> {
        self.get().permit_async().await
    }

    /// A permit, or one that is given after the pause.
    #[inline(always)]
    pub fn acquire_or_pause(&self) -> Result<(Pass<'_>, Option<Box<Pause<'_>>>), Rejected> {
        self.get().permit_or_pause()
    }

    #[inline(always)]
    fn get(&self) -> &CircuitBreaker {
        match &self.0 {
            Kept::Here(breaker) => breaker,
            Kept::Own(breaker) => breaker,
        }
    }
}

/// # Panics
///
/// If a setting breaks its rule. In a `const`, that is an error of the compiler.
pub const fn checked(config: Config) -> Config {
    match config.check() {
        Ok(()) => config,
        Err(invalid) => panic!("{}", invalid.rule),
    }
}

/// A breaker of the global factory. A name that cannot be one is made one, see `#[circuit_breaker]`.
pub fn named<S: AsRef<str> + ?Sized>(name: &S, config: Config) -> Breaker {
    from(&global::factory(), name, config)
}

/// A breaker of that factory.
pub fn from<S: AsRef<str> + ?Sized>(
    factory: &CircuitBreakerFactory,
    name: &S,
    config: Config,
) -> Breaker {
    let name = name.as_ref();
    let breaker = factory
        .registered(name, config)
        .unwrap_or_else(|| factory.obtain(Name::from_lossy(name), config));
    Breaker(Kept::Own(breaker))
}
