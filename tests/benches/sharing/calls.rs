//! What a call costs.

use std::hint::black_box;
use std::time::Duration;

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Consistency};
use purgatory_tests::servers::{Peer, Server};

use super::{Table, Times, builder, shared, storage, timed};

pub(super) fn measure(server: &Server, table: &mut Table) {
    let alone = CircuitBreakerFactory::new();
    let alone = alone.get_breaker("alone").expect("the name is valid");
    let factory = builder(server).build().expect("the options are valid");
    let breaker = shared(&factory, "closed", Config::new());
    let commands = || server.ask::<String>(&["INFO", "commandstats"]);
    let before = sum(&commands());
    // In turn, and the best of many short runs: what else the machine does only ever adds.
    let (mut one, mut other) = (f64::MAX, f64::MAX);
    for _ in 0..200 {
        one = one.min(nanos(&alone));
        other = other.min(nanos(&breaker));
    }
    // Heartbeats, and the question itself.
    let sent = sum(&commands()) - before;
    table.row("closed call, in memory", format!("{one:.2} ns"));
    table.row("closed call, shared", format!("{other:.2} ns ({:.2}x)", other / one));
    table.row("commands sent for 4 million such calls", sent);

    let strict = storage(server).consistency(Consistency::Strict).build().expect("it is valid");
    let factory = builder(server).storage(strict).build().expect("they are valid");
    let breaker = shared(&factory, "strict", Config::new());
    let times = (0..5000).map(|_| timed(|| call(&breaker)).0).collect();
    table.row("strict call, p50 / p99", Times::of(times).shown());

    let config = Config::new().threshold(1).ttl(Duration::from_millis(1));
    let breaker = shared(&builder(server).build().expect("they are valid"), "probe", config);
    let times = (0..500).map(|_| {
        breaker.acquire().map(|permit| permit.failure()).ok();
        std::thread::sleep(Duration::from_millis(5)); // The ttl, and the way to the server.
        timed(|| breaker.acquire().map(|permit| permit.success()).ok()).0
    });
    table.row("leave to probe, p50 / p99", Times::of(times.collect()).shown());

    let mut python = Peer::python(&server.url(), "python", &[]);
    python.action("ok:100");
    let (took, _) = timed(|| python.action("ok:2000"));
    table.row(
        "the Python package, a call (mean)",
        format!("{:.0} us", took.as_secs_f64() * 1e6 / 2e3),
    );
}

fn call(breaker: &CircuitBreaker) -> bool {
    breaker.call(|| black_box(Ok::<u8, std::io::Error>(7))).is_ok()
}

fn nanos(breaker: &CircuitBreaker) -> f64 {
    const CALLS: u32 = 20_000;
    let (took, ok) = timed(|| (0..CALLS).all(|_| call(black_box(breaker))));
    assert!(ok, "the circuit is closed");
    took.as_secs_f64() * 1e9 / f64::from(CALLS)
}

/// All commands that the server has had.
fn sum(stats: &str) -> u64 {
    let calls = stats.split("calls=").skip(1);
    calls.filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok()).sum()
}
