//! Every interleaving of a few threads, within loom's bounds.
//!
//! Run with `RUSTFLAGS="--cfg loom"`, and again with `PURGATORY_LOOM_EXCHANGES` set (see
//! `purgatory/src/sync.rs`). Each model says which endings it must have seen: an exploration that
//! skipped the race would prove nothing.
#![cfg(loom)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::thread;
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Event, ManualClock, Reason, Rejected, State,
};

const TTL: Duration = Duration::from_secs(30);

/// The endings that an exploration has seen, and how often.
#[derive(Clone, Default)]
struct Endings(Arc<Mutex<BTreeMap<String, usize>>>);

impl Endings {
    fn saw(&self, ending: impl ToString) {
        *self.0.lock().unwrap().entry(ending.to_string()).or_default() += 1;
    }

    fn are(&self, expected: &[&str]) {
        let seen = self.0.lock().unwrap();
        println!("{seen:?}");
        assert!(seen.values().sum::<usize>() > 1, "one execution is no race");
        assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

fn explore(model: impl Fn(&Endings) + Send + Sync + 'static) -> Endings {
    let endings = Endings::default();
    let within = endings.clone();
    loom::model(move || model(&within));
    endings
}

/// A breaker on a clock that stands still.
fn breaker(config: Config) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
    (factory.get_breaker_with("loom", config.ttl(TTL)).unwrap(), clock)
}

/// A breaker that admits probes from now on.
fn after_ttl(config: Config) -> CircuitBreaker {
    let (breaker, clock) = breaker(config.threshold(1));
    breaker.acquire().unwrap().failure();
    clock.advance(TTL + Duration::from_nanos(1));
    breaker
}

/// Runs `act` on so many threads at once, this one included, and collects what they return.
fn race<R: 'static>(
    breaker: &CircuitBreaker,
    threads: usize,
    act: impl Fn(&CircuitBreaker) -> R + Clone + 'static,
) -> Vec<R> {
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let (breaker, act) = (breaker.clone(), act.clone());
            thread::spawn(move || act(&breaker))
        })
        .collect();
    let mine = act(breaker);
    others.into_iter().map(|other| other.join().unwrap()).chain([mine]).collect()
}

fn fail(breaker: &CircuitBreaker) -> Result<(), Rejected> {
    breaker.acquire().map(|permit| permit.failure())
}

/// I3, I5: three failures, threshold 2. Two trip it in every interleaving, once; the third is late
/// or rejected.
#[test]
fn a_generation_trips_once_and_at_the_threshold() {
    let endings = explore(|endings| {
        let (breaker, _) = breaker(Config::new().threshold(2));
        let answers = race(&breaker, 3, fail);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.generation), (State::Open, 1));
        let rejected = answers.iter().filter(|answer| answer.is_err()).count() as u64;
        assert_eq!(snapshot.rejected, rejected);
        assert_eq!(snapshot.late + rejected, 1);
        endings.saw(if rejected == 1 { "rejected" } else { "late" });
    });
    endings.are(&["late", "rejected"]);
}

/// I4, I5: one failure less than the threshold never trips, and none is lost.
#[test]
fn no_failure_is_lost_below_the_threshold() {
    let endings = explore(|endings| {
        let (breaker, _) = breaker(Config::new().threshold(4));
        race(&breaker, 3, fail);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failures), (State::Closed, 3));
        endings.saw("closed");
    });
    endings.are(&["closed"]);
}

/// I1, I8: of three callers after the ttl, one gets the probe; the others are told to wait for it.
#[test]
fn one_caller_gets_the_only_probe() {
    let endings = explore(|endings| {
        let breaker = after_ttl(Config::new());
        // Which thread won shows in the order; the permit is kept until all have asked.
        let answers = race(&breaker, 3, |breaker| breaker.acquire().map(|p| p.into_owned()));
        for answer in &answers {
            match answer {
                Ok(permit) => assert!(permit.is_probe()),
                Err(rejected) => {
                    assert_eq!(rejected.reason(), Reason::ProbesBusy);
                    assert_eq!(rejected.retry_after(), TTL);
                }
            }
        }
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        assert_eq!(breaker.snapshot().generation, 2, "elected once");
        endings.saw(answers.iter().position(Result::is_ok).unwrap());
    });
    endings.are(&["0", "1", "2"]);
}

/// I1: two places, three callers.
#[test]
fn two_callers_get_two_probes() {
    let endings = explore(|endings| {
        let breaker = after_ttl(Config::new().half_open_probes(2));
        let answers = race(&breaker, 3, |breaker| breaker.acquire().map(|p| p.into_owned()));
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
        endings.saw(answers.iter().position(Result::is_err).unwrap());
    });
    endings.are(&["0", "1", "2"]);
}

