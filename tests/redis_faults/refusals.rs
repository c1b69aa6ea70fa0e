//! The server answers, and says no.

use std::time::{Duration, Instant};

use purgatory::{Config, State};
use purgatory_tests::servers::{Engine, Proxy, limited_url, wait_until};

use crate::here::Here;
use crate::stage::{SOON, Stage};
use crate::with_each_engine;

with_each_engine! {
    a_read_only_server_is_refused_once
    a_full_server_is_refused_once
    memory_stays_as_it_is_while_the_server_is_full
}

fn a_read_only_server_is_refused_once(engine: Engine) {
    let stage = Stage::new(engine);
    // Nobody is there to replicate from.
    is_refused_once(
        &stage,
        &["REPLICAOF", "127.0.0.1", "1"],
        "READONLY",
        &["REPLICAOF", "NO", "ONE"],
    );
}

fn a_full_server_is_refused_once(engine: Engine) {
    let stage = Stage::new(engine);
    let set = |bytes| ["CONFIG", "SET", "maxmemory", bytes];
    is_refused_once(&stage, &set("1"), "OOM", &set("0"));
}

/// `down` takes away the right to write, `up` gives it back.
fn is_refused_once(stage: &Stage, down: &[&str], word: &str, up: &[&str]) {
    // To count the connections.
    let proxy = Proxy::start(stage.server.port());
    let storage = purgatory::RedisStorage::builder(limited_url(&proxy.url()));
    let config = Config::new().threshold(1_000_000).ttl(Duration::from_secs(60));
    let here = Here::start(storage, config);
    here.is_up();
    let mut failures = 0;
    let mut fail = || {
        here.fail();
        failures += 1;
    };
    stage.server.command(down);
    wait_until("it to be down", SOON, || {
        fail();
        here.told.count("storage_down") > 0
    });
    assert!(here.told.of("storage_down")[0].contains(word), "{:?}", here.told.texts());
    // Two seconds until the waits are as long as they get, then two to count.
    load_for(Duration::from_secs(2), &mut fail);
    let before = proxy.accepted();
    load_for(Duration::from_secs(2), &mut fail);
    // A wait is a second, give or take a half: two seconds have at most four.
    assert!(proxy.accepted() - before <= 4, "{} connections", proxy.accepted() - before);
    assert_eq!(here.told.count("storage_down"), 1, "{:?}", here.told.texts());
    assert_eq!(here.told.count("storage_up"), 1, "{:?}", here.told.texts());
    assert_eq!(here.state(), State::Closed);

    stage.server.command(up);
    let writable = Instant::now();
    wait_until("it to be up", Duration::from_secs(2), || here.told.count("storage_up") == 2);
    println!("shared {:?} after the server was well", writable.elapsed());
    here.flush();
    let shared = here.breaker.snapshot().shared.unwrap();
    assert_eq!((shared.recorded, shared.discarded, shared.pending), (failures, 0, 0));
    assert_eq!(stage.record().unwrap().failures, failures);
    assert_eq!(here.told.count("storage_down"), 1);
    assert_eq!(here.told.count("storage_refused"), 0);
}

fn load_for(time: Duration, call: &mut impl FnMut()) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        call();
        std::thread::sleep(Duration::from_millis(1)); // The pace of the calls.
    }
}

/// A minute of failures in ten seconds: at full speed there are more of them than in a minute of any service.
fn memory_stays_as_it_is_while_the_server_is_full(engine: Engine) {
    let stage = Stage::new(engine);
    let mut member = stage.member(&["--threshold", "4000000000", "--ttl", "600"]);
    member.act("mode fail");
    stage.server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    member.act("load 1 0");
    member.waits_for("it to be down", SOON, |report| report["in_sync"] == false);
    // What is set up once is set up after a second.
    load_for(Duration::from_secs(1), &mut || ());
    let before = member.act("report");
    load_for(Duration::from_secs(9), &mut || ());
    let after = member.act("report");
    let number = |name: &str| [&before, &after].map(|report| report[name].as_u64().unwrap());
    let ([kb, kb_later], [observed, observed_later]) = (number("resident_kb"), number("observed"));
    println!("{} failures, {kb} kB before, {kb_later} kB after", observed_later - observed);
    assert!(observed_later - observed > 60_000, "not even a thousand a second of a minute");
    assert!(kb_later <= kb + 1024, "{kb} kB before, {kb_later} kB after");
    assert_eq!(member.told("storage_down").len(), 1);
    stage.server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    member.act("stop");
    assert_eq!(member.act("flush 5000")["result"], true);
    let report = member.act("report");
    assert_eq!((&report["recorded"], &report["discarded"]), (&report["observed"], &0.into()));
}
