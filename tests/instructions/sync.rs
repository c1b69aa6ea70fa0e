//! Calls of closures and functions.

use std::hint::black_box;

use gungraun::{library_benchmark, library_benchmark_group};
use purgatory::circuit_breaker;

use crate::{FAILING, Failed, Kept, OK, closed, open, repeat, shared, work};

// What the loop takes by itself.
#[library_benchmark]
#[bench::bare()]
fn call_of_nothing() {
    repeat(|| work(black_box(OK)));
}

#[library_benchmark]
#[bench::closed(closed(), OK)]
#[bench::closed_shared(shared(), OK)]
#[bench::failing(closed(), FAILING)]
#[bench::rejected(open(), OK)]
fn call(kept: Kept, input: u64) -> Kept {
    repeat(|| kept.1.call(|| work(black_box(input))));
    kept
}

#[library_benchmark]
#[bench::closed(closed())]
#[bench::closed_shared(shared())]
fn permit(kept: Kept) -> Kept {
    repeat(|| kept.1.acquire().map(|permit| permit.success()));
    kept
}

#[circuit_breaker("attribute", threshold = 1, ttl = "1h")]
fn annotated(input: u64) -> Result<u64, Failed> {
    work(input)
}

/// The call that looks the breaker up, and may trip it.
fn annotated_once(input: u64) {
    let _ = annotated(input);
}

#[library_benchmark]
#[bench::closed(annotated_once(OK))]
#[bench::rejected(annotated_once(FAILING))]
fn attribute(_: ()) {
    repeat(|| annotated(black_box(OK)));
}

// The only circuit: where one of many lies in its table is another place in every run.
#[library_benchmark]
#[bench::existing(closed())]
fn get_breaker(kept: Kept) -> Kept {
    repeat(|| kept.0.get_breaker(black_box("payments")));
    kept
}

library_benchmark_group!(
    name = sync_calls,
    benchmarks = [call_of_nothing, call, permit, attribute, get_breaker]
);
