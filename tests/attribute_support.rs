//! A factory that trips at the first failure, an error to fail with, and the polling of futures.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use purgatory::{CircuitBreakerFactory, ManualClock, Rejected, State};

/// What the functions under test fail with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Boom {
    /// The call was rejected by that circuit.
    Rejected(String),
    /// The call failed.
    Code(u16),
}

impl From<Rejected> for Boom {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected.circuit().to_owned())
    }
}

/// What a call gets from `circuit` if it is open.
pub(crate) fn rejected<T>(circuit: &str) -> Result<T, Boom> {
    Err(Boom::Rejected(circuit.to_owned()))
}

/// The circuit that rejected, of an `io::Error`.
pub(crate) fn rejected_by(error: &io::Error) -> Option<&str> {
    error.get_ref()?.downcast_ref().map(Rejected::circuit)
}

/// A factory whose circuits trip at the first failure, on a clock that stands still.
pub(crate) fn sensitive() -> (CircuitBreakerFactory, ManualClock) {
    let clock = ManualClock::new();
    let builder = CircuitBreakerFactory::builder().threshold(1).clock(clock.clone());
    (builder.build().expect("the settings are valid"), clock)
}

/// The state of the circuit, if there is one.
pub(crate) fn state(factory: &CircuitBreakerFactory, circuit: &str) -> Option<State> {
    factory.find(circuit).map(|breaker| breaker.state())
}

/// What `call` comes to while `circuit` is closed. While it is open, it has to be rejected.
pub(crate) fn guarded<T>(circuit: &str, mut call: impl FnMut() -> Result<T, Boom>) -> T {
    let (factory, _clock) = sensitive();
    let value = factory.scope(&mut call).unwrap_or_else(|error| panic!("{error:?}"));
    let breaker = factory.find(circuit).expect("the call went through the circuit");
    breaker.acquire().unwrap().failure();
    match factory.scope(call) {
        Err(error) => assert_eq!(error, Boom::Rejected(circuit.to_owned())),
        Ok(_) => panic!("an open circuit admits the call"),
    }
    value
}

/// Polls once.
pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls to the end, which is at most ten polls away.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    for _ in 0..10 {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return output;
        }
    }
    panic!("the future does not come to an end");
}

/// Is pending once.
pub(crate) async fn pause() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
        .await
}

/// A function in the module `$bare`, and the same with `#[circuit_breaker]` in `$guarded`.
macro_rules! pair {
    ($bare:ident $guarded:ident($($args:tt)*) $($function:tt)*) => {
        mod $bare {
            use super::*;
            $($function)*
        }
        mod $guarded {
            use super::*;
            #[purgatory::circuit_breaker("pair", $($args)*)]
            $($function)*
        }
    };
}
pub(crate) use pair;
