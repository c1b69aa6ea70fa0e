//! How many instructions calls take: run by `.ci/instructions`, which compares them with `counts`.
//!
//! Each benchmark makes [`CALLS`] calls, so that what it does but once is no part of the figure. What a call
//! needs is made before the counting begins, and outlives it. Each runs in a process of its own.

#![allow(unused_qualifications)] // In what the macros of gungraun expand to.

mod futures;
mod sync;

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use gungraun::{Callgrind, LibraryBenchmarkConfig, main};
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, MemoryStorage, Rejected};

use self::futures::async_calls;
use self::sync::sync_calls;

// Beside the instructions those that lock the bus: one of them is hardly seen among the others, and costs
// as much as all of them.
main!(
    config = LibraryBenchmarkConfig::default()
        .tool(Callgrind::with_args(["cache-sim=no", "collect-bus=yes"])),
    library_benchmark_groups = [sync_calls, async_calls]
);

/// How many calls a benchmark makes.
const CALLS: u64 = 1000;

/// Makes the calls.
#[inline(always)]
fn repeat<T>(mut call: impl FnMut() -> T) {
    for _ in 0..CALLS {
        black_box(call());
    }
}

/// The error of the calls: as large as those of real ones, and with nothing to drop.
#[derive(Debug, Clone, Copy)]
struct Failed(#[allow(dead_code)] u64); // Only its size matters.

impl From<Rejected> for Failed {
    fn from(_: Rejected) -> Self {
        Self(0)
    }
}

const OK: u64 = 1;
const FAILING: u64 = u64::MAX;

/// The call that is guarded. Inlined: what it took would hide some of what guarding it takes.
#[inline(always)]
fn work(input: u64) -> Result<u64, Failed> {
    if input == FAILING { Err(Failed(input)) } else { Ok(input) }
}

/// A breaker, and the factory that keeps it as it is.
type Kept = (CircuitBreakerFactory, CircuitBreaker);

fn kept(factory: CircuitBreakerFactory, config: Config) -> Kept {
    let breaker = factory.get_breaker_with("payments", config).expect("the config is valid");
    (factory, breaker)
}

/// A circuit that no failure of a benchmark opens.
fn closed() -> Kept {
    kept(CircuitBreakerFactory::new(), Config::new().threshold(u32::MAX))
}

/// A circuit that stays open.
fn open() -> Kept {
    let config = Config::new().threshold(1).ttl(Duration::from_secs(3600));
    let kept = kept(CircuitBreakerFactory::new(), config);
    kept.1.call(|| work(FAILING)).expect_err("the call fails");
    kept
}

/// A circuit that is in step with its storage.
fn shared() -> Kept {
    let factory = CircuitBreakerFactory::builder().storage(MemoryStorage::new()).build();
    let kept = kept(factory.expect("the settings are valid"), Config::new());
    while !kept.1.snapshot().shared.is_some_and(|shared| shared.in_sync) {
        thread::yield_now();
    }
    kept
}
