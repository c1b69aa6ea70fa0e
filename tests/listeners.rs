//! Who is told, in what order, and what listeners may do meanwhile.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;

use purgatory::{CircuitBreakerFactory, Config, Error, Event, Listener, ListenerId, State};
use purgatory_tests::{Log, World, in_time, trip};

const NEVER: Config = Config::new().threshold(u32::MAX);

#[test]
fn a_listener_gets_what_happens_while_it_is_listening() {
    let world = World::new();
    let breaker = world.breaker(NEVER);
    breaker.acquire().unwrap().failure();
    let log = Log::default();
    let id = world.factory.add_listener(log.clone());
    breaker.acquire().unwrap().failure();
    assert!(world.factory.remove_listener(id));
    breaker.acquire().unwrap().failure();
    assert_eq!(log.lines(), ["failed 2"]);
    assert_eq!(world.log.lines(), ["failed 1", "failed 2", "failed 3"]);
}

#[test]
fn an_id_removes_its_own_listener_once() {
    let [world, other] = [World::new(), World::new()];
    let breaker = world.breaker(NEVER);
    let log = Log::default();
    let (first, second) =
        (world.factory.add_listener(log.clone()), world.factory.add_listener(log.clone()));
    other.factory.add_listener(log.clone());
    assert!(!other.factory.remove_listener(first), "it is of another factory");
    assert!(world.factory.remove_listener(first));
    assert!(!world.factory.remove_listener(first));
    breaker.acquire().unwrap().failure();
    assert_eq!(log.lines(), ["failed 1"]);
    assert!(world.factory.remove_listener(second));
}

/// I12.
#[test]
fn a_listener_may_use_the_breaker_and_the_factory() {
    in_time(|| {
        let world = World::new();
        let (breaker, factory) = (world.breaker(NEVER), world.factory.clone());
        let added = Log::default();
        let (seen, log) = (breaker.clone(), added.clone());
        world.factory.add_listener(move |event: &Event| {
            if let Event::Failed { .. } = event {
                seen.acquire().unwrap().success();
                seen.reset();
                factory.get_breaker("search").unwrap().acquire().unwrap().ignore();
                assert_eq!(factory.snapshot().len(), 2);
                let id = factory.add_listener(|_: &Event| ());
                assert!(factory.remove_listener(id));
                factory.add_listener(log.clone());
            }
        });
        breaker.acquire().unwrap().failure();
        assert_eq!(world.factory.listener_panics(), 0);
        assert_eq!(breaker.snapshot().generation, 1);
        assert_eq!(world.factory.names(), ["payments", "search"]);
        assert_eq!(added.lines(), ["recovered"]);
    });
}

/// I12.
#[test]
fn a_listener_may_drop_the_last_handles() {
    in_time(|| {
        let World { factory, log, .. } = World::new();
        let breaker = factory.get_breaker_with("payments", NEVER).unwrap();
        let permit = breaker.acquire().unwrap().into_owned();
        let handles = Mutex::new(Some((breaker, factory.clone())));
        factory.add_listener(move |_: &Event| drop(handles.lock().unwrap().take()));
        drop(factory);
        permit.failure();
        assert_eq!(log.lines()[1..], ["failed 1"]);
    });
}

#[test]
fn what_a_listener_causes_comes_after_what_it_is_being_told() {
    in_time(|| {
        let world = World::new();
        let resets = world.factory.clone();
        world.factory.add_listener(move |event: &Event| {
            if let Event::Failed { .. } = event {
                resets.reset();
            }
        });
        let last = Log::default();
        world.factory.add_listener(last.clone());
        trip(&world.breaker(Config::new().threshold(1)));
        let told = [
            "failed 1",
            "closed to open, generation 1, opened at 0ns: Tripped { failures: 1, threshold: 1 }",
            "open to closed, generation 2: Reset",
        ];
        assert_eq!(world.log.lines(), told);
        assert_eq!(last.lines()[1..], told);
    });
}

/// I12.
#[test]
fn a_panic_in_a_listener_reaches_neither_the_call_nor_the_others() {
    /// Panics once more when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("and again");
        }
    }

    let world = World::new();
    let breaker = world.breaker(Config::new().threshold(1));
    world.factory.add_listener(|_: &Event| panic_any(Bomb));
    let last = Log::default();
    world.factory.add_listener(last.clone());

    let call = AssertUnwindSafe(|| breaker.call(|| Err::<(), _>("broken")));
    // Were the bomb to come through, it must not go off here.
    let result = catch_unwind(call).map_err(mem::forget);
    assert_eq!(result, Ok(Err(Error::Inner("broken"))));
    world.advance(31);
    let probe = breaker.acquire().unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    probe.success();
    let told = world.log.lines();
    assert_eq!(told.len(), 5); // failed, open, half-open, recovered, closed
    assert_eq!(last.lines(), told);
    assert_eq!(world.factory.listener_panics(), 5);
}

#[test]
fn a_listener_that_is_removed_during_a_delivery_gets_nothing_more() {
    in_time(|| {
        let world = World::new();
        let breaker = world.breaker(NEVER);
        let (factory, victim) = (world.factory.clone(), Arc::new(OnceLock::new()));
        let id = Arc::clone(&victim);
        world.factory.add_listener(move |_: &Event| {
            factory.remove_listener(*id.get().unwrap());
        });
        let log = Log::default();
        victim.set(world.factory.add_listener(log.clone())).unwrap();
        breaker.acquire().unwrap().failure();
        assert_eq!(log.lines(), [""; 0]);
        assert_eq!(world.log.lines(), ["failed 1"]);
    });
}

