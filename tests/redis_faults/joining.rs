//! Processes that begin: without a server, and when others have been there for long.

use std::time::{Duration, Instant};

use purgatory::{Config, RedisStorage, State};
use purgatory_tests::servers::{Engine, PASSWORD, limited_url, wait_until};

use crate::here::Here;
use crate::stage::{CIRCUIT, SOON, Stage, key, millis};
use crate::with_each_engine;

with_each_engine! {
    a_process_starts_without_the_server
    a_late_joiner_rejects_and_writes_nothing
}

fn config() -> Config {
    Config::new().threshold(2).ttl(millis(300))
}

fn a_process_starts_without_the_server(engine: Engine) {
    let stage = Stage::alone(engine);
    let server = &stage.server;
    let breakers = |rule: &str| drop(server.command(&["ACL", "SETUSER", "breakers", rule]));

    server.kill();
    let here = starts(&stage.url(), "refused");
    server.restart();
    joins(&here);

    server.stop();
    let here = starts(&stage.url(), "no answer");
    server.resume();
    joins(&here);

    let wrong = format!("wrong-{PASSWORD}");
    let here = starts(&server.url_as("breakers", &wrong), "WRONGPASS");
    breakers(&format!(">{wrong}"));
    joins(&here);

    // Nobody has this name (RFC 6761), however long one waits.
    let nowhere = limited_url("redis://redis.invalid:6379");
    let here = starts(&nowhere, "redis.invalid:6379");
    assert!(!here.in_sync());
}

/// A process that does its work and says why it does it alone.
fn starts(url: &str, why: &str) -> Here {
    let storage = RedisStorage::builder(url);
    // Of five first calls the fastest counts: a busy machine may do something else in the middle of one.
    let first_call = || {
        let began = Instant::now();
        let here = Here::start(storage.clone(), config());
        assert!(here.succeeds());
        (began.elapsed(), here)
    };
    let (took, here) = (0..5).map(|_| first_call()).min_by_key(|(took, _)| *took).unwrap();
    println!("{why}: the first call took {took:?}, with the making of all it needs");
    assert!(took < millis(5), "{took:?}");
    here.fail();
    here.fail();
    assert_eq!(here.state(), State::Open);
    wait_until("a probe", SOON, || here.succeeds());
    assert_eq!(here.state(), State::Closed);
    wait_until("it to be told", SOON, || here.told.count("storage_down") == 1);
    let cause = here.told.of("storage_down").remove(0);
    assert!(cause.contains(why), "{cause}");
    here
}

/// It shares what it does, as soon as there is somebody to share it with.
fn joins(here: &Here) {
    let began = Instant::now();
    here.is_up();
    println!("joined after {:?}", began.elapsed());
    assert_eq!(here.told.count("storage_down"), 1, "{:?}", here.told.texts());
    assert_eq!(here.told.count("storage_up"), 1);
    let recorded = || here.breaker.snapshot().shared.unwrap().recorded;
    let before = recorded();
    here.fail();
    here.flush();
    assert_eq!(recorded(), before + 1);
    // For the next who begins.
    here.breaker.reset();
    here.flush();
}

fn a_late_joiner_rejects_and_writes_nothing(engine: Engine) {
    let stage = Stage::alone(engine);
    let config = Config::new().threshold(2).ttl(Duration::from_secs(30));
    let first = stage.here(config);
    let joins = |state: State| {
        let before = stage.stored().expect("there is a record");
        for _ in 0..5 {
            let joiner = Here::start(stage.storage(), config);
            let mut seen = None;
            wait_until("the joiner to see it", SOON, || {
                let now = Instant::now();
                let rejects = joiner.breaker.acquire().map(|permit| permit.ignore()).is_err();
                seen = (rejects == (state == State::Open) && joiner.in_sync()).then_some(now);
                seen.is_some()
            });
            joiner.is_up();
            let up = joiner.told.last("storage_up").unwrap();
            let late = seen.unwrap().saturating_duration_since(up);
            println!("{state}: seen {late:?} after the storage was up");
            assert!(late < millis(50));
            assert_eq!(joiner.state(), state);
            joiner.flush();
        }
        assert_eq!(stage.stored().unwrap(), before);
    };
    first.fail();
    first.flush();
    joins(State::Closed);
    first.fail();
    first.flush();
    joins(State::Open);
    // Nor where there is nothing.
    let other = "never-failed";
    first.factory.get_breaker(other).unwrap().acquire().unwrap().success();
    first.flush();
    assert_eq!(stage.server.ask::<i64>(&["EXISTS", &key(other)]), 0);
    assert_eq!(stage.server.ask::<i64>(&["EXISTS", &key(CIRCUIT)]), 1);
}
