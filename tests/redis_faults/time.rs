//! Clocks that do not agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, MemoryStorage, State, Timestamp,
};
use purgatory_tests::servers::{Engine, faketime_library, wait_until};

use crate::member::Member;
use crate::stage::{CIRCUIT, SOON, Stage, millis};
use crate::with_each_engine;

with_each_engine! {
    wall_clocks_do_not_matter
}

fn wall_clocks_do_not_matter(engine: Engine) {
    let stage = Stage::alone(engine);
    let library = faketime_library().display().to_string();
    let args = ["--threshold", "2", "--ttl", "1"];
    let mut fleet = ["+1h", "-1h", "+0"].map(|time| {
        // What waits for a time on the monotonic clock waits in the kernel, which is not lied to.
        let lies = [("LD_PRELOAD", &*library), ("FAKETIME", time), ("DONT_FAKE_MONOTONIC", "1")];
        let more = ("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let environment = [lies[0], lies[1], lies[2], more];
        let mut member = Member::start(&stage.url(), &environment, &args);
        // A circuit shares a moment before this is told.
        wait_until("a process to be told", SOON, || {
            member.act("report");
            !member.told("storage_up").is_empty()
        });
        member
    });
    // It works: the events of the fleet are two hours apart.
    let told = fleet.each_ref().map(|member| member.told("storage_up")[0]["at"].as_f64().unwrap());
    assert!(told[0] - told[1] > 7100.0, "{told:?}");
    for tripping in 0..fleet.len() {
        let (tripped, mut deadlines) = (Instant::now(), Vec::new());
        fleet[tripping].act("call fail");
        fleet[tripping].act("call fail");
        for member in &mut fleet {
            member.becomes("open", SOON);
            let report = member.act("call ok");
            assert_eq!(report["result"], "rejected");
            let left = Duration::from_secs_f64(report["retry_after_ms"].as_f64().unwrap() / 1e3);
            deadlines.push(tripped.elapsed() + left);
        }
        println!("open until {deadlines:?} after the trip");
        let ttl = Duration::from_secs(1);
        assert!(deadlines.iter().all(|deadline| deadline.abs_diff(ttl) < millis(50)));
        // The one after the next recovers: leave is given by the same clock.
        let recovering = (tripping + 1) % fleet.len();
        wait_until("a probe", SOON, || fleet[recovering].act("call ok")["result"] == "ok");
        assert!(tripped.elapsed() > ttl - millis(50));
        fleet.iter_mut().for_each(|member| member.becomes("closed", SOON));
    }
}

/// A clock that can be set.
#[derive(Debug, Clone)]
struct Stepping(Arc<AtomicI64>, Instant);

impl Clock for Stepping {
    fn now(&self) -> Timestamp {
        let seconds = 1_000_000 + self.0.load(Ordering::Relaxed);
        Timestamp::from_origin(Duration::from_secs(seconds as u64) + self.1.elapsed())
    }
}

/// The clock of the storage is set an hour back or forth while a circuit is open, while it is half-open and while
/// it is closed: that ends a period early or begins it again, once.
#[test]
fn a_storage_whose_clock_is_set_holds_nobody_longer_than_the_ttl() {
    const TTL: Duration = millis(300);
    for step in [3600, -3600] {
        let seconds = Arc::new(AtomicI64::new(0));
        let storage = MemoryStorage::new().with_clock(Stepping(seconds.clone(), Instant::now()));
        let config = Config::new().threshold(1).ttl(TTL);
        let fleet = [(); 2].map(|()| {
            let factory = CircuitBreakerFactory::builder().storage(storage.clone());
            factory.build().unwrap().get_breaker_with(CIRCUIT, config).unwrap()
        });
        let here = &fleet[0];
        // Whether a call of this one is admitted, which then succeeds.
        let succeeds = |breaker: &CircuitBreaker| match breaker.acquire() {
            Ok(permit) => {
                permit.success();
                true
            }
            Err(rejected) => {
                // A call may have taken the time a moment before what it was told began.
                assert!(rejected.retry_after() < TTL + millis(50), "{rejected:?}");
                false
            }
        };
        let recovers = |what: &str| {
            let began = Instant::now();
            wait_until(&format!("{what}, {step} s"), SOON, || fleet.iter().any(succeeds));
            wait_until("both to be closed", SOON, || {
                fleet.iter().all(|breaker| breaker.state() == State::Closed)
            });
            println!("{what}, {step} s: {:?}", began.elapsed());
            // What was left, one more ttl, and a lease that begins again.
            assert!(began.elapsed() < TTL * 4, "{what} took {:?}", began.elapsed());
        };
        let trip = || {
            here.acquire().unwrap().failure();
            wait_until("both to be open", SOON, || {
                fleet.iter().all(|breaker| breaker.state() == State::Open)
            });
        };
        let set = || seconds.fetch_add(step, Ordering::Relaxed);
        wait_until("both to share", SOON, || {
            fleet.iter().all(|breaker| breaker.snapshot().shared.unwrap().in_sync)
        });
        trip();
        set();
        recovers("open");
        trip();
        let mut lost = None;
        wait_until("a probe", SOON, || {
            lost = here.acquire().ok();
            lost.is_some()
        });
        // The probe is never heard of again.
        std::mem::forget(lost);
        set();
        recovers("half-open");
        set();
        trip();
        recovers("closed");
    }
}
