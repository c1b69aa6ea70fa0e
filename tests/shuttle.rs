//! Random schedules of more threads than loom can take.
//!
//! Run with `RUSTFLAGS="--cfg shuttle"`. A failure prints its schedule, which
//! `shuttle::replay` runs again.
#![cfg(shuttle)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Event, ManualClock, State};
use shuttle::sync::{Condvar, Mutex as ShuttleMutex};
use shuttle::thread;

const TTL: Duration = Duration::from_secs(30);
const SCHEDULES: usize = 2000;

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
    assert_eq!(seen.load(Ordering::Relaxed), expected, "the schedules did not race");
}

/// A circuit that admits probes from now on.
fn after_ttl(config: Config) -> CircuitBreaker {
    let clock = ManualClock::new();
    let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
    let breaker = factory.get_breaker_with("shuttle", config.threshold(1).ttl(TTL)).unwrap();
    breaker.acquire().unwrap().failure();
    clock.advance(TTL + Duration::from_nanos(1));
    breaker
}

fn race(threads: usize, act: impl Fn(usize) + Clone + Send + 'static) {
    let all: Vec<_> = (0..threads)
        .map(|index| {
            let act = act.clone();
            thread::spawn(move || act(index))
        })
        .collect();
    all.into_iter().for_each(|thread| thread.join().unwrap());
}

/// I1, I9: eight callers, three places, each place given back in one way or another.
#[test]
fn never_more_probes_out_than_allowed() {
    explore(0b111, || {
        let breaker = after_ttl(Config::new().half_open_probes(3).success_threshold(100));
        let (out, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let caller = {
            let (breaker, most) = (breaker.clone(), Arc::clone(&most));
            move |index: usize| {
                for _ in 0..2 {
                    let Ok(permit) = breaker.acquire() else { continue };
                    let now = out.fetch_add(1, Ordering::Relaxed) + 1;
                    assert!(now <= 3, "{now} probes out");
                    most.fetch_max(now, Ordering::Relaxed);
                    thread::yield_now();
                    out.fetch_sub(1, Ordering::Relaxed);
                    match index % 3 {
                        0 => permit.success(),
                        1 => permit.ignore(),
                        _ => drop(permit),
                    }
                }
            }
        };
        race(8, caller);
        let places: Vec<_> = (0..3).map(|_| breaker.acquire().unwrap()).collect();
        assert!(breaker.acquire().is_err(), "{} places", places.len());
        1 << (most.load(Ordering::Relaxed) - 1)
    });
}

/// I3, I5: eight failures, threshold 6: one trip in every schedule. The two that are left are late or
/// rejected.
#[test]
fn eight_failures_trip_once() {
    explore(0b111, || {
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        let breaker = factory.get_breaker_with("shuttle", Config::new().threshold(6)).unwrap();
        let caller = {
            let breaker = breaker.clone();
            move |_| {
                if let Ok(permit) = breaker.acquire() {
                    permit.failure();
                }
            }
        };
        race(8, caller);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.generation), (State::Open, 1));
        assert_eq!(snapshot.late + snapshot.rejected, 2);
        1 << snapshot.late
    });
}

/// I11, I12: the changes form one chain although a listener panics, and one uses the breaker.
#[test]
fn changes_form_a_chain_for_every_listener() {
    explore(0b11, || {
        let log: Arc<Mutex<Vec<Event>>> = Arc::default();
        let writer = Arc::clone(&log);
        let factory = CircuitBreakerFactory::builder()
            .clock(ManualClock::new())
            .listener(|event: &Event| {
                // Without the panic hook, whose output would bury the test's.
                if matches!(event, Event::Failed { .. }) {
                    std::panic::resume_unwind(Box::new("listener"));
                }
            })
            .listener(move |event: &Event| {
                writer.try_lock().expect("one event at a time").push(event.clone());
            })
            .build()
            .unwrap();
        let breaker = factory.get_breaker_with("shuttle", Config::new().threshold(2)).unwrap();
        let reentrant = breaker.clone();
        factory.add_listener(move |event: &Event| {
            if let Event::StateChanged { change, .. } = event {
                assert!(reentrant.snapshot().generation >= change.generation);
                if change.to == State::Open {
                    reentrant.reset();
                }
            }
        });
        let caller = {
            let breaker = breaker.clone();
            move |index| match breaker.acquire() {
                Ok(permit) if index < 6 => permit.failure(),
                Ok(permit) => permit.success(),
                Err(_) => {}
            }
        };
        race(8, caller);

        let log = log.lock().unwrap();
        let mut state = State::Closed;
        let mut generation = 0;
        let mut failures = 0;
        for event in &*log {
            match event {
                Event::StateChanged { change, .. } => {
                    assert_eq!(change.from, state);
                    assert_eq!(change.generation, generation + 1);
                    (state, generation, failures) = (change.to, change.generation, 0);
                }
                Event::Failed { failures: counted, .. } => {
                    failures += 1;
                    assert_eq!(*counted, failures);
                }
                Event::Recovered { .. } => failures = 0,
                _ => {}
            }
        }
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.generation), (state, generation));
        let failed = log.iter().filter(|event| event.name() == "failed").count();
        assert_eq!(factory.listener_panics(), failed as u64);
        if snapshot.late + snapshot.rejected > 0 { 0b10 } else { 0b01 }
    });
}

