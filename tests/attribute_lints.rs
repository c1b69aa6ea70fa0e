//! Lints: those that the user's code deserves fire, and the expansion adds none.

#![deny(clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(unused, let_underscore_drop, unreachable_pub, single_use_lifetimes, unused_lifetimes)]
#![deny(
    unused_results,
    redundant_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    explicit_outlives_requirements
)]

use std::future::Future;
use std::pin::Pin;

use purgatory::circuit_breaker;

use crate::attribute_support::{Boom, finish, guarded, pause};

/// Lints of rustc that must fire on the user's code: if one does not, its `expect` is a warning.
mod fires {
    #![deny(unfulfilled_lint_expectations)]

    use super::{Boom, circuit_breaker, pause};

    #[expect(dead_code)]
    #[circuit_breaker("lints")]
    fn never_called() -> Option<()> {
        Some(())
    }

    #[expect(dead_code)]
    #[circuit_breaker("lints")]
    async fn never_called_either(n: u8) -> Option<u8> {
        Some(n)
    }

    #[expect(unused_variables)]
    #[circuit_breaker("lints")]
    pub(super) fn variables(unused: u8, (left, _right): (u8, u8)) -> Option<()> {
        Some(())
    }

    #[expect(unused_variables)]
    #[circuit_breaker("lints", fallback = fallback)]
    pub(super) async fn variables_async(
        used: u8,
        unused: String,
        (left, right): (u8, u8),
    ) -> Option<u8> {
        Some(used + left)
    }

    #[expect(unused_variables)]
    #[circuit_breaker("lints")]
    pub(super) fn named_like_a_method(len: usize, list: &[u8]) -> Option<usize> {
        Some(list.len())
    }

    async fn fallback(used: u8, _: String, (_, right): (u8, u8)) -> Option<u8> {
        pause().await;
        Some(used + right)
    }

    #[expect(unused_mut)]
    #[circuit_breaker("lints")]
    pub(super) fn mutable(mut n: u8) -> Option<u8> {
        Some(n)
    }

    #[expect(unused_assignments)]
    #[circuit_breaker("lints")]
    pub(super) fn assignments(mut n: u8) -> Option<u8> {
        let old = n;
        n = 5;
        Some(old)
    }

    #[expect(unreachable_code)]
    #[circuit_breaker("lints")]
    pub(super) fn unreachable(n: u8) -> Option<u8> {
        return Some(n);
        None
    }

    #[expect(unused_must_use)]
    #[circuit_breaker("lints")]
    pub(super) async fn must_use(result: Result<u8, Boom>) -> Result<u8, Boom> {
        must_be_used(1);
        result
    }

    #[must_use]
    #[circuit_breaker("lints")]
    pub(super) fn must_be_used(n: u8) -> Option<u8> {
        Some(n)
    }
}

#[test]
fn lints_fire_on_the_code_of_the_user() {
    assert_eq!(fires::variables(1, (2, 3)), Some(()));
    assert_eq!(finish(fires::variables_async(1, String::new(), (2, 3))), Some(3));
    assert_eq!((fires::mutable(1), fires::assignments(1)), (Some(1), Some(1)));
    assert_eq!(fires::unreachable(1), Some(1));
    assert_eq!(fires::named_like_a_method(1, &[]), Some(0));
    assert_eq!(finish(fires::must_use(Ok(1))), Ok(1));
}

type Outcome<T> = Result<T, Boom>;

#[circuit_breaker("lints", threshold = 1, ttl = "1m 30s", probe_lease = 0.5)]
fn plain(n: u8, text: &str) -> Outcome<usize> {
    let n = usize::from(n);
    Ok(n + text.len())
}

#[circuit_breaker("lints")]
async fn one_expression(n: u8) -> Outcome<usize> {
    plain(n, "a")
}

#[circuit_breaker("lints")]
async fn awaiting(n: u8, _: u8, text: String) -> Outcome<usize> {
    pause().await;
    if n == 0 {
        return Err(Boom::Code(1));
    }
    one_expression(n).await.map(|n| n + text.len())
}

#[circuit_breaker(name = format!("lints/{n}"), factory = purgatory::factory())]
fn named(n: u8) -> Option<()> {
    (n > 0).then_some(())
}

