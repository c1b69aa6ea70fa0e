//! What the attribute expands to. Semver exempt: for expanded code only.

mod callsite;
mod verdict;

pub use core;
pub use std;

pub use self::callsite::{Breaker, Callsite, checked, from, named};
pub use self::verdict::{
    Fallible, FromRejected, Kind, Known, KnownKind, Opaque, OpaqueKind, RejectedError, Settle,
    judge, reject, settle, settle_with,
};
pub use crate::guarded::{Admitted, Guarded};
pub use crate::locked::Pause;
pub use crate::{CircuitBreaker, CircuitBreakerFactory, Config, Outcome, Permit, Rejected};

use crate::permit::Unsettled;
use std::future::Future;

/// Runs the body of a sync function. Only a panic can keep it from returning.
#[inline(always)]
pub fn run<R>(permit: &mut Pass<'_>, body: impl FnOnce() -> R) -> R {
    permit.unsettled(Unsettled::Failure);
    call(body)
}

/// Calls a closure, which is one that may be called once because of the bound here: so that references
/// out of its `&mut` captures live.
#[inline(always)]
pub fn call<R>(body: impl FnOnce() -> R) -> R {
    body()
}

/// Guards the body of an async function.
#[inline(always)]
pub fn guard<'a, 'b, F: Future>(
    permit: &'a mut Pass<'b>,
    body: F,
) -> Guarded<'a, &'b CircuitBreaker, F> {
    Guarded::new(permit, body)
}

/// The same, after the pause that the permit may need.
#[inline(always)]
pub fn guard_after<'a, 'b, F: Future>(
    pause: Option<Box<Pause<'b>>>,
    permit: &'a mut Pass<'b>,
    body: F,
) -> Admitted<'a, 'b, F> {
    Admitted::new(pause, Guarded::new(permit, body))
}

/// Cancelled, the call counts as a failure; else it counts as nothing.
#[inline(always)]
pub fn cancel_fails(permit: &mut Pass<'_>) {
    permit.fail_if_cancelled();
}

/// The permit of an annotated function, which holds the breaker in a local.
pub type Pass<'a> = Permit<&'a CircuitBreaker>;
