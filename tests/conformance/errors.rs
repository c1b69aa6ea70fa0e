//! The error types of the traces, and rules about them.

use std::error::Error;

use purgatory::{CircuitBreaker, FactoryBuilder};
use thiserror::Error;

use crate::format::{Exclude, Kind};

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The end of every chain of sources, so that `*` is a rule for it. It has the code.
#[derive(Debug, Error)]
#[error("code {0}")]
struct Anything(i64);

#[derive(Debug, Error)]
#[error("A")]
struct A(#[source] Anything);

/// A subtype of `A`: a rule for `A` finds its source.
#[derive(Debug, Error)]
#[error("A1")]
struct A1(#[source] A);

#[derive(Debug, Error)]
#[error("B")]
struct B(#[source] Anything);

#[derive(Debug, Error)]
#[error("C")]
struct C(#[source] Anything);

pub(crate) fn error(kind: Kind, code: i64) -> BoxError {
    let code = Anything(code);
    match kind {
        Kind::A => Box::new(A(code)),
        Kind::A1 => Box::new(A1(A(code))),
        Kind::B => Box::new(B(code)),
        Kind::C => Box::new(C(code)),
        Kind::Anything => Box::new(code),
    }
}

fn code(error: &(dyn Error + 'static)) -> i64 {
    match error.downcast_ref() {
        Some(Anything(code)) => *code,
        None => code(error.source().expect("every chain ends with an `Anything`")),
    }
}

/// What takes rules: a breaker and a factory.
pub(crate) trait TakesRules: Sized {
    fn rule<E: Error + 'static>(self, when: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self;

    fn rules(self, excludes: &[Exclude]) -> Self {
        excludes.iter().fold(self, |takes, Exclude { kind, when }| match kind {
            Kind::A => takes.rule_if::<A>(*when),
            Kind::A1 => takes.rule_if::<A1>(*when),
            Kind::B => takes.rule_if::<B>(*when),
            Kind::C => takes.rule_if::<C>(*when),
            Kind::Anything => takes.rule_if::<Anything>(*when),
        })
    }

    fn rule_if<E: Error + 'static>(self, when: Option<crate::format::When>) -> Self {
        self.rule::<E>(move |error| when.is_none_or(|when| when.holds(code(error))))
    }
}

impl TakesRules for CircuitBreaker {
    fn rule<E: Error + 'static>(self, when: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.exclude(when)
    }
}

impl TakesRules for FactoryBuilder {
    fn rule<E: Error + 'static>(self, when: impl Fn(&E) -> bool + Send + Sync + 'static) -> Self {
        self.exclude(when)
    }
}
