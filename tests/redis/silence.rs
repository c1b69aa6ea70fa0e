//! A circuit about which there is nothing to say says nothing.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use purgatory_tests::servers::{Engine, Server};

use crate::fleet::Fleet;
use crate::with_each_engine;

with_each_engine! {
    alone a_healthy_circuit_is_silent
}

/// How often each command was done.
fn commands(server: &Server) -> BTreeMap<String, u64> {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_"));
    let count = |line: &str| {
        let (name, rest) = line.split_once(":calls=")?;
        Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
    };
    lines.filter_map(count).collect()
}

fn a_healthy_circuit_is_silent(engine: Engine) {
    let server = Server::limited(engine);
    let mut fleet = Fleet::start(&server.limited_url(), 4, &[]);
    let (before, began) = (commands(&server), Instant::now());
    fleet.act("load 1 0");
    // Long enough for heartbeats, and for whatever else might be done every second.
    let window = Duration::from_millis(2500);
    fleet.wait("a million calls of each", Duration::from_secs(60), |member| {
        member.count("calls") >= 1_000_000 && began.elapsed() > window
    });
    fleet.act("stop");
    let (mut after, took) = (commands(&server), began.elapsed());
    assert_eq!(fleet.sum("observed") + fleet.sum("rejected"), 0);

    for (name, count) in before {
        let now = after.get_mut(&name).expect("a count does not go away");
        *now -= count;
    }
    after.retain(|_, count| *count > 0);
    let heartbeats = after.remove("time").unwrap_or(0);
    // Each reads its circuit every 30 seconds, at a time of its own.
    let readings = after.remove("evalsha").unwrap_or(0);
    assert_eq!(after.remove("get").unwrap_or(0), readings, "{after:?}");
    assert!(u128::from(readings) <= 4 * (took.as_millis() / 30_000 + 1), "{readings} in {took:?}");
    assert_eq!(after, BTreeMap::from([("info".to_owned(), 1)]), "it was not to be heard of");
    // Two a second of each, and that which was about to come.
    let at_most = 4 * (took.as_millis() / 500 + 1);
    assert!(heartbeats >= 4 * 2 && u128::from(heartbeats) <= at_most, "{heartbeats} in {took:?}");
    eprintln!("{} calls, {heartbeats} heartbeats in {took:?}", fleet.sum("calls"));
}
