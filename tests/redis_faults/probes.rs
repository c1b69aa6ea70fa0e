//! Leave to probe: how many have it, and how it ends.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use purgatory::{Config, Permit, State};
use purgatory_tests::poll_once;
use purgatory_tests::servers::{Engine, Server, wait_until};

use crate::here::{Here, all_become};
use crate::member::Member;
use crate::record::Record;
use crate::stage::{SOON, Stage, millis};
use crate::with_each_engine;

with_each_engine! {
    probes_are_limited_over_all_processes
    a_place_is_freed_by_whatever_ends_its_probe
    late_probes_and_late_calls_change_nothing
}

const LEASE: Duration = millis(500);

/// Eight processes with four threads each, of which one or three at a time may probe.
fn probes_are_limited_over_all_processes(engine: Engine) {
    let stage = Stage::alone(engine);
    for limit in [1, 3] {
        stage.server.command(&["FLUSHALL"]);
        let (ended, server) = (AtomicBool::new(false), &stage.server);
        let records = thread::scope(|threads| {
            let listening = threads.spawn(|| announced(server, &ended));
            let end = EndOnDrop(&ended);
            let admitted = storm(&stage, limit);
            drop(end);
            let records = listening.join().unwrap();
            let (granted, least) = check(&records, limit);
            println!("{limit} at a time: {admitted} probes, {granted} grants, {least:?} apart");
            assert!(admitted <= granted, "{admitted} probes, and leave for {granted}");
            records
        });
        assert!(records.iter().any(|record| record.probes.len() == limit), "not vacuous");
    }
}

/// Whoever listens ends even if the test does not get to its end.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Probes that fail at once, probes that outlive their lease, and probes that succeed. Returns how many there
/// were.
fn storm(stage: &Stage, limit: usize) -> u64 {
    let probes = limit.to_string();
    let args = ["--threshold", "5", "--ttl", "0.5", "--lease", "0.5", "--probes", &probes];
    let mut fleet: Vec<Member> = (0..8).map(|_| Member::start(&stage.url(), &[], &args)).collect();
    fleet.iter_mut().for_each(Member::is_up);
    let mut tell = |action: &str| {
        fleet.iter_mut().for_each(|member| member.peer.send(action));
        fleet.iter_mut().map(Member::answer).collect::<Vec<_>>()
    };
    tell("mode fail");
    tell("load 4 200");
    // Some leases long, each of these: it is what is looked at.
    thread::sleep(LEASE * 3);
    tell("mode hang 700");
    thread::sleep(LEASE * 4);
    tell("mode ok");
    wait_until("the circuit to recover everywhere", SOON, || {
        tell("report").iter().all(|report| report["state"] == "closed")
    });
    tell("stop");
    let admitted = tell("report").iter().map(|report| report["probes"].as_u64().unwrap()).sum();
    let closed = |event: &serde_json::Value| {
        let closed = event["text"].as_str().unwrap().contains("half-open to closed");
        closed.then(|| event["at"].as_f64().unwrap())
    };
    let last =
        |member: &Member| member.told("state_changed").into_iter().filter_map(closed).next_back();
    let times: Vec<f64> = fleet.iter().map(|member| last(member).expect("it has closed")).collect();
    let [first, last] =
        [f64::min, f64::max].map(|pick| times.iter().copied().reduce(pick).unwrap());
    println!("all closed within {:.1} ms", (last - first) * 1e3);
    assert!(last - first < 0.1, "{times:?}");
    admitted
}

/// Every record that is announced.
fn announced(server: &Server, ended: &AtomicBool) -> Vec<Record> {
    let mut connection = server.connect().unwrap();
    let mut listening = connection.as_pubsub();
    listening.subscribe("cb:ev").unwrap();
    listening.set_read_timeout(Some(millis(50))).unwrap();
    let mut records = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let Ok(message) = listening.get_message() else { continue };
        let text: String = message.get_payload().unwrap();
        if let Some(value) = text.strip_prefix("cb:{payments} ") {
            records.push(Record::parse(value));
        }
    }
    records
}

/// By the server's own clock: no more leave at a time than there may be, nor within one lease. Returns how often
/// leave was given, and how far apart at least.
fn check(records: &[Record], limit: usize) -> (u64, Duration) {
    let mut granted = BTreeMap::new();
    let mut unused = Vec::new();
    for (index, record) in records.iter().enumerate() {
        assert!(record.probes.len() <= limit, "{record:?}");
        let lease = record.settings[4];
        granted.extend(record.probes.iter().map(|&(id, end)| (id, end - lease)));
        // What was asked for and came too late for the call is given back: nobody has probed.
        if let Some(next) = records[index + 1..].first() {
            let same = (next.state, next.generation) == ('H', record.generation);
            let left = record.probes.iter().filter(|(_, end)| *end > next.version);
            let gone = left.filter(|probe| same && !next.probes.contains(probe));
            unused.extend(gone.map(|&(id, _)| id));
        }
    }
    let count = granted.len() as u64;
    granted.retain(|id, _| !unused.contains(id));
    let mut times: Vec<u64> = granted.into_values().collect();
    times.sort_unstable();
    let apart = times.windows(limit + 1).map(|times| times[limit] - times[0]).min();
    let apart = Duration::from_micros(apart.expect("there are more than at one time"));
    assert!(apart >= LEASE.mul_f64(0.98), "{} probes within {apart:?}", limit + 1);
    (count, apart)
}

