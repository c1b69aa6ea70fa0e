//! Random schedules of callers, drivers and pushes around a shared circuit.
//!
//! Run with `RUSTFLAGS="--cfg shuttle"`. Every lock of the crate and its atomic word are points where shuttle
//! may let another thread on. The channels between drivers and callers are tokio's, which it does not see
//! into; neither are the few flags of a driver and its watch.
#![cfg(shuttle)]

#[path = "shuttle_sharing/fleet.rs"]
mod fleet;

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use purgatory::{CircuitBreaker, Config, Reason, State};
use shuttle::rand::Rng;
use shuttle::thread;

use self::fleet::{AHEAD, Fleet, NAME, START};

/// Each of them is short: it takes so many to meet what few of them do.
const SCHEDULES: usize = 10_000;
const SECOND: Duration = Duration::from_secs(1);

/// Runs a scenario under random schedules, and under those that PCT draws to find rare orders. The
/// scenario says what it saw; `expected` must have been seen in some schedule.
fn explore(expected: usize, scenario: impl Fn() -> usize + Send + Sync + 'static) {
    let seen = Arc::new(AtomicUsize::new(0));
    let scenario = {
        let seen = Arc::clone(&seen);
        Arc::new(move || {
            seen.fetch_or(scenario(), Ordering::Relaxed);
        })
    };
    let again = Arc::clone(&scenario);
    shuttle::check_random(move || again(), SCHEDULES);
    shuttle::check_pct(move || scenario(), SCHEDULES, 3);
    let seen = seen.load(Ordering::Relaxed);
    assert_eq!(seen, expected, "{seen:#b} of {expected:#b}: the schedules did not race");
}

/// What a caller reads is what the circuit is.
fn word_is_machine(breaker: &CircuitBreaker) {
    let snapshot = breaker.snapshot();
    assert_eq!(breaker.state(), snapshot.state);
    match breaker.acquire() {
        Ok(permit) => {
            assert_eq!(snapshot.state, State::Closed);
            permit.ignore();
        }
        Err(rejected) => assert_eq!(rejected.state(), snapshot.state),
    }
}

/// The record that another process writes as its `g`th: closed, open and half-open by turns, each with
/// numbers of its own.
fn record(g: u64) -> String {
    let micros = |time: Duration| time.as_micros();
    let now = START + AHEAD;
    let since = now - 500 * SECOND + (g as u32) * SECOND;
    let head = |state| format!("1 {state} {g} {}", micros(since));
    let settings = "1000:30000000:1:1:30000000";
    match g % 3 {
        0 => format!("{} 0 {g} {settings} 0 - -", head('C')),
        1 => {
            let open = now + 10 * SECOND + (g as u32) * SECOND - since;
            format!("{} {} 0 {settings} 0 - -", head('O'), micros(open))
        }
        _ => {
            let end = micros(now + 5 * SECOND + (g as u32) * SECOND);
            format!("{} 0 0 {settings} 0 77:{end} -", head('H'))
        }
    }
}

/// Which record a caller has seen, if it is one of them.
fn seen(breaker: &CircuitBreaker, generations: u64) {
    if let Err(rejected) = breaker.acquire() {
        let left = rejected.retry_after().as_secs();
        let open = rejected.reason() == Reason::Open;
        let (g, kind) = if open { (left - 10, 1) } else { (left - 5, 2) };
        assert!(g % 3 == kind && g <= generations, "{rejected:?} is of two records");
    }
    let snapshot = breaker.snapshot();
    if snapshot.generation > 0 {
        let since = snapshot.since.since_origin();
        let g = (since + 500 * SECOND - START).as_secs();
        let state = [State::Closed, State::Open, State::HalfOpen][(g % 3) as usize];
        let failures = if state == State::Closed { g as u32 } else { 0 };
        assert_eq!((snapshot.state, snapshot.failures), (state, failures), "of two records");
    }
}

