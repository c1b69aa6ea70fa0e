//! How fast news travels, and how much of it.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use purgatory::{Config, Event, State};
use purgatory_tests::servers::Server;

use super::{Table, Times, builder, shared};

pub(super) fn measure(server: &Server, table: &mut Table) {
    for listeners in [1, 10, 30] {
        let times = travel(server, listeners, 300);
        table.row(format!("a trip reaches {listeners} others, p50 / p99"), times.shown());
    }
    table.row(
        "failures counted, one process at full speed",
        format!("{:.1} million/s", count(server)),
    );
}

/// From the call that fails here to the listener there.
fn travel(server: &Server, listeners: usize, trips: usize) -> Times {
    let name = format!("travel-{listeners}");
    // So long that nothing but a reset ends it.
    let config = Config::new().threshold(1).ttl(Duration::from_secs(3600));
    let (send, heard) = mpsc::channel();
    let others: Vec<_> = (0..listeners)
        .map(|_| {
            let send = send.clone();
            let listener = move |event: &Event| {
                if let Event::StateChanged { change, .. } = event {
                    // The last of them end with the one who listens.
                    let _ = send.send((change.to, Instant::now()));
                }
            };
            let factory = builder(server).listener(listener).build().expect("they are valid");
            let breaker = shared(&factory, &name, config);
            (factory, breaker)
        })
        .collect();
    let factory = builder(server).build().expect("they are valid");
    let breaker = shared(&factory, &name, config);
    let mut times = Vec::new();
    let all = |state| {
        let next = || heard.recv_timeout(Duration::from_secs(10)).expect("it arrives");
        (0..listeners).map(|_| next()).inspect(|(to, _)| assert_eq!(*to, state)).collect::<Vec<_>>()
    };
    for _ in 0..trips {
        let permit = breaker.acquire().expect("the circuit is closed");
        let failed = Instant::now();
        permit.failure();
        times.extend(all(State::Open).into_iter().map(|(_, at)| at - failed));
        breaker.reset();
        all(State::Closed);
    }
    drop(others);
    Times::of(times)
}

/// Millions a second that are counted here and have reached the server.
fn count(server: &Server) -> f64 {
    let factory = builder(server).build().expect("they are valid");
    let breaker = shared(&factory, "count", Config::new().threshold(u32::MAX));
    let began = Instant::now();
    let mut failures = 0_u64;
    while began.elapsed() < Duration::from_secs(2) {
        for _ in 0..1000 {
            breaker.acquire().expect("it never trips").failure();
        }
        failures += 1000;
    }
    factory.flush(Duration::from_secs(10)).expect("the server is there");
    let shared = breaker.snapshot().shared.expect("it is shared");
    assert_eq!(shared.recorded, failures);
    failures as f64 / began.elapsed().as_secs_f64() / 1e6
}
