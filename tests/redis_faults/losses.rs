//! The server loses records: absence says nothing about a dependency.

use std::thread;
use std::time::{Duration, Instant};

use purgatory::{Config, State};
use purgatory_tests::servers::{Engine, Server, wait_until};

use crate::here::{Here, all_become};
use crate::stage::{CIRCUIT, SOON, Stage, key, millis};
use crate::with_each_engine;

with_each_engine! {
    a_flushed_server_closes_nothing
    an_evicted_record_closes_nothing
    a_rolled_back_server_is_followed
}

const TTL: Duration = Duration::from_secs(1);

/// By how much the clocks of two processes may be apart, on a busy machine.
const SKEW: Duration = millis(50);

fn a_flushed_server_closes_nothing(engine: Engine) {
    let stage = Stage::new(engine);
    let fleet = stage.fleet(config());
    nothing_closes(&stage, &fleet, || {
        stage.server.command(&["FLUSHALL"]);
    });
}

fn an_evicted_record_closes_nothing(engine: Engine) {
    let stage = Stage::new(engine);
    for policy in ["allkeys-lru", "volatile-lru"] {
        let fleet = stage.fleet(config());
        stage.server.command(&["CONFIG", "SET", "maxmemory-policy", policy]);
        nothing_closes(&stage, &fleet, || evict(&stage.server));
        stage.server.command(&["FLUSHALL"]);
    }
}

fn config() -> Config {
    Config::new().threshold(3).ttl(TTL)
}

/// Makes others take the place of the record.
fn evict(server: &Server) {
    let info: String = server.ask(&["INFO", "memory"]);
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.expect("it is told").trim().parse().expect("it is a number");
    server.command(&["CONFIG", "SET", "maxmemory", &(used + (4 << 20)).to_string()]);
    let (mut connection, value) = (server.connect().unwrap(), "x".repeat(100_000));
    let mut others = 0;
    wait_until("the record to be evicted", SOON, || {
        for _ in 0..20 {
            others += 1;
            let other = format!("other:{others}");
            // They expire too, so that either policy can choose them.
            let set = redis::cmd("SET").arg(&[&other, &value, "EX", "600"]).to_owned();
            set.query::<()>(&mut connection).unwrap();
        }
        redis::cmd("EXISTS").arg(key(CIRCUIT)).query::<i64>(&mut connection).unwrap() == 0
    });
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
}

/// The record is lost while the circuit is open, and again while it is half-open.
fn nothing_closes(stage: &Stage, fleet: &[Here; 3], lose: impl Fn()) {
    let all: Vec<_> = fleet.iter().collect();
    let [first, second, third] = fleet;
    let tripped = Instant::now();
    all.iter().for_each(|here| here.fail());
    all_become(State::Open, &all, SOON);
    lose();
    assert_eq!(stage.stored(), None);
    // Each asks all the time, and is turned away until the ttl has passed.
    let admitted = wait_for_a_probe(first, &[second, third]);
    let early = (tripped + TTL).saturating_duration_since(admitted.1);
    assert!(early < SKEW, "admitted {early:?} too early");
    let record = stage.record().expect("whoever gives leave writes it down");
    assert_eq!((record.state, record.probes.len()), ('H', 1));

    // The place stays taken for all of its lease.
    lose();
    let until = admitted.1 + TTL - SKEW;
    while Instant::now() < until {
        for here in [second, third] {
            assert!(!here.is_admitted() || Instant::now() >= until, "two probes");
        }
        thread::sleep(millis(5)); // The pace of the calls.
    }
    admitted.0.success();
    let closed = all_become(State::Closed, &all, SOON);
    println!("closed {closed:?} after the probe");
    assert!(all.iter().all(|here| here.told.count("storage_down") == 0));
}

/// Calls everywhere until `first` has a probe.
fn wait_for_a_probe(first: &Here, others: &[&Here]) -> (purgatory::Permit, Instant) {
    let mut admitted = None;
    wait_until("a probe", SOON, || {
        let permit = first.breaker.acquire().ok();
        admitted = permit.map(|permit| (permit.into_owned(), Instant::now()));
        assert!(admitted.is_some() || others.iter().all(|here| here.state() != State::Closed));
        admitted.is_some()
    });
    let (permit, at) = admitted.expect("it was waited for");
    assert!(permit.is_probe());
    (permit, at)
}

/// What a failover loses, a restart from an old dump loses as well: acknowledged writes.
fn a_rolled_back_server_is_followed(engine: Engine) {
    let stage = Stage::new(engine);
    let config = Config::new().threshold(100).ttl(Duration::from_secs(30));
    let [here, there] = stage.fleet(config);
    let both = [&here, &there];
    let restart = || {
        stage.server.restart();
        wait_until("both to share", SOON, || both.iter().all(|here| here.in_sync()));
        // Nobody's time is less than nothing, whatever was there before.
        for here in both {
            let snapshot = here.breaker.snapshot();
            assert!(snapshot.since <= snapshot.taken_at, "{snapshot:?}");
        }
    };
    // A failure more is told when there is need to: `there` knows of it when it counts one itself.
    let agree = |state: State, failures: u64| {
        let all = || both.iter().all(|here| here.state() == state);
        wait_until(&format!("both to be {state}"), SOON, all);
        let record = stage.record().unwrap();
        assert_eq!((record.failures, record.state == 'O'), (failures, state == State::Open));
    };
    let fail = |times: u32| {
        for _ in 0..times {
            here.fail();
        }
        here.flush();
    };
    fail(3);
    stage.server.command(&["SAVE"]);
    fail(4);
    there.fail();
    there.flush();
    assert_eq!(stage.record().unwrap().failures, 8);
    let (before, newest) = (stage.stored().unwrap(), here.version());
    restart();
    // The last failure of either may be retold, as it may be that nobody has it; it is not.
    agree(State::Closed, 3);
    assert_eq!(both.map(|here| here.breaker.snapshot().failures), [3, 3]);
    assert!(here.version() < newest, "an answer tells the truth, even if it is older");

    // What is pushed is not an answer: something older than what is known was on its way for long.
    fail(1);
    agree(State::Closed, 4);
    let known = both.map(|here| here.version().expect("it is known")).into_iter().min().unwrap();
    let old = Vec::from_iter(before.split(' ').skip(1)).join(" ");
    for version in [1, known - 1, known] {
        let message = format!("{} {version} {}", key(CIRCUIT), old.replacen('C', "O", 1));
        stage.server.command(&["PUBLISH", "cb:ev", &message]);
    }
    here.fail();
    here.flush();
    agree(State::Closed, 5);
    assert_eq!(both.map(|here| here.told.count("state_changed")), [0, 0]);

    // A trip that is lost was confirmed: the circuit closes early, and all agree.
    stage.server.command(&["SAVE"]);
    fail(95);
    agree(State::Open, 0);
    restart();
    agree(State::Closed, 5);
    there.fail();
    there.flush();
    agree(State::Closed, 6);

    // A reset that is lost: the circuit is open again, for no longer than its ttl.
    fail(94);
    agree(State::Open, 0);
    stage.server.command(&["SAVE"]);
    here.breaker.reset();
    agree(State::Closed, 0);
    here.flush();
    restart();
    agree(State::Open, 0);
    for here in both {
        let left = here.breaker.acquire().unwrap_err().retry_after();
        assert!(left <= Duration::from_secs(30), "{left:?} left");
    }
}
