//! Calls: admitted, rejected, and what they come to.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, UnwindSafe, catch_unwind};
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, Config, State, circuit_breaker};

use crate::attribute_support::{Boom, finish, rejected, rejected_by, sensitive, state};

#[circuit_breaker("call")]
fn call(runs: &Cell<u32>, result: Result<u32, Boom>) -> Result<u32, Boom> {
    runs.set(runs.get() + 1);
    result
}

#[circuit_breaker("call")]
async fn call_async(runs: &Cell<u32>, result: Result<u32, Boom>) -> Result<u32, Boom> {
    runs.set(runs.get() + 1);
    result
}

#[test]
fn a_failure_trips_and_the_next_call_does_not_run() {
    let (factory, _clock) = sensitive();
    let runs = Cell::new(0);
    factory.scope(|| {
        assert_eq!(call(&runs, Ok(1)), Ok(1));
        assert_eq!(call(&runs, Err(Boom::Code(7))), Err(Boom::Code(7)));
        assert_eq!(runs.get(), 2);
        assert_eq!(call(&runs, Ok(1)), rejected("call"));
        assert_eq!(runs.get(), 2);
    });
    assert_eq!(state(&factory, "call"), Some(State::Open));
    assert_eq!(factory.find("call").unwrap().snapshot().rejected, 1);
}

#[test]
fn a_failed_future_trips_and_the_next_one_does_not_run() {
    let (factory, _clock) = sensitive();
    let runs = Cell::new(0);
    finish(factory.scope_async(async {
        assert_eq!(call_async(&runs, Ok(1)).await, Ok(1));
        assert_eq!(call_async(&runs, Err(Boom::Code(7))).await, Err(Boom::Code(7)));
        assert_eq!(runs.get(), 2);
        assert_eq!(call_async(&runs, Ok(1)).await, rejected("call"));
        assert_eq!(runs.get(), 2);
    }));
    assert_eq!(state(&factory, "call"), Some(State::Open));
}

#[test]
fn a_probe_closes_the_circuit() {
    let (factory, clock) = sensitive();
    let runs = Cell::new(0);
    factory.scope(|| {
        call(&runs, Err(Boom::Code(7))).unwrap_err();
        clock.advance(Duration::from_secs(31));
        assert_eq!(call(&runs, Ok(2)), Ok(2));
    });
    assert_eq!(state(&factory, "call"), Some(State::Closed));
}

#[test]
fn a_panic_is_a_failure_and_goes_on() {
    #[circuit_breaker("panics")]
    fn panics() -> Result<(), Boom> {
        std::panic::panic_any("boom")
    }

    let (factory, _clock) = sensitive();
    let payload = factory.scope(|| catch_unwind(panics).unwrap_err());
    assert_eq!(payload.downcast_ref(), Some(&"boom"));
    assert_eq!(state(&factory, "panics"), Some(State::Open));
}

#[test]
fn a_panic_in_a_poll_is_a_failure() {
    #[circuit_breaker("panics")]
    async fn panics() -> Result<(), Boom> {
        std::panic::panic_any("boom")
    }

    let (factory, _clock) = sensitive();
    let future = AssertUnwindSafe(factory.scope_async(panics()));
    let payload = catch_unwind(|| finish({ future }.0)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"boom"));
    assert_eq!(state(&factory, "panics"), Some(State::Open));
}

/// As the future of the function without the attribute is.
#[test]
fn what_is_safe_to_unwind_stays_so() {
    fn is_unwind_safe(_: impl UnwindSafe) {}

    #[circuit_breaker("safe")]
    async fn safe() -> Option<u8> {
        async {}.await;
        Some(1)
    }

    is_unwind_safe(safe());
    let breaker = CircuitBreakerFactory::new().get_breaker("safe").unwrap();
    is_unwind_safe(breaker.call_async(|| async {
        async {}.await;
        Ok::<_, Boom>(())
    }));
}

#[test]
fn none_is_a_failure() {
    #[circuit_breaker("option")]
    fn option(value: Option<u8>) -> Option<u8> {
        value
    }

    let (factory, _clock) = sensitive();
    factory.scope(|| {
        assert_eq!(option(Some(1)), Some(1));
        assert_eq!(state(&factory, "option"), Some(State::Closed));
        assert_eq!(option(None), None);
        assert_eq!(state(&factory, "option"), Some(State::Open));
        assert_eq!(option(Some(1)), None);
    });
}

