//! How the value of an annotated function is judged, and made for a call that is rejected.

use std::borrow::Borrow;
use std::future::Future;
use std::pin::Pin;

use super::Pass;
use crate::breaker::CircuitBreaker;
use crate::error::Rejected;
use crate::guarded::Guarded;
use crate::outcome::Outcome;
use crate::permit::{Permit, Unsettled};

/// A value that says itself whether the call was a success.
#[diagnostic::on_unimplemented(
    message = "the value `{Self}` does not tell a success from a failure",
    label = "expected a `Result`, an `Option`, or a boxed future of one",
    note = "say what a failure is with `failure_if(..)`, and give a `fallback`"
)]
pub trait Settle: Sized {
    /// Settles the permit with the value. By value, as a future is still to come.
    fn settle<B: Borrow<CircuitBreaker>>(self, permit: Permit<B>) -> Self;
}

impl<T, E: 'static> Settle for Result<T, E> {
    #[inline(always)]
    fn settle<B: Borrow<CircuitBreaker>>(self, mut permit: Permit<B>) -> Self {
        permit.end_with(&self);
        self
    }
}

impl<T> Settle for Option<T> {
    #[inline(always)]
    fn settle<B: Borrow<CircuitBreaker>>(self, mut permit: Permit<B>) -> Self {
        permit.end(if self.is_some() { Outcome::Success } else { Outcome::Failure });
        self
    }
}

impl<'a, O: Settle + 'a> Settle for Pin<Box<dyn Future<Output = O> + 'a>> {
    fn settle<B: Borrow<CircuitBreaker>>(self, permit: Permit<B>) -> Self {
        Box::pin(settled(unpolled(permit), self))
    }
}

impl<'a, O: Settle + 'a> Settle for Pin<Box<dyn Future<Output = O> + Send + 'a>> {
    fn settle<B: Borrow<CircuitBreaker>>(self, permit: Permit<B>) -> Self {
        Box::pin(settled(unpolled(permit), self))
    }
}

/// For the future, which outlives the call: with a breaker of its own, and neutral if it is dropped.
fn unpolled<B: Borrow<CircuitBreaker>>(permit: Permit<B>) -> Permit {
    let mut permit = permit.into_owned();
    permit.unsettled(Unsettled::Ignored);
    permit
}

async fn settled<F: Future<Output: Settle>>(mut permit: Permit, body: F) -> F::Output {
    let ret = Guarded::new(&mut permit, body).await;
    ret.settle(permit)
}

#[inline(always)]
pub fn settle<R: Settle>(permit: Pass<'_>, ret: R) -> R {
    ret.settle(permit)
}

/// A value whose error can be excluded or ignored.
#[diagnostic::on_unimplemented(
    message = "the value `{Self}` has no error to exclude or ignore",
    label = "expected a `Result`"
)]
pub trait Fallible {
    type Error: 'static;

    fn error(&self) -> Option<&Self::Error>;
}

impl<T, E: 'static> Fallible for Result<T, E> {
    type Error = E;

    #[inline]
    fn error(&self) -> Option<&E> {
        self.as_ref().err()
    }
}

/// Settles with the value; `decide` comes before the rules of the factory.
#[inline(always)]
pub fn settle_with<R: Fallible>(
    mut permit: Pass<'_>,
    ret: R,
    decide: impl FnOnce(&R::Error) -> Option<Outcome>,
) -> R {
    let outcome = match ret.error() {
        None => Outcome::Success,
        Some(error) => decide(error).unwrap_or_else(|| permit.breaker().outcome_of(error)),
    };
    permit.end(outcome);
    ret
}

/// Settles the permit if the value is a failure by `failure_if`; if not, hands both back.
#[inline(always)]
pub fn judge<'a, R>(
    mut permit: Pass<'a>,
    ret: R,
    failed: impl FnOnce(&R) -> bool,
) -> Result<(Pass<'a>, R), R> {
    if failed(&ret) {
        permit.end(Outcome::Failure);
        Err(ret)
    } else {
        Ok((permit, ret))
    }
}

/// Finds out whether `R` is [`Settle`]: with both traits below in scope, `(&Kind(&ret)).__purgatory_kind()`
/// is that of `KnownKind` if it is, and else, one reference further, that of `OpaqueKind`.
#[derive(Debug)]
pub struct Kind<'a, R>(pub &'a R);

/// See [`Kind`].
#[derive(Debug)]
pub struct Known;

/// See [`Kind`].
#[derive(Debug)]
pub struct Opaque;

/// See [`Kind`].
pub trait KnownKind {
    fn __purgatory_kind(&self) -> Known;
}

/// See [`Kind`].
pub trait OpaqueKind {
    fn __purgatory_kind(&self) -> Opaque;
}

impl<R: Settle> KnownKind for Kind<'_, R> {
    #[inline]
    fn __purgatory_kind(&self) -> Known {
        Known
    }
}

impl<R> OpaqueKind for &Kind<'_, R> {
    #[inline]
    fn __purgatory_kind(&self) -> Opaque {
        Opaque
    }
}

impl Known {
    #[inline(always)]
    pub fn settle<R: Settle>(self, permit: Pass<'_>, ret: R) -> R {
        ret.settle(permit)
    }
}

impl Opaque {
    /// What `failure_if` has let pass is a success.
    #[inline(always)]
    pub fn settle<R>(self, permit: Pass<'_>, ret: R) -> R {
        permit.success();
        ret
    }
}

/// A value that can be made for a call that is rejected.
#[diagnostic::on_unimplemented(
    message = "the value `{Self}` cannot say that the call was rejected",
    label = "expected a `Result`, an `Option`, or a boxed future of one",
    note = "give a `fallback`, which makes the value of a call that is rejected"
)]
pub trait FromRejected: Sized {
    fn from_rejected(rejected: Rejected) -> Self;
}

impl<T, E: RejectedError> FromRejected for Result<T, E> {
    #[cold]
    fn from_rejected(rejected: Rejected) -> Self {
        Err(E::from_rejected(rejected))
    }
}

impl<T> FromRejected for Option<T> {
    fn from_rejected(_: Rejected) -> Self {
        None
    }
}

impl<'a, O: FromRejected + 'a> FromRejected for Pin<Box<dyn Future<Output = O> + 'a>> {
    fn from_rejected(rejected: Rejected) -> Self {
        Box::pin(async { O::from_rejected(rejected) })
    }
}

impl<'a, O: FromRejected + 'a> FromRejected for Pin<Box<dyn Future<Output = O> + Send + 'a>> {
    fn from_rejected(rejected: Rejected) -> Self {
        // Made when it is polled: the future may be sent though what it comes to may not.
        Box::pin(async { O::from_rejected(rejected) })
    }
}

/// An error that can be made from a [`Rejected`]. A trait beside `From`, for its message.
#[diagnostic::on_unimplemented(
    message = "the error type `{Self}` cannot be made from `purgatory::Rejected`",
    label = "`impl From<purgatory::Rejected> for {Self}` is missing",
    note = "write that `impl`, or give a `fallback`"
)]
pub trait RejectedError: Sized {
    fn from_rejected(rejected: Rejected) -> Self;
}

#[diagnostic::do_not_recommend]
impl<E: From<Rejected>> RejectedError for E {
    fn from_rejected(rejected: Rejected) -> Self {
        rejected.into()
    }
}

#[inline(always)]
pub fn reject<R: FromRejected>(rejected: Rejected) -> R {
    R::from_rejected(rejected)
}