/// A caller sees one record or another, and in the end the last, however pushes (late, twice, in
/// another order) and answers cross.
#[test]
fn a_caller_sees_one_record() {
    const LAST: u64 = 7;
    explore(0b11, || {
        let fleet = Fleet::new(1, Config::new().threshold(1000));
        let [breaker] = fleet.breakers().try_into().unwrap();
        let written = Arc::new(Mutex::new(Vec::new()));
        let steps = Arc::new(AtomicUsize::new(0));
        let callers = (0..2).map(|_| {
            let (breaker, steps) = (breaker.clone(), Arc::clone(&steps));
            thread::spawn(move || {
                for _ in 0..4 {
                    seen(&breaker, LAST);
                    steps.fetch_or(
                        1 << (breaker.state() == State::Open) as usize,
                        Ordering::Relaxed,
                    );
                }
            })
        });
        let writer = {
            let (wire, written) = (Arc::clone(&fleet.wire), Arc::clone(&written));
            thread::spawn(move || {
                for g in 1..=LAST {
                    wire.memory.replace(NAME, Some(record(g).as_bytes()));
                    let record = wire.memory.record(NAME).unwrap();
                    written.lock().unwrap().push(record.clone());
                    thread::yield_now();
                    wire.tell(&record);
                }
            })
        };
        let repeater = {
            let (wire, written) = (Arc::clone(&fleet.wire), Arc::clone(&written));
            thread::spawn(move || {
                for _ in 0..4 {
                    let any = {
                        let written = written.lock().unwrap();
                        let any = shuttle::rand::thread_rng().gen_range(0..=written.len());
                        written.get(any).cloned()
                    };
                    any.iter().for_each(|record| wire.tell(record));
                    thread::yield_now();
                }
            })
        };
        let callers = callers.chain([writer, repeater]).collect();
        fleet.end(callers, vec![fleet.drive(Some(SECOND))]);
        assert_eq!(breaker.state(), State::Open, "the last record");
        let rejected = breaker.acquire().unwrap_err();
        assert_eq!(rejected.retry_after(), (10 + LAST as u32) * SECOND);
        word_is_machine(&breaker);
        steps.load(Ordering::Relaxed)
    });
}

/// Callers of two processes do all that they can. In the end both processes and the storage agree, and
/// nothing is under way.
#[test]
fn in_the_end_all_agree() {
    explore(0b1111, || {
        let fleet = Fleet::new(2, Config::new().threshold(3));
        let breakers = fleet.breakers();
        let ends = Arc::new(AtomicUsize::new(0));
        let callers = (0..4).map(|index: usize| {
            let (breaker, ends) = (breakers[index % 2].clone(), Arc::clone(&ends));
            thread::spawn(move || {
                for call in 0..3 {
                    match breaker.acquire() {
                        Ok(permit) if (index + call) % 4 == 3 => permit.success(),
                        Ok(permit) => permit.failure(),
                        Err(_) => drop(ends.fetch_or(0b100, Ordering::Relaxed)),
                    }
                }
                if index == 3 && shuttle::rand::thread_rng().gen_ratio(1, 4) {
                    breaker.reset();
                    ends.fetch_or(0b1000, Ordering::Relaxed);
                }
            })
        });
        let callers = callers.collect();
        fleet.end(callers, vec![fleet.drive(Some(Duration::from_millis(5))), fleet.push()]);
        breakers.iter().for_each(word_is_machine);
        let record = fleet.wire.record().unwrap();
        let state = record.split(' ').nth(1).unwrap();
        let failures: u32 = record.split(' ').nth(5).unwrap().parse().unwrap();
        for breaker in &breakers {
            let snapshot = breaker.snapshot();
            let expected = if state == "C" { State::Closed } else { State::Open };
            assert_eq!(snapshot.state, expected, "{record}");
            assert_eq!(snapshot.failures, failures, "{record}");
        }
        ends.load(Ordering::Relaxed) | if state == "C" { 0b1 } else { 0b10 }
    });
}

