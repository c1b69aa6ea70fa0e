//! Scopes, which stand in for the global factory.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Barrier;
use std::task::Poll;
use std::thread;

use purgatory::{CircuitBreakerFactory, Config, State, get_breaker};
use purgatory_tests::{poll_once, ready, trip};

/// Registers a name where it is called, and says where that was.
fn is_reached(factory: &CircuitBreakerFactory) -> bool {
    let name = "reached";
    let before = factory.find(name).is_some();
    get_breaker(name).unwrap();
    !before && factory.remove(name).is_ok()
}

#[test]
fn a_scope_reaches_the_factory_and_its_breakers() {
    let factory = CircuitBreakerFactory::new();
    let names = factory.scope(|| {
        get_breaker("payments").unwrap();
        purgatory::factory().get_breaker_with("search", Config::new()).unwrap();
        purgatory::factory().names()
    });
    assert_eq!(names, ["payments", "search"]);
    assert_eq!(factory.names(), names);
    assert!(!is_reached(&factory), "the scope has ended");
}

#[test]
fn scopes_nest() {
    let (outer, inner) = (CircuitBreakerFactory::new(), CircuitBreakerFactory::new());
    outer.scope(|| {
        inner.scope(|| {
            assert!(is_reached(&inner));
            assert!(outer.scope(|| is_reached(&outer)));
            assert!(is_reached(&inner));
        });
        assert!(is_reached(&outer));
    });
}

#[test]
fn a_scope_is_left_by_a_panic_too() {
    let (outer, inner) = (CircuitBreakerFactory::new(), CircuitBreakerFactory::new());
    outer.scope(|| {
        let panic = AssertUnwindSafe(|| inner.scope(|| resume_unwind(Box::new(()))));
        catch_unwind(panic).unwrap_err();
        assert!(is_reached(&outer));
        assert!(!is_reached(&inner));
    });
}

#[test]
fn a_scope_does_not_reach_the_threads_that_it_starts() {
    let factory = CircuitBreakerFactory::new();
    factory.scope(|| {
        assert!(is_reached(&factory));
        let reached = thread::scope(|scope| scope.spawn(|| is_reached(&factory)).join().unwrap());
        assert!(!reached);
    });
}

/// Not ready at its first poll.
async fn pause() {
    let mut paused = false;
    poll_fn(|_| match std::mem::replace(&mut paused, true) {
        false => Poll::Pending,
        true => Poll::Ready(()),
    })
    .await;
}

#[test]
fn a_scope_follows_its_future_across_awaits_and_threads() {
    let factory = CircuitBreakerFactory::new();
    let mut future = Box::pin(factory.scope_async(async {
        get_breaker("first").unwrap();
        pause().await;
        get_breaker("second").unwrap();
    }));
    assert!(poll_once(future.as_mut()).is_pending());
    assert!(!is_reached(&factory), "only the future is in the scope");
    let ended = thread::spawn(move || poll_once(future.as_mut()).is_ready()).join().unwrap();
    assert!(ended);
    assert_eq!(factory.names(), ["first", "second"]);
}

#[test]
fn scopes_of_futures_nest_and_take_turns_on_one_thread() {
    let [one, two, inner] = [(); 3].map(|()| CircuitBreakerFactory::new());
    let task = |factory: &CircuitBreakerFactory| {
        let (factory, inner) = (factory.clone(), inner.clone());
        async move {
            pause().await;
            assert!(is_reached(&factory));
            inner.scope_async(async { assert!(is_reached(&inner)) }).await;
            assert!(is_reached(&factory));
        }
    };
    let (mut first, mut second) =
        (pin!(one.scope_async(task(&one))), pin!(two.scope_async(task(&two))));
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(first).is_ready());
    assert!(poll_once(second).is_ready());
}

#[test]
fn a_call_decides_in_the_scope_that_polls_it_first() {
    let factory = CircuitBreakerFactory::new();
    let call = factory.scope(|| async { get_breaker("payments").unwrap().name().clone() });
    assert_eq!(ready(factory.scope_async(call)), *"payments");
    assert_eq!(factory.names(), ["payments"]);
}

#[test]
fn tests_with_the_same_names_run_side_by_side() {
    let both = Barrier::new(2);
    let run = |trips: bool| {
        let factory = CircuitBreakerFactory::new();
        factory.scope(|| {
            let breaker = get_breaker("payments").unwrap();
            both.wait();
            if trips {
                trip(&breaker);
            }
            both.wait();
            get_breaker("payments").unwrap().state()
        })
    };
    let states = thread::scope(|scope| {
        [true, false].map(|trips| scope.spawn(move || run(trips))).map(|it| it.join().unwrap())
    });
    assert_eq!(states, [State::Open, State::Closed]);
}

#[test]
fn the_first_use_makes_a_global_factory_that_cannot_be_configured_any_more() {
    get_breaker("used").unwrap();
    let error = purgatory::configure(CircuitBreakerFactory::new()).unwrap_err();
    assert_eq!(error.to_string(), "the global factory is configured or in use already");
    assert!(purgatory::factory().find("used").is_some());
}

#[test]
fn a_scope_reaches_what_a_dropped_future_does() {
    struct CallsWhenDropped;

    impl Drop for CallsWhenDropped {
        fn drop(&mut self) {
            get_breaker("dropped").unwrap();
        }
    }

    let factory = CircuitBreakerFactory::new();
    let mut future = Box::pin(factory.scope_async(async {
        let _calls = CallsWhenDropped;
        std::future::pending::<()>().await;
    }));
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(factory.names(), ["dropped"]);
}