/// I14: ten threads register five names, each with a threshold of its own; everybody counts in the same five
/// circuits. Each thread is the first to ask in some schedule.
#[test]
fn racing_registrations_share_circuits() {
    explore(0b11_1111_1111, || {
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        let caller = {
            let factory = factory.clone();
            move |index: usize| {
                let name = format!("circuit-{}", index % 5);
                let config = Config::new().threshold(10 + index as u32);
                factory.get_breaker_with(&name, config).unwrap().acquire().unwrap().failure();
            }
        };
        race(10, caller);
        let snapshots = factory.snapshot();
        assert_eq!(snapshots.len(), 5);
        assert!(snapshots.iter().all(|snapshot| snapshot.failures == 2), "{snapshots:?}");
        snapshots.iter().fold(0, |first, snapshot| first | 1 << (snapshot.settings.threshold - 10))
    });
}

/// I16: a listener that is stuck stops nobody. If it did, no schedule could end. Each of the others is the
/// first to come past it in some schedule.
#[test]
fn a_stuck_listener_stops_nobody() {
    explore(0b111, || {
        let gate = Arc::new((ShuttleMutex::new(false), Condvar::new()));
        let waiter = Arc::clone(&gate);
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        let breaker = factory.get_breaker("shuttle").unwrap();
        factory.add_listener(move |_: &Event| {
            let (open, changed) = &*waiter;
            let mut open = open.lock().unwrap();
            while !*open {
                open = changed.wait(open).unwrap();
            }
        });
        let stuck = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire().unwrap().failure())
        };
        while breaker.snapshot().failures == 0 {
            thread::yield_now();
        }
        let finished = Arc::new(AtomicUsize::new(0));
        let first = Arc::new(AtomicUsize::new(0));
        let others: Vec<_> = (0..3)
            .map(|index| {
                let (breaker, factory) = (breaker.clone(), factory.clone());
                let (finished, first) = (Arc::clone(&finished), Arc::clone(&first));
                thread::spawn(move || {
                    breaker.acquire().unwrap().success();
                    breaker.acquire().unwrap().failure();
                    breaker.reset();
                    factory.get_breaker("shuttle").unwrap().snapshot();
                    if finished.fetch_add(1, Ordering::Relaxed) == 0 {
                        first.store(index, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        // If they did not come past it, this would go on until the schedule is too long.
        while finished.load(Ordering::Relaxed) < 3 {
            thread::yield_now();
        }
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        others.into_iter().for_each(|thread| thread.join().unwrap());
        stuck.join().unwrap();
        1 << first.load(Ordering::Relaxed)
    });
}

/// I12: once a listener is removed, it is in the middle of one event of each circuit at most, and gets no other.
#[test]
fn a_removed_listener_gets_what_it_is_being_handed_and_no_more() {
    explore(0b111, || {
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        let breakers = ["one", "two"].map(|name| factory.get_breaker(name).unwrap());
        let removed = Arc::new(AtomicBool::new(false));
        let after = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let id = {
            let (removed, after) = (Arc::clone(&removed), Arc::clone(&after));
            factory.add_listener(move |event: &Event| {
                thread::yield_now();
                let circuit = usize::from(event.circuit() == "two");
                if removed.load(Ordering::Relaxed) {
                    after[circuit].fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let callers: Vec<_> = (0..4)
            .map(|index| {
                let breaker = breakers[index % 2].clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        breaker.acquire().unwrap().failure();
                    }
                })
            })
            .collect();
        assert!(factory.remove_listener(id));
        removed.store(true, Ordering::Relaxed);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        let after = after.each_ref().map(|after| after.load(Ordering::Relaxed));
        assert!(after.iter().all(|after| *after <= 1), "{after:?}");
        1 << after.iter().sum::<usize>()
    });
}