/// I9: a probe that is given back is there for whoever asks afterwards, and for nobody twice.
#[test]
fn a_place_given_back_is_given_once() {
    let endings = explore(|endings| {
        let breaker = after_ttl(Config::new());
        let probe = breaker.acquire().unwrap().into_owned();
        let giver = thread::spawn(move || drop(probe));
        let answers = race(&breaker, 2, |breaker| breaker.acquire().map(|p| p.into_owned()));
        giver.join().unwrap();
        let admitted = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(admitted <= 1);
        if admitted == 0 {
            assert!(breaker.acquire().unwrap().is_probe());
        }
        endings.saw(admitted);
    });
    endings.are(&["0", "1"]);
}

/// I6: a success of the old generation against the failure that ends it.
#[test]
fn a_success_that_loses_against_a_trip_is_late() {
    let endings = explore(|endings| {
        let (breaker, _) = breaker(Config::new().threshold(1));
        let success = breaker.acquire().unwrap().into_owned();
        let failure = breaker.acquire().unwrap().into_owned();
        let other = thread::spawn(move || failure.failure());
        success.success();
        other.join().unwrap();
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.generation), (State::Open, 1));
        endings.saw(snapshot.late);
    });
    endings.are(&["0", "1"]);
}

/// I6: a failure from before against the probe that closes the circuit. It neither opens the circuit
/// again nor counts in the new generation.
#[test]
fn a_stale_failure_does_not_disturb_a_probe() {
    let endings = explore(|endings| {
        let (breaker, clock) = breaker(Config::new().threshold(1));
        let stale = breaker.acquire().unwrap().into_owned();
        breaker.acquire().unwrap().failure();
        clock.advance(TTL + Duration::from_nanos(1));
        let probe = breaker.acquire().unwrap().into_owned();
        let other = thread::spawn(move || stale.failure());
        probe.success();
        other.join().unwrap();
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failures, snapshot.late), (State::Closed, 0, 1));
        endings.saw("closed");
    });
    endings.are(&["closed"]);
}

/// I15: a reset against a failure that trips. Whichever comes first, the circuit ends closed.
#[test]
fn a_reset_wins_over_the_failures_before_it() {
    let endings = explore(|endings| {
        let (breaker, _) = breaker(Config::new().threshold(1));
        let failure = breaker.acquire().unwrap().into_owned();
        let other = thread::spawn(move || failure.failure());
        breaker.reset();
        other.join().unwrap();
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failures), (State::Closed, 0));
        match (snapshot.generation, snapshot.late) {
            (1, 1) => endings.saw("reset first"),
            (2, 0) => endings.saw("failure first"),
            other => panic!("{other:?}"),
        }
        assert!(breaker.acquire().is_ok(), "after a reset no call is rejected");
    });
    endings.are(&["failure first", "reset first"]);
}

/// I13: what a rejection says belongs to the opening that it met.
#[test]
fn a_rejection_shows_one_opening() {
    let endings = explore(|endings| {
        let (breaker, clock) = breaker(Config::new().threshold(1));
        breaker.acquire().unwrap().failure();
        clock.advance(TTL + Duration::from_nanos(1));
        let probe = breaker.acquire().unwrap().into_owned();
        let other = thread::spawn(move || probe.failure());
        let rejected = breaker.acquire().unwrap_err();
        match rejected.state() {
            State::HalfOpen => assert_eq!(rejected.retry_after(), TTL, "the lease"),
            State::Open => assert_eq!(rejected.retry_after(), TTL, "the ttl"),
            State::Closed => panic!("a closed circuit rejects nobody"),
        }
        endings.saw(rejected.state());
        other.join().unwrap();
    });
    endings.are(&["half-open", "open"]);
}

/// I14: everybody who asks for a name gets one circuit, created once.
#[test]
fn a_name_is_registered_once() {
    let endings = explore(|endings| {
        let created = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&created);
        let factory = CircuitBreakerFactory::builder()
            .clock(ManualClock::new())
            .listener(move |event: &Event| {
                if matches!(event, Event::Created { .. }) {
                    *counter.lock().unwrap() += 1;
                }
            })
            .build()
            .unwrap();
        let other = {
            let factory = factory.clone();
            thread::spawn(move || fail(&factory.get_breaker("loom").unwrap()))
        };
        fail(&factory.get_breaker("loom").unwrap()).unwrap();
        other.join().unwrap().unwrap();
        assert_eq!(factory.find("loom").unwrap().snapshot().failures, 2);
        assert_eq!(*created.lock().unwrap(), 1);
        endings.saw("one");
    });
    endings.are(&["one"]);
}

