//! A breaker: its calls and permits.

use std::cell::Cell;
use std::error::Error as _;
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind, panic_any};
use std::thread;
use std::time::Duration;

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Error, Event, Permit, Reason, Rejected,
    Snapshot, State,
};
use purgatory_tests::{World, ready, trip};

const ONE: Config = Config::new().threshold(1);

/// I22. It is the compiler that would find out.
#[test]
fn handles_are_send_sync_and_unwind_safe() {
    const fn is_shared<T: Send + Sync + Unpin>() {}
    const fn survives_panics<T: UnwindSafe + RefUnwindSafe>() {}
    const fn is_sent<T: Send>(_: &T) {}

    const {
        is_shared::<CircuitBreaker>();
        is_shared::<CircuitBreakerFactory>();
        is_shared::<Permit>();
        is_shared::<Permit<&CircuitBreaker>>();
        is_shared::<Rejected>();
        is_shared::<Event>();
        is_shared::<Snapshot>();

        survives_panics::<CircuitBreaker>();
        survives_panics::<CircuitBreakerFactory>();
        survives_panics::<Permit>();
        survives_panics::<Permit<&CircuitBreaker>>();
        survives_panics::<Rejected>();
        survives_panics::<Event>();
        survives_panics::<Snapshot>();
    }

    // Held across an await of something that is no more than `Send`.
    let breaker = World::new().breaker(Config::new());
    let wait = async || {
        let cell = Cell::new(());
        std::future::ready(()).await;
        cell.get();
        Ok::<_, Failed>(())
    };
    is_sent(&breaker.call_async(wait));
    is_sent(&breaker.acquire_async());
    is_sent(&async {
        let permit = breaker.acquire_async().await.unwrap();
        permit.settle(&wait().await);
    });
}

#[test]
fn the_error_of_a_call_is_the_rejection_or_the_error_itself() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    let broken = || Err::<(), _>("broken");
    assert_eq!(breaker.call(broken), Err(Error::Inner("broken")));
    assert_eq!(Error::Inner("broken").into_inner(), Some("broken"));

    let rejected = breaker.acquire().unwrap_err();
    let error = breaker.call(broken).unwrap_err();
    assert_eq!(error, Error::Rejected(rejected.clone()));
    assert_eq!(error.into_inner(), None);
}

#[test]
fn the_error_of_a_call_has_what_happened_as_its_source() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    let parse = || "seven".parse::<u8>();
    let inner = breaker.call(parse).unwrap_err();
    assert_eq!(inner.to_string(), "the call failed");
    assert_eq!(inner.source().unwrap().to_string(), parse().unwrap_err().to_string());

    let rejected = breaker.call(parse).unwrap_err();
    assert_eq!(rejected.to_string(), "the call was rejected");
    assert!(rejected.source().unwrap().is::<Rejected>());
}

#[test]
fn rejections_are_counted_with_and_without_a_listener() {
    let world = World::new();
    let quiet = CircuitBreakerFactory::builder().clock(world.clock.clone()).build().unwrap();
    for breaker in [world.breaker(ONE), quiet.get_breaker_with("payments", ONE).unwrap()] {
        trip(&breaker);
        for _ in 0..3 {
            breaker.acquire().unwrap_err();
        }
        assert_eq!(breaker.snapshot().rejected, 3);
    }
}

#[test]
fn an_async_call_does_nothing_before_its_first_poll() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    let call = breaker.call_async(async || Ok::<_, ()>(()));
    trip(&breaker);
    assert!(matches!(ready(call), Err(Error::Rejected(_))));
}

#[test]
fn the_future_of_a_rejected_call_is_not_even_made() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    trip(&breaker);
    let mut made = false;
    let call = breaker.call_async(|| {
        made = true;
        std::future::ready(Ok::<_, ()>(()))
    });
    assert!(ready(call).is_err());
    assert!(!made);
}

#[test]
fn a_panic_goes_on_with_its_payload() {
    let breaker = World::new().breaker(ONE);
    let call = || breaker.call(|| -> Result<(), ()> { panic_any(7) });
    let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&7));
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_permit_can_be_settled_on_another_thread() {
    let breaker = World::new().breaker(ONE);
    let permit = breaker.acquire().unwrap().into_owned();
    thread::spawn(move || permit.failure()).join().unwrap();
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn clones_and_breakers_of_one_name_share_the_circuit() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    let (clone, again) = (breaker.clone(), world.factory.get_breaker("payments").unwrap());
    trip(&breaker);
    assert_eq!([clone.state(), again.state()], [State::Open; 2]);
}

#[test]
fn as_many_probes_are_admitted_at_once_as_are_configured() {
    let world = World::new();
    let breaker = world.breaker(ONE.half_open_probes(3));
    trip(&breaker);
    world.advance(31);
    let probes = [(); 3].map(|()| breaker.acquire().unwrap());
    assert!(probes.iter().all(Permit::is_probe));
    assert_eq!(breaker.acquire().unwrap_err().reason(), Reason::ProbesBusy);
}

#[test]
fn one_probe_at_a_time_can_close_a_circuit_that_needs_several() {
    let world = World::new();
    let breaker = world.breaker(ONE.success_threshold(3));
    trip(&breaker);
    world.advance(31);
    let states = [(); 3].map(|()| {
        breaker.acquire().unwrap().success();
        breaker.state()
    });
    assert_eq!(states, [State::HalfOpen, State::HalfOpen, State::Closed]);
}

