//! What the tests share.

mod log;
#[cfg(not(any(loom, shuttle, tsan)))]
pub mod servers;

use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, FactoryBuilder, ManualClock};

pub use self::log::{Log, line};

/// A factory on a manual clock, with a log of what its listeners are told.
#[derive(Debug)]
pub struct World {
    /// The clock of the factory.
    pub clock: ManualClock,
    /// The factory.
    pub factory: CircuitBreakerFactory,
    /// Every event of the factory.
    pub log: Log,
}

impl World {
    /// A factory with the usual settings.
    pub fn new() -> Self {
        Self::with(CircuitBreakerFactory::builder())
    }

    /// A factory with other settings.
    pub fn with(builder: FactoryBuilder) -> Self {
        let (clock, log) = (ManualClock::new(), Log::default());
        let factory = builder.clock(clock.clone()).listener(log.clone()).build();
        Self { clock, factory: factory.expect("the settings of a test are valid"), log }
    }

    /// A new circuit, whose creation is not in the log.
    pub fn breaker(&self, config: Config) -> CircuitBreaker {
        let breaker = self.factory.get_breaker_with("payments", config);
        self.log.take();
        breaker.expect("the config of a test is valid")
    }

    /// Moves the clock by so many seconds.
    pub fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Fails until the circuit is open.
pub fn trip(breaker: &CircuitBreaker) {
    for _ in 0..breaker.settings().threshold {
        breaker.acquire().expect("the circuit is closed").failure();
    }
}

/// Polls a future once, for nobody.
pub fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls a future that never waits.
///
/// # Panics
///
/// If it waits after all.
pub fn ready<F: Future>(future: F) -> F::Output {
    match poll_once(std::pin::pin!(future)) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future that was to be ready is not"),
    }
}

/// Runs something that must not hang.
///
/// # Panics
///
/// If it has not ended after ten seconds, or panics.
pub fn in_time<R: Send + 'static>(body: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, ended) = mpsc::channel();
    let thread = thread::spawn(move || {
        // Nobody waits any more if this is late.
        let _ = done.send(body());
    });
    match ended.recv_timeout(Duration::from_secs(10)) {
        Ok(answer) => answer,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it ended without an answer"))
        }
    }
}

/// The examples of the README, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
