//! The process-wide factory, and how tests replace it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::breaker::CircuitBreaker;
use crate::error::ConfigError;
use crate::factory::CircuitBreakerFactory;

static GLOBAL: OnceLock<CircuitBreakerFactory> = OnceLock::new();

/// How many scopes are entered, on all threads. While there is none, nobody looks for one.
static SCOPES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SCOPE: RefCell<Option<CircuitBreakerFactory>> = const { RefCell::new(None) };
}

/// Makes `factory` the global one. Do this at start-up: the first use of the global factory, also by
/// an annotated function, makes a default one.
///
/// # Errors
///
/// If there is a global factory already, configured or made by its first use.
///
/// ```
/// use purgatory::CircuitBreakerFactory;
///
/// let factory = CircuitBreakerFactory::builder().threshold(10).build()?;
/// purgatory::configure(factory)?;
/// assert_eq!(purgatory::get_breaker("payments")?.settings().threshold, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn configure(factory: CircuitBreakerFactory) -> Result<(), AlreadyConfigured> {
    GLOBAL.set(factory).map_err(|_| AlreadyConfigured(()))
}

/// There is a global factory already, configured or made by its first use.
///
/// ```
/// use purgatory::CircuitBreakerFactory;
///
/// purgatory::get_breaker("payments")?; // the first use
/// assert!(purgatory::configure(CircuitBreakerFactory::new()).is_err());
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the global factory is configured or in use already")]
pub struct AlreadyConfigured(());

/// The global factory, or the one whose [scope](CircuitBreakerFactory::scope) this is called in.
///
/// ```
/// for circuit in purgatory::factory().snapshot() {
///     println!("{} is {}", circuit.name, circuit.state);
/// }
/// ```
pub fn factory() -> CircuitBreakerFactory {
    scoped().unwrap_or_else(|| GLOBAL.get_or_init(CircuitBreakerFactory::new).clone())
}

/// A breaker of the global factory, see [`CircuitBreakerFactory::get_breaker`].
///
/// # Errors
///
/// If the name is new and cannot be one, see [`Name`](crate::Name).
///
/// ```
/// let breaker = purgatory::get_breaker("payments")?;
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
pub fn get_breaker(name: &str) -> Result<CircuitBreaker, ConfigError> {
    factory().get_breaker(name)
}

/// Whether any thread is in a scope. False is certain for what the asking thread has entered itself.
#[inline(always)]
pub(crate) fn scopes_exist() -> bool {
    SCOPES.load(Ordering::Relaxed) > 0
}

/// The factory whose scope this thread is in.
pub(crate) fn scoped() -> Option<CircuitBreakerFactory> {
    if !scopes_exist() {
        return None;
    }
    // While the thread ends, its scope may be gone before those who ask.
    SCOPE.try_with(|scope| scope.borrow().clone()).ok().flatten()
}

impl CircuitBreakerFactory {
    /// Runs `body` with this factory in place of the global one, on this thread: so that tests which
    /// use the same names run side by side.
    ///
    /// It reaches [`factory`], [`get_breaker`] and annotated functions (unless they name a factory),
    /// but not threads and tasks that the body starts. Scopes nest.
    ///
    /// ```
    /// use purgatory::CircuitBreakerFactory;
    ///
    /// let factory = CircuitBreakerFactory::new();
    /// factory.scope(|| purgatory::get_breaker("payments"))?;
    /// assert_eq!(factory.names(), ["payments"]);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn scope<R>(&self, body: impl FnOnce() -> R) -> R {
        let _entered = Entered::new(self);
        body()
    }

    /// As [`scope`](Self::scope), for a future: whichever thread polls it, or drops it.
    ///
    /// ```
    /// # use purgatory::CircuitBreakerFactory;
    /// # let future = async {
    /// let factory = CircuitBreakerFactory::new();
    /// factory.scope_async(async { purgatory::get_breaker("payments") }).await?;
    /// assert_eq!(factory.names(), ["payments"]);
    /// # Ok::<(), purgatory::ConfigError>(())
    /// # };
    /// # futures_executor::block_on(future).unwrap();
    /// ```
    pub fn scope_async<F: Future>(&self, body: F) -> impl Future<Output = F::Output> + use<F> {
        Scoped { body: Some(body), factory: self.clone() }
    }
}

pin_project! {
    struct Scoped<F> {
        #[pin]
        body: Option<F>,
        factory: CircuitBreakerFactory,
    }

    impl<F> PinnedDrop for Scoped<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _entered = Entered::new(this.factory);
            this.body.set(None);
        }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _entered = Entered::new(this.factory);
        let body = this.body.as_pin_mut().expect("only the drop takes the body away");
        body.poll(cx)
    }
}

/// Puts the factory that was in scope before back in place.
struct Entered {
    before: Option<CircuitBreakerFactory>,
}

impl Entered {
    fn new(factory: &CircuitBreakerFactory) -> Self {
        SCOPES.fetch_add(1, Ordering::Relaxed);
        Self { before: replace_scope(Some(factory.clone())) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        replace_scope(self.before.take());
        SCOPES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While the thread ends, its scope may be gone before a future that is dropped in one.
fn replace_scope(factory: Option<CircuitBreakerFactory>) -> Option<CircuitBreakerFactory> {
    SCOPE.try_with(|scope| scope.replace(factory)).ok().flatten()
}
