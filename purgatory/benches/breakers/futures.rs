//! Calls of async functions, polled by one small executor.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use failsafe::futures::CircuitBreaker as _;
use futures_executor::block_on;
use purgatory::{CircuitBreakerFactory, Config, circuit_breaker};
use recloser::AsyncRecloser;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::{Failed, peers, work};

#[allow(clippy::unused_async)] // It is to be the least that there is to await.
async fn work_async(input: u64) -> Result<u64, Failed> {
    work(input)
}

#[circuit_breaker("async attribute")]
async fn annotated(input: u64) -> Result<u64, Failed> {
    work_async(input).await
}

/// The time of so many calls, one after the other, in one future.
fn in_turn<T, E, F>(calls: u64, mut call: impl FnMut() -> F) -> Duration
where
    F: Future<Output = Result<T, E>>,
{
    block_on(async {
        let begin = Instant::now();
        for _ in 0..calls {
            black_box(call().await.ok());
        }
        begin.elapsed()
    })
}

pub(crate) fn closed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("async, closed");
    group.bench_function("bare await", |b| {
        b.iter_custom(|n| in_turn(n, || work_async(black_box(1))));
    });
    let factory = CircuitBreakerFactory::new();
    let breaker = factory.get_breaker("bench").expect("the name is valid");
    group.bench_function("purgatory call_async", |b| {
        b.iter_custom(|n| in_turn(n, || breaker.call_async(|| work_async(black_box(1)))));
    });
    group.bench_function("purgatory attribute", |b| {
        b.iter_custom(|n| in_turn(n, || annotated(black_box(1))));
    });
    let failsafe = peers::failsafe(5);
    group.bench_function("failsafe", |b| {
        b.iter_custom(|n| in_turn(n, || failsafe.call(work_async(black_box(1)))));
    });
    let recloser = AsyncRecloser::from(peers::recloser(100, 0.5));
    group.bench_function("recloser", |b| {
        b.iter_custom(|n| in_turn(n, || recloser.call(work_async(black_box(1)))));
    });
    let (layer, _) = peers::tower();
    group.bench_function("tower-resilience", |b| b.iter_custom(|n| tower_calls(&layer, n)));
    group.finish();
}

pub(crate) fn rejected(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("async, rejected");
    let config = Config::new().threshold(1).ttl(Duration::from_secs(3600));
    let factory = CircuitBreakerFactory::new();
    let breaker = factory.get_breaker_with("bench", config).expect("the config is valid");
    let _ = breaker.call(|| work(u64::MAX));
    group.bench_function("purgatory call_async", |b| {
        b.iter_custom(|n| in_turn(n, || breaker.call_async(|| work_async(black_box(1)))));
    });
    let failsafe = peers::failsafe(1);
    let _ = block_on(failsafe.call(work_async(u64::MAX)));
    group.bench_function("failsafe", |b| {
        b.iter_custom(|n| in_turn(n, || failsafe.call(work_async(black_box(1)))));
    });
    let recloser = AsyncRecloser::from(peers::recloser(2, 0.1));
    (0..10).for_each(|_| drop(block_on(recloser.call(work_async(u64::MAX)))));
    group.bench_function("recloser", |b| {
        b.iter_custom(|n| in_turn(n, || recloser.call(work_async(black_box(1)))));
    });
    let (layer, handle) = peers::tower();
    block_on(handle.force_open());
    group.bench_function("tower-resilience", |b| b.iter_custom(|n| tower_calls(&layer, n)));
    group.finish();
}

fn tower_calls(
    layer: &tower_resilience_circuitbreaker::CircuitBreakerLayer,
    calls: u64,
) -> Duration {
    let mut service = layer.layer(service_fn(|input| async move {
        Ok::<_, Infallible>(work(input).unwrap_or_default())
    }));
    block_on(async {
        let begin = Instant::now();
        for _ in 0..calls {
            let ready = service.ready().await.expect("the service is always ready");
            black_box(ready.call(black_box(1)).await.ok());
        }
        begin.elapsed()
    })
}