#[test]
fn a_probe_that_outlived_its_lease_still_counts() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    trip(&breaker);
    world.advance(31);
    let slow = breaker.acquire().unwrap();
    world.advance(31);
    let _other = breaker.acquire().unwrap();
    slow.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn each_place_falls_free_when_its_own_lease_has_passed() {
    let world = World::new();
    let breaker = world.breaker(ONE.half_open_probes(2).probe_lease(Duration::from_secs(10)));
    trip(&breaker);
    world.advance(31);
    let _first = breaker.acquire().unwrap();
    world.advance(1);
    let _second = breaker.acquire().unwrap();
    world.advance(10);
    let _in_place_of_the_first = breaker.acquire().unwrap();
    assert_eq!(breaker.acquire().unwrap_err().retry_after(), Duration::ZERO);
    world.clock.advance(Duration::from_nanos(1));
    let _in_place_of_the_second = breaker.acquire().unwrap();
}

#[test]
fn a_reset_closes_and_forgets() {
    let world = World::new();
    let breaker = world.breaker(Config::new().threshold(2));
    trip(&breaker);
    world.log.take();
    breaker.reset();
    assert_eq!(world.log.lines(), ["open to closed, generation 2: Reset"]);

    breaker.acquire().unwrap().failure();
    world.log.take();
    breaker.reset();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.failures), (State::Closed, 0));
    assert_eq!(snapshot.generation, 3);
    assert!(world.log.lines().is_empty(), "it was closed already");
}

/// I6.
#[test]
fn a_late_outcome_changes_nothing_but_its_count() {
    type Late = fn(Permit);
    type Meanwhile = fn(&World, &CircuitBreaker);
    let cases: [(&str, Meanwhile, Late); 5] = [
        ("failure after a reset", |_, breaker| breaker.reset(), Permit::failure),
        ("failure while open", |_, breaker| trip(breaker), Permit::failure),
        ("success while half-open", half_open, Permit::success),
        ("failure while half-open", half_open, Permit::failure),
        ("giving back a place while half-open", half_open, drop),
    ];
    for (case, meanwhile, late) in cases {
        let world = World::new();
        let breaker = world.breaker(ONE);
        let permit = breaker.acquire().unwrap().into_owned();
        meanwhile(&world, &breaker);
        world.log.take();
        world.advance(1);
        let mut expected = breaker.snapshot();
        late(permit);
        expected.late += 1;
        assert_eq!(breaker.snapshot(), expected, "{case}");
        let told: Vec<_> = world.log.take().iter().map(Event::name).collect();
        assert_eq!(told, ["late"], "{case}");
    }
}

fn half_open(world: &World, breaker: &CircuitBreaker) {
    trip(breaker);
    world.advance(31);
    breaker.acquire().unwrap().ignore();
}

/// I6.
#[test]
fn a_late_failure_does_not_move_the_end_of_the_open_time() {
    let world = World::new();
    let breaker = world.breaker(ONE.half_open_probes(2));
    half_open(&world, &breaker);
    let (first, second) = (breaker.acquire().unwrap(), breaker.acquire().unwrap());
    first.failure();
    world.advance(10);
    second.failure();
    assert_eq!(breaker.acquire().unwrap_err().retry_after(), Duration::from_secs(20));
}

/// I6.
#[test]
fn a_late_probe_does_not_give_back_a_place_of_a_later_generation() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    half_open(&world, &breaker);
    let late = breaker.acquire().unwrap();
    breaker.reset();
    half_open(&world, &breaker);
    let _probe = breaker.acquire().unwrap();
    late.ignore();
    assert_eq!(breaker.acquire().unwrap_err().reason(), Reason::ProbesBusy);
}

#[test]
fn a_panic_while_the_future_is_made_is_a_failure() {
    let world = World::new();
    let breaker = world.breaker(Config::new());
    let making = || -> std::future::Ready<Result<(), Failed>> { panic_any("making") };
    let call = AssertUnwindSafe(|| ready(breaker.call_async(making)));
    catch_unwind(call).unwrap_err();
    assert_eq!(breaker.snapshot().failures, 1);
}

/// What a permit says is what it comes to; only what says nothing is asked whether the thread panics.
#[test]
fn a_permit_that_is_settled_in_a_panic_keeps_to_what_it_says() {
    struct Settles(Option<Permit>, fn(Permit));
    impl Drop for Settles {
        fn drop(&mut self) {
            self.1(self.0.take().unwrap());
        }
    }

    let cases: [(fn(Permit), u32); 4] =
        [(Permit::ignore, 0), (Permit::success, 0), (Permit::failure, 1), (drop, 1)];
    for (settle, failures) in cases {
        let world = World::new();
        let breaker = world.breaker(Config::new());
        let settles = Settles(Some(breaker.acquire().unwrap().into_owned()), settle);
        let call = AssertUnwindSafe(|| {
            let _settles = settles;
            panic_any("elsewhere");
        });
        catch_unwind(call).unwrap_err();
        assert_eq!(breaker.snapshot().failures, failures);
    }
}

/// Only needed as a type.
#[derive(Debug)]
struct Failed;