/// A call that was admitted before the circuit opened and closed again elsewhere changes nothing.
#[test]
fn a_call_of_an_older_generation_is_late() {
    explore(0b11, || {
        let fleet = Fleet::new(1, Config::new().threshold(1));
        let [breaker] = fleet.breakers().try_into().unwrap();
        let settings = "1:30000000:1:1:30000000";
        let since = (START + AHEAD).as_micros();
        let permit = breaker.acquire().unwrap().into_owned();
        let caller = thread::spawn(move || permit.failure());
        let writer = {
            let wire = Arc::clone(&fleet.wire);
            thread::spawn(move || {
                let lines = [
                    format!("1 O 1 {since} 30000000 0 {settings} 0 - 1:1"),
                    format!("1 C 3 {} 0 0 {settings} 0 - 1:3", since + 1),
                ];
                for line in lines {
                    wire.memory.replace(NAME, Some(line.as_bytes()));
                    let record = wire.memory.record(NAME).unwrap();
                    wire.tell(&record);
                    thread::yield_now();
                }
            })
        };
        fleet.end(vec![caller, writer], vec![fleet.drive(None), fleet.push()]);
        word_is_machine(&breaker);
        let snapshot = breaker.snapshot();
        // What was counted in the old generation, in a process that had not heard, is late in the storage.
        assert_eq!((snapshot.state, snapshot.failures), (State::Closed, 0), "{snapshot:?}");
        1 << snapshot.late
    });
}

/// How a caller ended that asked for a probe: dropped half way, refused at once, refused after it had
/// waited, or with a probe at once or after it had waited.
fn ask(breaker: &CircuitBreaker, way: usize, out: &AtomicUsize) -> usize {
    let (answer, waited) = if way == 0 {
        // Its thread waits: in vain for ever, if nobody told it.
        (breaker.acquire(), false)
    } else {
        let mut asking = pin!(breaker.acquire_async());
        match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => (answer, false),
            Poll::Pending if way == 1 => {
                // Long enough for a grant to come that nobody takes.
                let pauses = shuttle::rand::thread_rng().gen_range(0..32);
                (0..pauses).for_each(|_| thread::yield_now());
                return 0b1;
            }
            Poll::Pending => (shuttle::future::block_on(asking), true),
        }
    };
    let Ok(permit) = answer else { return if waited { 0b100 } else { 0b10 } };
    assert!(permit.is_probe());
    let others = out.fetch_add(1, Ordering::Relaxed);
    assert_eq!(others, 0, "two probes are out");
    thread::yield_now();
    out.fetch_sub(1, Ordering::Relaxed);
    permit.ignore();
    if waited { 0b1000 } else { 0b10000 }
}

/// Of callers of two processes, who wait in one way or another, give up or are dropped, one at a time is
/// the probe; no place is lost for it.
#[test]
fn a_grant_is_neither_lost_nor_doubled() {
    explore(0b11111, || {
        let fleet = Fleet::new(2, Config::new().threshold(1).success_threshold(1000));
        let breakers = fleet.breakers();
        breakers[0].acquire().unwrap().failure();
        fleet.settle();
        fleet.clock.advance(31 * SECOND);
        let (out, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..5).map(|index: usize| {
            let breaker = breakers[index % 2].clone();
            let (out, ends) = (Arc::clone(&out), Arc::clone(&ends));
            thread::spawn(move || {
                for round in 0..2 {
                    let end = ask(&breaker, (index + round) % 3, &out);
                    ends.fetch_or(end, Ordering::Relaxed);
                }
            })
        });
        let callers = callers.collect();
        // Longer than a caller waits.
        fleet.end(callers, vec![fleet.drive(Some(Duration::from_millis(60))), fleet.push()]);
        assert_eq!(fleet.wire.most_probes(), 1);
        let record = fleet.wire.record().unwrap();
        assert_eq!(record.split(' ').nth(8), Some("-"), "nobody has a place: {record}");
        for breaker in &breakers {
            fleet.again();
            let driver = fleet.drive(None);
            // As a thread waits, it would be by the real time, which is no matter of schedules.
            let answer = shuttle::future::block_on(breaker.acquire_async());
            let permit = answer.expect("there is a place");
            assert!(permit.is_probe());
            permit.ignore();
            fleet.end(Vec::new(), vec![driver]);
        }
        ends.load(Ordering::Relaxed)
    });
}
