//! Calls of async functions, each polled once.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use gungraun::{library_benchmark, library_benchmark_group};
use purgatory::circuit_breaker;

use crate::{FAILING, Failed, Kept, OK, closed, open, repeat, shared, work};

#[inline(always)]
fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[allow(clippy::unused_async)] // It is to be the least that there is to await.
async fn work_async(input: u64) -> Result<u64, Failed> {
    work(input)
}

// What the loop takes by itself.
#[library_benchmark]
#[bench::bare()]
fn await_of_nothing() {
    repeat(|| poll(work_async(black_box(OK))));
}

#[library_benchmark]
#[bench::closed(closed())]
#[bench::closed_shared(shared())]
#[bench::rejected(open())]
fn call_async(kept: Kept) -> Kept {
    repeat(|| poll(kept.1.call_async(|| work_async(black_box(OK)))));
    kept
}

#[circuit_breaker("async attribute", threshold = 1, ttl = "1h")]
async fn annotated(input: u64) -> Result<u64, Failed> {
    work_async(input).await
}

/// The call that looks the breaker up, and may trip it.
fn annotated_once(input: u64) {
    assert!(poll(annotated(input)).is_ready());
}

#[library_benchmark]
#[bench::closed(annotated_once(OK))]
#[bench::rejected(annotated_once(FAILING))]
fn async_attribute(_: ()) {
    repeat(|| poll(annotated(black_box(OK))));
}

library_benchmark_group!(
    name = async_calls,
    benchmarks = [await_of_nothing, call_async, async_attribute]
);