#[circuit_breaker("lints", exclude(Boom::Code(400..=499 | 1)), ignore = is_rejection)]
fn excluding(n: u16) -> Outcome<()> {
    if n == 0 { Ok(()) } else { Err(Boom::Code(n)) }
}

const fn is_rejection(error: &Boom) -> bool {
    matches!(error, Boom::Rejected(_))
}

#[circuit_breaker("lints", failure_if(Ok(500..)), exclude = |e| *e == Boom::Code(1))]
async fn judging(n: u16) -> Outcome<u16> {
    pause().await;
    Ok(n)
}

#[circuit_breaker("lints", failure_if = |n| *n > 5, fallback = fallback)]
fn falling_back(n: u8, (left, right): (u8, u8), _: u8) -> u8 {
    n + left + right
}

const fn fallback(n: u8, (_, right): (u8, u8), _: u8) -> u8 {
    n + right
}

#[circuit_breaker("lints", failure_if(()), fallback = ())]
fn unit(n: &mut u8) {
    *n += 1;
}

#[circuit_breaker("lints", on_cancel = failure, fallback = Ok(0))]
fn lazy(n: u8) -> Pin<Box<dyn Future<Output = Outcome<u8>> + Send>> {
    Box::pin(async move {
        pause().await;
        Ok(n)
    })
}

#[circuit_breaker(name = text.trim())]
fn eager(text: &str) -> impl Future<Output = Outcome<usize>> + use<> {
    let length = text.len();
    async move {
        pause().await;
        Ok(length)
    }
}

#[derive(Debug)]
struct Client {
    calls: u32,
    name: String,
    factory: purgatory::CircuitBreakerFactory,
}

impl Client {
    #[circuit_breaker("lints")]
    fn increment(&mut self) -> Outcome<&mut Self> {
        self.calls += 1;
        Ok(self)
    }

    #[circuit_breaker("lints")]
    fn generic<T: Clone, const N: usize>(&self, list: &[T; N]) -> Outcome<Vec<T>> {
        list.get(self.calls as usize..).map(<[T]>::to_vec).ok_or(Boom::Code(1))
    }

    #[circuit_breaker(name = &self.name, factory = self.factory)]
    #[allow(clippy::type_complexity)]
    fn own_factory(&self) -> Result<(&Self, Vec<Option<(&str, [u8; 4])>>), Boom> {
        Ok((self, vec![Some((&self.name, [0; 4]))]))
    }

    #[circuit_breaker("lints", factory = self.factory)]
    fn eager(&self) -> impl Future<Output = Outcome<u32>> + use<> {
        let calls = self.calls;
        async move {
            pause().await;
            Ok(calls)
        }
    }

    #[circuit_breaker("lints")]
    async fn consume(self) -> Outcome<u32> {
        pause().await;
        Ok(self.calls)
    }
}

#[test]
fn the_expansion_is_as_clean_as_the_code_of_the_user() {
    assert_eq!(guarded("lints", || plain(1, "a")), 2);
    assert_eq!(guarded("lints", || finish(awaiting(1, 2, "a".to_owned()))), 3);
    assert_eq!(named(1), Some(()));
    assert_eq!(guarded("lints", || excluding(0)), ());
    assert_eq!(guarded("lints", || finish(judging(1))), 1);
    assert_eq!(falling_back(1, (2, 3), 4), 6);
    let mut n = 1;
    unit(&mut n);
    assert_eq!(n, 2);
    assert_eq!(finish(lazy(1)), Ok(1));
    assert_eq!(guarded("lints", || finish(eager(" lints"))), 6);
    let client = || Client {
        calls: 1,
        name: "own".to_owned(),
        factory: purgatory::CircuitBreakerFactory::new(),
    };
    assert_eq!(client().own_factory().unwrap().1, [Some(("own", [0; 4]))]);
    assert_eq!(finish(client().eager()), Ok(1));
    assert_eq!(guarded("lints", || client().increment().map(|client| client.calls)), 2);
    assert_eq!(guarded("lints", || client().generic(&[1, 2])), [2]);
    assert_eq!(guarded("lints", || finish(client().consume())), 1);
}