#[test]
fn aliases_of_result_are_seen_through() {
    type Answer = Result<u8, Boom>;

    #[circuit_breaker("io")]
    fn io(fail: bool) -> std::io::Result<u8> {
        if fail { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(1) }
    }
    #[circuit_breaker("anyhow")]
    fn anyhow(fail: bool) -> anyhow::Result<u8> {
        anyhow::ensure!(!fail, "failed");
        Ok(1)
    }
    #[circuit_breaker("own")]
    fn own(fail: bool) -> Answer {
        if fail { Err(Boom::Code(7)) } else { Ok(1) }
    }

    let (factory, _clock) = sensitive();
    factory.scope(|| {
        assert!(io(false).is_ok() && anyhow(false).is_ok() && own(false).is_ok());
        assert!(io(true).is_err() && anyhow(true).is_err() && own(true).is_err());
        assert_eq!(rejected_by(&io(false).unwrap_err()), Some("io"));
        let error = anyhow(false).unwrap_err();
        assert_eq!(error.downcast_ref::<purgatory::Rejected>().unwrap().circuit(), "anyhow");
        assert_eq!(own(false), rejected("own"));
    });
}

#[test]
fn the_settings_are_those_of_the_attribute() {
    const PROBES: u32 = 4;

    #[circuit_breaker(
        "literals",
        threshold = 3,
        ttl = "1m 30s",
        half_open_probes = 4,
        success_threshold = 5,
        probe_lease = 0.25
    )]
    fn literals() -> Option<()> {
        Some(())
    }
    #[circuit_breaker("constants", threshold = PROBES - 1, ttl = Duration::from_secs(90),
        half_open_probes = PROBES, success_threshold = PROBES + 1, probe_lease = LEASE)]
    fn constants() -> Option<()> {
        Some(())
    }
    const LEASE: Duration = Duration::from_millis(250);
    #[circuit_breaker(name = "dyna".to_owned() + "mic", threshold = 3, ttl = 90,
        half_open_probes = 4, success_threshold = 5, probe_lease = "250ms")]
    fn dynamic() -> Option<()> {
        Some(())
    }

    let factory = CircuitBreakerFactory::new();
    factory.scope(|| [literals, constants, dynamic].map(|call| call()));
    let expected = Config::new()
        .threshold(3)
        .ttl(Duration::from_secs(90))
        .half_open_probes(4)
        .success_threshold(5)
        .probe_lease(Duration::from_millis(250));
    let expected = factory.get_breaker_with("expected", expected).unwrap().settings();
    for name in ["literals", "constants", "dynamic"] {
        assert_eq!(factory.find(name).unwrap().settings(), expected, "{name}");
    }
}

#[test]
fn a_call_site_without_a_scope_uses_the_global_factory() {
    #[circuit_breaker("attribute_calls: global", threshold = 1)]
    fn global(ok: bool) -> Option<()> {
        ok.then_some(())
    }

    assert_eq!(global(true), Some(()));
    let breaker = purgatory::get_breaker("attribute_calls: global").unwrap();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(global(false), None);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn of_two_attributes_the_second_is_the_outer_circuit() {
    #[circuit_breaker("inner")]
    #[circuit_breaker("outer", threshold = 2)]
    fn twice(result: Result<u8, Boom>) -> Result<u8, Boom> {
        result
    }

    let (factory, _clock) = sensitive();
    factory.scope(|| {
        assert_eq!(twice(Err(Boom::Code(7))), Err(Boom::Code(7)));
        assert_eq!(twice(Ok(1)), rejected("inner"));
        assert_eq!(twice(Ok(1)), rejected("outer"));
    });
}

#[test]
fn a_function_may_call_itself() {
    #[circuit_breaker("count down")]
    fn count_down(n: u32) -> Result<u32, Boom> {
        if n == 0 { Ok(0) } else { Ok(count_down(n - 1)? + 1) }
    }

    let (factory, _clock) = sensitive();
    assert_eq!(factory.scope(|| count_down(10)), Ok(10));
}

#[test]
fn question_mark_and_return_leave_the_body_only() {
    #[circuit_breaker("early")]
    fn early(text: &str) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
        if text.is_empty() {
            return Err("empty".into());
        }
        let number: u32 = text.parse()?;
        if number == 0 {
            return Ok(0);
        }
        Ok(number)
    }

    for (text, expected) in
        [("", State::Open), ("x", State::Open), ("0", State::Closed), ("1", State::Closed)]
    {
        let (factory, _clock) = sensitive();
        let result = factory.scope(|| early(text));
        assert_eq!(result.is_err(), expected == State::Open);
        assert_eq!(state(&factory, "early"), Some(expected), "{text:?}");
    }
}