/// I14: a circuit is removed only from under nobody.
#[test]
fn a_removed_circuit_counts_for_nobody() {
    let endings = explore(|endings| {
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        factory.get_breaker("loom").unwrap();
        let other = {
            let factory = factory.clone();
            thread::spawn(move || {
                let breaker = factory.get_breaker("loom").unwrap();
                fail(&breaker).unwrap();
                breaker
            })
        };
        let removed = factory.remove("loom").is_ok();
        let held = other.join().unwrap();
        // Removed before or not at all: the one that is held is the one that is registered.
        assert_eq!(factory.get_breaker("loom").unwrap().snapshot(), held.snapshot());
        assert_eq!(held.snapshot().failures, 1);
        endings.saw(if removed { "removed" } else { "in use" });
    });
    endings.are(&["in use", "removed"]);
}

/// I11: each event once, one at a time, in the order of the circuit.
#[test]
fn events_come_in_the_order_of_the_circuit() {
    let endings = explore(|endings| {
        let log: Arc<Mutex<Vec<Event>>> = Arc::default();
        let writer = Arc::clone(&log);
        let factory = CircuitBreakerFactory::builder()
            .clock(ManualClock::new())
            .listener(move |event: &Event| {
                writer.try_lock().expect("one event at a time").push(event.clone());
            })
            .build()
            .unwrap();
        let breaker = factory.get_breaker_with("loom", Config::new().threshold(1)).unwrap();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.reset())
        };
        let failed = fail(&breaker).is_ok();
        other.join().unwrap();
        assert!(failed);

        let log = log.lock().unwrap();
        let names: Vec<_> = log.iter().map(Event::name).collect();
        match (breaker.state(), breaker.snapshot().late) {
            // The failure came before the reset, after it, or ended after it.
            (State::Closed, 0) => {
                let open_and_shut =
                    ["circuit_breaker_created", "failed", "state_changed", "state_changed"];
                assert_eq!(names, open_and_shut);
            }
            (State::Open, 0) => {
                assert_eq!(names, ["circuit_breaker_created", "failed", "state_changed"]);
            }
            (State::Closed, 1) => assert_eq!(names, ["circuit_breaker_created", "late"]),
            other => panic!("{other:?}"),
        }
        let changes = log.iter().filter_map(|event| match event {
            Event::StateChanged { change, .. } => Some(*change),
            _ => None,
        });
        let mut state = State::Closed;
        for change in changes {
            assert_eq!(change.from, state);
            state = change.to;
        }
        assert_eq!(state, breaker.state());
        endings.saw(names.len());
    });
    endings.are(&["2", "3", "4"]);
}

/// I12: a listener that is added meanwhile misses nothing from its first event on.
#[test]
fn a_new_listener_sees_a_suffix() {
    let endings = explore(|endings| {
        let log = Arc::<Mutex<Vec<u32>>>::default();
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        let breaker = factory.get_breaker("loom").unwrap();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || (0..2).for_each(|_| fail(&breaker).unwrap()))
        };
        let writer = Arc::clone(&log);
        let id = factory.add_listener(move |event: &Event| {
            if let Event::Failed { failures, .. } = event {
                writer.lock().unwrap().push(*failures);
            }
        });
        other.join().unwrap();
        assert!(factory.remove_listener(id));
        fail(&breaker).unwrap();
        let log = log.lock().unwrap();
        assert!([&[][..], &[2], &[1, 2]].contains(&log.as_slice()), "{log:?}");
        endings.saw(log.len());
    });
    endings.are(&["0", "1", "2"]);
}

/// I12: a listener that was told of the trip is told of the rejections that follow from it.
#[test]
fn no_rejection_is_missed_after_the_trip_was_told() {
    let endings = explore(|endings| {
        let log = Arc::<Mutex<Vec<&'static str>>>::default();
        let factory = CircuitBreakerFactory::builder().clock(ManualClock::new()).build().unwrap();
        let breaker = factory.get_breaker_with("loom", Config::new().threshold(1)).unwrap();
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || breaker.acquire().is_err())
        };
        let writer = Arc::clone(&log);
        factory.add_listener(move |event: &Event| writer.lock().unwrap().push(event.name()));
        fail(&breaker).unwrap();
        let rejected = other.join().unwrap();
        let told = log.lock().unwrap().contains(&"rejected");
        assert_eq!(told, rejected);
        endings.saw(if rejected { "rejected" } else { "admitted" });
    });
    endings.are(&["admitted", "rejected"]);
}