/// Trips the circuit everywhere.
fn trip(fleet: &[&Here]) {
    wait_until("a call to be admitted", SOON, || {
        fleet[0].breaker.acquire().map(|permit| permit.failure()).is_ok()
    });
    all_become(State::Open, fleet, SOON);
}

fn probe(here: &Here) -> Permit {
    let mut probe = None;
    wait_until("a probe", SOON, || {
        probe = here.breaker.acquire().ok().map(Permit::into_owned);
        probe.is_some()
    });
    let probe = probe.expect("it was waited for");
    assert!(probe.is_probe());
    probe
}

/// How long it takes until there is a place.
fn next_probe(here: &Here) -> (Duration, Permit) {
    let began = Instant::now();
    let permit = probe(here);
    (began.elapsed(), permit)
}

fn a_place_is_freed_by_whatever_ends_its_probe(engine: Engine) {
    let stage = Stage::alone(engine);
    let config = Config::new().threshold(1).ttl(millis(300)).probe_lease(millis(800));
    let [here, there] = stage.fleet(config);
    let both = [&here, &there];
    // A process that is killed keeps its place until the lease ends.
    let mut member = stage.member(&["--threshold", "1", "--ttl", "0.3", "--lease", "0.8"]);
    trip(&both);
    member.waits_for("it to be open", SOON, |report| report["state"] == "open");
    wait_until("a probe", SOON, || member.act("hold")["result"] == "probe");
    let granted = Instant::now();
    member.peer.kill();
    let permit = probe(&there);
    println!("a killed process: {:?} after the grant", granted.elapsed());
    assert!(granted.elapsed() > millis(700) && granted.elapsed() < millis(900));

    // A permit that is dropped, and a future that is, give it back at once.
    let soon = |what: &str, (took, permit): (Duration, Permit)| {
        println!("{what}: {took:?}");
        assert!(took < millis(50), "{what}: {took:?}");
        permit
    };
    drop(permit);
    let permit = soon("dropped", next_probe(&here));
    drop(permit);
    // Until it is a probe: the first may be turned away, as the place is given back just now.
    wait_until("a call to be a probe", SOON, || {
        let mut call = pin!(there.breaker.call_async(std::future::pending::<Result<(), ()>>));
        while poll_once(call.as_mut()).is_pending() {
            if stage.record().unwrap().probes.len() == 1 {
                return poll_once(call.as_mut()).is_pending();
            }
        }
        false
    });
    let permit = soon("a cancelled call", next_probe(&here));
    drop(permit);
    wait_until("a call to ask", SOON, || {
        let mut asks = pin!(there.breaker.acquire_async());
        poll_once(asks.as_mut()).is_pending()
    });
    let permit = soon("a cancelled question", next_probe(&here));
    drop(permit);

    // A panic is a failure: the circuit is open for another ttl, and then there is a place.
    let permit = probe(&there);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _permit = permit;
        std::panic::resume_unwind(Box::new("a call"));
    }));
    assert!(panic.is_err());
    all_become(State::Open, &both, millis(50));
    let (took, permit) = next_probe(&here);
    println!("a panic: {took:?}, of which 300 ms are the ttl");
    assert!(took > millis(200) && took < millis(350), "{took:?}");
    permit.success();
    all_become(State::Closed, &both, SOON);
}

fn late_probes_and_late_calls_change_nothing(engine: Engine) {
    let stage = Stage::new(engine);
    let config = Config::new().threshold(1).ttl(millis(200)).probe_lease(millis(300));
    let [here, there] = stage.fleet(config);
    let both = [&here, &there];
    // Of the time before the trip.
    let early = [(); 2].map(|()| here.breaker.acquire().unwrap().into_owned());
    let [early_failure, early_success] = early;
    trip(&[&there, &here]);
    for late_success in [true, false] {
        let late = probe(&here);
        let current = probe(&there);
        let before = stage.stored();
        if late_success {
            late.success()
        } else {
            late.failure()
        }
        here.flush();
        assert_eq!(stage.stored(), before);
        assert_eq!(both.map(|here| here.state()), [State::HalfOpen; 2]);
        current.failure();
        all_become(State::Open, &both, SOON);
    }
    // While it is open.
    let before = stage.stored();
    early_success.success();
    here.flush();
    assert_eq!((stage.stored(), here.state()), (before, State::Open));
    probe(&there).success();
    all_become(State::Closed, &both, SOON);
    let before = stage.stored();
    early_failure.failure();
    here.flush();
    assert_eq!((stage.stored(), here.state()), (before, State::Closed));
    let snapshot = here.breaker.snapshot();
    // Two probes and two calls.
    assert_eq!((snapshot.late, snapshot.failures), (4, 0));
    assert_eq!(here.told.count("late"), 4);
}
