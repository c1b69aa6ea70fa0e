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
pub use crate::guarded::Guarded;
pub use crate::{CircuitBreaker, CircuitBreakerFactory, Config, Outcome, Permit, Rejected};

use crate::permit::Unsettled;
use std::future::Future;

/// Runs the body of a sync function. Only a panic can keep it from returning.
///
/// That the body is taken by an `FnOnce` bound makes it a closure that may be called once, so that
/// references out of its `&mut` captures live.
#[inline(always)]
pub fn run<'a, R>(mut permit: Pass<'a>, body: impl FnOnce() -> R) -> (Pass<'a>, R) {
    permit.unsettled(Unsettled::Failure);
    let ret = body();
    (permit, ret)
}

/// Guards the body of an async function. Cancelled, it counts as nothing.
#[inline(always)]
pub fn guard<F: Future>(permit: Pass<'_>, body: F) -> Guarded<&CircuitBreaker, F> {
    Guarded::new(permit, Unsettled::Ignored, body)
}

/// Guards the body of an async function. Cancelled, it counts as a failure.
#[inline(always)]
pub fn guard_cancel_fails<F: Future>(permit: Pass<'_>, body: F) -> Guarded<&CircuitBreaker, F> {
    Guarded::new(permit, Unsettled::Failure, body)
}

/// The permit of an annotated function, which holds the breaker in a local.
pub type Pass<'a> = Permit<&'a CircuitBreaker>;