/// I12.
#[test]
fn a_listener_added_while_others_are_told_misses_nothing_from_its_first_event_on() {
    in_time(|| {
        let world = World::new();
        let breaker = world.breaker(NEVER);
        let fail = || breaker.acquire().unwrap().failure();
        let added = thread::scope(|scope| {
            let add = |_| {
                let log = Log::default();
                world.factory.add_listener(log.clone());
                log
            };
            let adder = scope.spawn(move || (0..100).map(add).collect::<Vec<_>>());
            while !adder.is_finished() {
                fail();
            }
            adder.join().unwrap()
        });
        fail();
        let all = world.log.lines();
        for log in added {
            let lines = log.lines();
            assert!(!lines.is_empty());
            assert_eq!(lines, all[all.len() - lines.len()..]);
        }
    });
}

/// I11.
#[test]
fn threads_cause_every_change_to_be_told_once_one_at_a_time_in_order() {
    in_time(|| {
        let world = World::new();
        let breaker = world.breaker(Config::new().threshold(2));
        let (observed, busy) = (breaker.clone(), AtomicBool::new(false));
        world.factory.add_listener(move |event: &Event| {
            assert!(!busy.swap(true, Ordering::Relaxed), "two are told at a time");
            if let Event::StateChanged { change, .. } = event {
                assert!(observed.snapshot().generation >= change.generation);
            }
            busy.store(false, Ordering::Relaxed);
        });
        thread::scope(|scope| {
            for thread in 0..4 {
                let (world, breaker) = (&world, &breaker);
                scope.spawn(move || {
                    for call in 0..500 {
                        match breaker.acquire() {
                            Ok(permit) if (call + thread) % 3 == 0 => permit.success(),
                            Ok(permit) => permit.failure(),
                            Err(_) => world.advance(31),
                        }
                    }
                });
            }
        });
        assert_eq!(world.factory.listener_panics(), 0);

        let events = world.log.take().into_iter();
        let changes = events.filter_map(|event| match event {
            Event::StateChanged { change, .. } => Some(change),
            _ => None,
        });
        let (mut state, mut generation) = (State::Closed, 0);
        for change in changes {
            assert_eq!((change.from, change.generation), (state, generation + 1));
            (state, generation) = (change.to, change.generation);
        }
        let end = breaker.snapshot();
        assert_eq!((state, generation), (end.state, end.generation));
        assert!(generation > 1);
    });
}

#[test]
fn calls_do_not_wait_for_a_listener_that_is_busy_with_an_event_of_another_call() {
    in_time(|| {
        let world = World::new();
        let breaker = world.breaker(NEVER);
        let (entered, is_in) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel();
        let may_leave = Mutex::new(may_leave);
        world.factory.add_listener(move |_: &Event| {
            entered.send(()).unwrap();
            may_leave.lock().unwrap().recv().unwrap();
        });
        thread::scope(|scope| {
            scope.spawn(|| breaker.acquire().unwrap().failure());
            is_in.recv().unwrap();
            breaker.acquire().unwrap().failure();
            assert_eq!(breaker.snapshot().failures, 2);
            assert_eq!(world.log.lines(), ["failed 1"]);
            leave.send(()).unwrap();
            leave.send(()).unwrap();
        });
        assert_eq!(world.log.lines(), ["failed 2"]);
    });
}

/// A listener that causes more events than may wait, and then a trip.
#[test]
fn a_stuck_listener_costs_frequent_events_beyond_1024_but_no_change_of_state() {
    in_time(|| {
        let world = World::new();
        let breaker = world.breaker(Config::new().threshold(1_101));
        let (stuck, once) = (breaker.clone(), AtomicBool::new(false));
        world.factory.add_listener(move |_: &Event| {
            if !once.swap(true, Ordering::Relaxed) {
                (0..1_100).for_each(|_| stuck.acquire().unwrap().failure());
            }
        });
        breaker.acquire().unwrap().failure();
        assert_eq!(breaker.snapshot().events_dropped, 1_100 - 1_024);

        // One call delivers 1024 events at most, and the next one goes on.
        assert_eq!(world.log.take().len(), 1_024);
        breaker.acquire().unwrap_err();
        let told = world.log.take();
        let told: Vec<_> = told.iter().map(Event::name).collect();
        assert_eq!(told, ["failed", "state_changed", "rejected"]);
    });
}

#[test]
fn a_listener_that_answers_every_event_with_another_lets_its_caller_go() {
    in_time(|| {
        let world = World::new();
        let breaker = world.breaker(NEVER);
        let answering = breaker.clone();
        world.factory.add_listener(move |_: &Event| answering.acquire().unwrap().failure());
        breaker.acquire().unwrap().failure();
        assert_eq!(breaker.snapshot().failures, 1_025);
    });
}

#[test]
fn a_listener_that_panics_when_it_is_dropped_harms_nobody() {
    struct RemovesItself(Arc<Mutex<Option<ListenerId>>>, CircuitBreakerFactory);

    impl Listener for RemovesItself {
        fn on_event(&self, _: &Event) {
            if let Some(id) = self.0.lock().unwrap().take() {
                self.1.remove_listener(id);
            }
        }
    }

    impl Drop for RemovesItself {
        fn drop(&mut self) {
            resume_unwind(Box::new(()));
        }
    }

    let world = World::new();
    let breaker = world.breaker(NEVER);
    let id = Arc::new(Mutex::new(None));
    let listener = RemovesItself(Arc::clone(&id), world.factory.clone());
    *id.lock().unwrap() = Some(world.factory.add_listener(listener));
    (0..3).for_each(|_| breaker.acquire().unwrap().failure());
    assert_eq!(world.log.lines(), ["failed 1", "failed 2", "failed 3"]);
    assert_eq!(world.factory.listener_panics(), 1);
}
