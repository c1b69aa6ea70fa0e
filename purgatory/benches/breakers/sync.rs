//! Calls of closures and functions.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use criterion::Criterion;
use failsafe::CircuitBreaker as _;
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, circuit_breaker};

use crate::{Failed, peers, work};

const OPEN: Config = Config::new().threshold(1).ttl(Duration::from_secs(3600));

#[circuit_breaker("attribute")]
fn annotated(input: u64) -> Result<u64, Failed> {
    work(input)
}

#[circuit_breaker("open attribute", threshold = 1, ttl = "1h")]
fn annotated_open(input: u64) -> Result<u64, Failed> {
    work(input)
}

fn breaker(config: Config) -> CircuitBreaker {
    CircuitBreakerFactory::new().get_breaker_with("bench", config).expect("the config is valid")
}

pub(crate) fn closed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("closed");
    group.bench_function("bare call", |b| b.iter(|| work(black_box(1)).ok()));
    let word = AtomicU64::new(0);
    group.bench_function("floor", |b| {
        b.iter(|| {
            black_box(word.load(Ordering::Relaxed));
            let result = work(black_box(1));
            black_box(word.load(Ordering::Relaxed));
            result.ok()
        });
    });
    let breaker = breaker(Config::new());
    group.bench_function("purgatory call", |b| b.iter(|| breaker.call(|| work(black_box(1))).ok()));
    group.bench_function("purgatory permit", |b| {
        b.iter(|| {
            let permit = breaker.acquire().ok()?;
            let result = work(black_box(1));
            permit.settle(&result);
            result.ok()
        });
    });
    group.bench_function("purgatory attribute", |b| b.iter(|| annotated(black_box(1)).ok()));
    let failsafe = peers::failsafe(5);
    group.bench_function("failsafe", |b| b.iter(|| failsafe.call(|| work(black_box(1))).ok()));
    let recloser = peers::recloser(100, 0.5);
    group.bench_function("recloser", |b| b.iter(|| recloser.call(|| work(black_box(1))).ok()));
    group.finish();
}

/// The time of one call while another thread makes the same calls. What they share has to be boxed: on
/// the stack of one thread it would be beside what that thread writes.
fn beside_another_thread<R>(calls: u64, call: impl Fn() -> R + Sync) -> Duration {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            (0..calls).for_each(|_| _ = black_box(call()));
        });
        start.wait();
        alone(calls, &call)
    })
}

/// The time of one call in the same loop.
fn alone<R>(calls: u64, call: impl Fn() -> R) -> Duration {
    let begin = Instant::now();
    (0..calls).for_each(|_| _ = black_box(call()));
    begin.elapsed()
}

pub(crate) fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("closed, two threads");
    let word = Box::new(AtomicU64::new(0));
    let floor = || {
        black_box(word.load(Ordering::Relaxed));
        let result = work(black_box(1));
        black_box(word.load(Ordering::Relaxed));
        result.ok()
    };
    group.bench_function("floor", |b| b.iter_custom(|n| beside_another_thread(n, floor)));
    let breaker = Box::new(breaker(Config::new()));
    let call = || breaker.call(|| work(black_box(1))).ok();
    group.bench_function("purgatory call", |b| b.iter_custom(|n| beside_another_thread(n, call)));
    group.bench_function("purgatory call, one thread", |b| b.iter_custom(|n| alone(n, call)));
    let failsafe = Box::new(peers::failsafe(5));
    let call = || failsafe.call(|| work(black_box(1))).ok();
    group.bench_function("failsafe", |b| b.iter_custom(|n| beside_another_thread(n, call)));
    let recloser = Box::new(peers::recloser(100, 0.5));
    let call = || recloser.call(|| work(black_box(1))).ok();
    group.bench_function("recloser", |b| b.iter_custom(|n| beside_another_thread(n, call)));
    group.finish();
}

pub(crate) fn rejected(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rejected");
    let breaker = Box::new(breaker(OPEN));
    let _ = breaker.call(|| work(u64::MAX));
    group.bench_function("purgatory call", |b| b.iter(|| breaker.call(|| work(black_box(1))).ok()));
    let _ = annotated_open(u64::MAX);
    group.bench_function("purgatory attribute", |b| b.iter(|| annotated_open(black_box(1)).ok()));
    group.bench_function("purgatory call, two threads", |b| {
        b.iter_custom(|n| beside_another_thread(n, || breaker.call(|| work(black_box(1))).ok()));
    });
    let failsafe = peers::failsafe(1);
    let _ = failsafe.call(|| work(u64::MAX));
    group.bench_function("failsafe", |b| b.iter(|| failsafe.call(|| work(black_box(1))).ok()));
    let recloser = peers::recloser(2, 0.1);
    (0..10).for_each(|_| drop(recloser.call(|| work(u64::MAX))));
    group.bench_function("recloser", |b| b.iter(|| recloser.call(|| work(black_box(1))).ok()));
    group.finish();
}

pub(crate) fn alternating(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("failure and success in turn");
    // Every second call fails: inputs are the largest number and zero.
    let mut input = 0;
    let mut next = move || {
        input = !input;
        black_box(input)
    };
    group.bench_function("bare call", |b| b.iter(|| work(next()).ok()));
    let breaker = breaker(Config::new());
    group.bench_function("purgatory call", |b| b.iter(|| breaker.call(|| work(next())).ok()));
    let failsafe = peers::failsafe(5);
    group.bench_function("failsafe", |b| b.iter(|| failsafe.call(|| work(next())).ok()));
    let recloser = peers::recloser(100, 0.9);
    group.bench_function("recloser", |b| b.iter(|| recloser.call(|| work(next())).ok()));
    group.finish();
}

pub(crate) fn look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("look-up by name");
    let factory = CircuitBreakerFactory::new();
    let names: Vec<_> = (0..100).map(|id| format!("circuit-{id}")).collect();
    for name in &names {
        factory.get_breaker(name).expect("the name is valid");
    }
    let mut turn = names.iter().cycle();
    group.bench_function("purgatory, 100 circuits", |b| {
        b.iter(|| factory.get_breaker(turn.next().expect("a cycle does not end")));
    });
    group.finish();
}
