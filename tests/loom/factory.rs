//! Threads that race for a name, and events on their way to the listeners.

use std::sync::{Arc, Mutex};

use loom::thread;
use purgatory::{CircuitBreakerFactory, Config, Event, ManualClock, State};

use crate::{explore, fail};

/// I14: everybody who asks for a name gets one circuit, created once, with the settings of whoever asked
/// first; the other one is told of.
#[test]
fn a_name_is_registered_once() {
    let endings = explore(|endings| {
        let told: Arc<Mutex<Vec<&'static str>>> = Arc::default();
        let writer = Arc::clone(&told);
        let factory = CircuitBreakerFactory::builder()
            .clock(ManualClock::new())
            .listener(move |event: &Event| writer.lock().unwrap().push(event.name()))
            .build()
            .unwrap();
        let ask = |factory: &CircuitBreakerFactory, threshold| {
            let config = Config::new().threshold(threshold);
            fail(&factory.get_breaker_with("loom", config).unwrap()).unwrap();
        };
        let other = {
            let factory = factory.clone();
            thread::spawn(move || ask(&factory, 4))
        };
        ask(&factory, 3);
        other.join().unwrap();
        let breaker = factory.find("loom").unwrap();
        assert_eq!(breaker.snapshot().failures, 2);
        let mut told = told.lock().unwrap().clone();
        told.sort_unstable();
        assert_eq!(told, ["circuit_breaker_created", "config_conflict", "failed", "failed"]);
        endings.saw(breaker.settings().threshold);
    });
    endings.are(&["3", "4"]);
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
