//! Processes that end, and records that nobody writes any more.

use std::fs;
use std::time::{Duration, Instant};

use purgatory::{CircuitBreaker, Config};
use purgatory_tests::servers::{Engine, wait_until};

use crate::here::Here;
use crate::stage::{SOON, Stage, key, millis};
use crate::with_each_engine;

with_each_engine! {
    the_last_handle_flushes_and_ends_the_driver
    every_key_expires
}

/// The threads of drivers in this process.
fn drivers() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| fs::read(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name == b"purgatory\n").count()
}

fn the_last_handle_flushes_and_ends_the_driver(engine: Engine) {
    let stage = Stage::alone(engine);
    wait_until("the drivers of other tests to end", SOON, || drivers() == 0);
    let config = Config::new().threshold(1000).ttl(Duration::from_secs(60));
    let files = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = files();
    // Ends it, and says how long that took and what was left.
    let ends = |here: Here| {
        let Here { factory, breaker, told } = here;
        drop(factory);
        // A breaker is a handle too.
        wait_until("the driver to have its name", SOON, || drivers() == 1);
        breaker.acquire().unwrap().failure();
        let dropped = Instant::now();
        drop(breaker);
        wait_until("the driver to end", Duration::from_secs(1), || {
            drivers() == 0 && told.count("storage_closed") > 0
        });
        let took = told.last("storage_closed").unwrap().saturating_duration_since(dropped);
        (took, told.of("storage_closed"))
    };
    for round in 1..=3 {
        let here = stage.here(config);
        for index in 0..20 {
            let breaker: CircuitBreaker =
                here.factory.get_breaker_with(&format!("circuit-{index}"), config).unwrap();
            breaker.acquire().unwrap().failure();
        }
        let (took, closed) = ends(here);
        println!("flushed and ended in {took:?}");
        assert!(took < millis(100), "{took:?}");
        assert_eq!(closed, ["storage: closed, 0 failures discarded"]);
        assert_eq!(stage.record().unwrap().failures, round);
        let stored: String = stage.server.ask(&["GET", "cb:{circuit-7}"]);
        assert!(stored.contains(&format!(" 0 {round} 1000:")), "{stored}");
    }
    // It does not wait for a server that does not answer, nor for one that is not there.
    let here = stage.here(config);
    stage.server.stop();
    let (took, closed) = ends(here);
    println!("with a server that hangs, ended in {took:?}");
    assert_eq!(closed, ["storage: closed, 1 failures discarded"]);
    let here = Here::start(stage.storage(), config);
    ends(here);
    stage.server.kill();
    let here = Here::start(stage.storage(), config);
    let (took, closed) = ends(here);
    println!("without a server, ended in {took:?}");
    assert_eq!(closed, ["storage: closed, 1 failures discarded"]);
    wait_until("all connections to be closed", SOON, || files() <= before);
}

fn every_key_expires(engine: Engine) {
    let stage = Stage::new(engine);
    // A record is kept for ten times the ttl, or for this.
    let (config, expiry) = (Config::new().threshold(5).ttl(millis(200)), Duration::from_secs(4));
    let here = stage.patient(config, stage.storage().expiry(expiry));
    let (began, mut connection) = (Instant::now(), stage.server.connect().unwrap());
    let mut checked = 0;
    // A few at a time, so that none has expired when it is looked at.
    for batch in 0..20 {
        let names: Vec<_> = (0..500).map(|index| format!("circuit-{batch}-{index}")).collect();
        let get = |name: &String| here.factory.get_breaker_with(name, config).unwrap();
        let breakers: Vec<_> = names.iter().map(get).collect();
        let synced = |breaker: &CircuitBreaker| breaker.snapshot().shared.unwrap().in_sync;
        wait_until("all to be shared", SOON, || breakers.iter().all(synced));
        breakers.iter().for_each(|breaker| breaker.acquire().unwrap().failure());
        here.flush();
        let mut pipeline = redis::pipe();
        for name in &names {
            pipeline.cmd("PTTL").arg(key(name));
        }
        for left in pipeline.query::<Vec<i64>>(&mut connection).unwrap() {
            assert!(left > 0 && left <= expiry.as_millis() as i64, "kept for {left} ms");
            checked += 1;
        }
    }
    println!("written and checked {checked} in {:?}", began.elapsed());
    let health: i64 = stage.server.ask(&["PTTL", "cb:health"]);
    assert!(health > 0 && health <= 60_000, "kept for {health} ms");
    // That they are asked for does not keep them.
    wait_until("all of them to expire", SOON * 2, || {
        stage.server.ask::<Vec<String>>(&["KEYS", "*"]) == ["cb:health"]
    });
    println!("gone after {:?}", began.elapsed());
    assert_eq!(here.told.count("storage_down"), 0, "{:?}", here.told.texts());
}
