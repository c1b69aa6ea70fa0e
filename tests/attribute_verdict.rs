//! What counts as a failure: `exclude`, `ignore`, `failure_if`, and the rules of the factory.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{catch_unwind, resume_unwind};
use std::pin::Pin;
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, State, circuit_breaker};

use crate::attribute_support::{Boom, finish, pause, sensitive};

/// What a call does to a circuit that has failed once, with a threshold of two.
#[derive(Debug, PartialEq, Eq)]
enum Counts {
    Success,
    Nothing,
    Failure,
}

fn counts<R>(circuit: &str, failing: impl FnOnce() -> R, call: impl FnOnce() -> R) -> Counts {
    let factory = CircuitBreakerFactory::builder().threshold(2).build().unwrap();
    factory.scope(failing);
    let breaker = factory.find(circuit).expect("the call was made");
    assert_eq!(breaker.snapshot().failures, 1);
    factory.scope(call);
    match (breaker.state(), breaker.snapshot().failures) {
        (State::Closed, 0) => Counts::Success,
        (State::Closed, 1) => Counts::Nothing,
        (State::Open, _) => Counts::Failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn patterns_are_tried_in_the_order_written() {
    #[circuit_breaker("patterns", ignore(Boom::Code(400), Boom::Code(c) if c % 2 == 1),
        exclude(| Boom::Code(400..=499) | Boom::Code(1..100)))]
    fn patterns(code: u16) -> Result<(), Boom> {
        Err(Boom::Code(code))
    }

    let outcome = |code| counts("patterns", || patterns(500), || patterns(code));
    assert_eq!(outcome(400), Counts::Nothing);
    assert_eq!(outcome(401), Counts::Nothing);
    assert_eq!(outcome(402), Counts::Success);
    assert_eq!(outcome(98), Counts::Success);
    assert_eq!(outcome(500), Counts::Failure);
}

#[test]
fn predicates_are_tried_in_the_order_written() {
    fn client_error(error: &Boom) -> bool {
        matches!(error, Boom::Code(400..=499))
    }

    #[circuit_breaker(
        "exclude first",
        exclude = client_error,
        ignore = |e| *e == Boom::Code(404) || *e == Boom::Code(0),
    )]
    fn exclude_first(code: u16) -> Result<(), Boom> {
        Err(Boom::Code(code))
    }
    #[circuit_breaker("ignore first", ignore = |e| *e == Boom::Code(404), exclude = client_error)]
    async fn ignore_first(code: u16) -> Result<(), Boom> {
        Err(Boom::Code(code))
    }

    let sync = |code| counts("exclude first", || exclude_first(500), || exclude_first(code));
    assert_eq!(sync(404), Counts::Success);
    assert_eq!(sync(0), Counts::Nothing);
    assert_eq!(sync(500), Counts::Failure);

    let future = |code| finish(ignore_first(code));
    let later = |code| counts("ignore first", || future(500), || future(code));
    assert_eq!(later(404), Counts::Nothing);
    assert_eq!(later(400), Counts::Success);
    assert_eq!(later(500), Counts::Failure);
}

#[test]
fn a_matcher_is_not_asked_about_a_success() {
    let asked = RefCell::new(Vec::new());

    #[circuit_breaker("asked", exclude = |e: &Boom| { asked.borrow_mut().push(e.clone()); false })]
    fn call(asked: &RefCell<Vec<Boom>>, result: Result<(), Boom>) -> Result<(), Boom> {
        result
    }

    let (factory, _clock) = sensitive();
    factory
        .scope(|| call(&asked, Ok(())).and_then(|()| call(&asked, Err(Boom::Code(1)))))
        .unwrap_err();
    assert_eq!(*asked.borrow(), [Boom::Code(1)]);
}

#[test]
fn the_rules_of_the_factory_come_after_those_of_the_call() {
    #[derive(Debug)]
    struct Status(u16);
    impl fmt::Display for Status {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "status {}", self.0)
        }
    }
    impl Error for Status {}

    #[circuit_breaker("rules", ignore = |e| e.to_string() == "status 404")]
    fn rules(code: u16) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(Box::new(Status(code)))
    }

    let builder = CircuitBreakerFactory::builder().threshold(2);
    let factory = builder.exclude::<Status>(|status| status.0 < 500).build().unwrap();
    let failures = |code| {
        factory.scope(|| rules(code).unwrap_err());
        factory.find("rules").unwrap().snapshot().failures
    };
    assert_eq!([500, 404, 400].map(failures), [1, 1, 0]);
}

#[test]
fn failure_if_comes_first() {
    #[circuit_breaker(
        "first",
        failure_if(Ok(500..) | Err(Boom::Code(403))),
        exclude(Boom::Code(400..)),
    )]
    fn first(result: Result<u16, Boom>) -> Result<u16, Boom> {
        result
    }

    let outcome = |result: Result<u16, Boom>| counts("first", || first(Ok(500)), || first(result));
    assert_eq!(outcome(Ok(200)), Counts::Success);
    assert_eq!(outcome(Ok(503)), Counts::Failure);
    assert_eq!(outcome(Err(Boom::Code(403))), Counts::Failure);
    assert_eq!(outcome(Err(Boom::Code(404))), Counts::Success);
    assert_eq!(outcome(Err(Boom::Code(1))), Counts::Failure);
}

#[test]
fn what_failure_if_lets_pass_is_judged_as_ever() {
    #[circuit_breaker("result", failure_if = |result| matches!(result, Ok(500..)))]
    async fn result(result: io::Result<u16>) -> io::Result<u16> {
        result
    }
    #[circuit_breaker("option", failure_if(Some(0)))]
    fn option(value: Option<u16>) -> Option<u16> {
        value
    }

    let result_of = |value| counts("result", || finish(result(Ok(500))), || finish(result(value)));
    assert_eq!(result_of(Ok(200)), Counts::Success);
    assert_eq!(result_of(Err(io::ErrorKind::NotFound.into())), Counts::Failure);

    let option_of = |value| counts("option", || option(Some(0)), || option(value));
    assert_eq!(option_of(Some(1)), Counts::Success);
    assert_eq!(option_of(None), Counts::Failure);
}

#[test]
fn any_value_can_be_judged() {
    struct Response {
        status: u16,
    }

    #[circuit_breaker(
        "value",
        failure_if(Response { status: 500..=599 }),
        fallback = Response { status: 0 },
    )]
    fn value(status: u16) -> Response {
        Response { status }
    }
    #[circuit_breaker(
        "generic",
        failure_if = |value| *value == T::default(),
        fallback = T::default(),
    )]
    fn generic<T: Default + PartialEq>(value: T) -> T {
        value
    }

    let outcome = |status| counts("value", || value(500), || value(status));
    assert_eq!(outcome(200), Counts::Success);
    assert_eq!(outcome(500), Counts::Failure);

    let outcome = |value| counts("generic", || generic(0), || generic(value));
    assert_eq!(outcome(1), Counts::Success);
    assert_eq!(outcome(0), Counts::Failure);

    let (factory, clock) = sensitive();
    factory.scope(|| {
        assert_eq!(value(503).status, 503);
        assert_eq!(value(200).status, 0);
        clock.advance(Duration::from_secs(31));
        assert_eq!(value(200).status, 200);
    });
}

/// I9: they are asked in the call.
#[test]
fn a_panic_in_a_condition_is_a_failure_of_the_call_and_goes_on() {
    fn panics<T>(_: &T) -> bool {
        resume_unwind(Box::new("condition"))
    }

    #[circuit_breaker("panics", exclude = panics)]
    fn exclude() -> Result<(), Boom> {
        Err(Boom::Code(1))
    }
    #[circuit_breaker("panics", ignore(Boom::Code(code) if panics(code)))]
    async fn ignore() -> Result<(), Boom> {
        pause().await;
        Err(Boom::Code(1))
    }
    #[circuit_breaker("panics", failure_if = panics)]
    fn failure_if() -> Result<(), Boom> {
        Ok(())
    }
    #[circuit_breaker("panics", failure_if = panics)]
    fn boxed() -> Pin<Box<dyn Future<Output = Option<String>>>> {
        Box::pin(async {
            pause().await;
            Some(String::new())
        })
    }
    #[circuit_breaker("panics", failure_if = panics, fallback = 0)]
    fn any() -> u32 {
        1
    }

    let doors: [(&str, fn()); 5] = [
        ("exclude", || drop(exclude())),
        ("ignore", || drop(finish(ignore()))),
        ("failure_if", || drop(failure_if())),
        ("boxed", || drop(finish(boxed()))),
        ("any", || assert_eq!(any(), 0)),
    ];
    for (door, call) in doors {
        let (factory, clock) = sensitive();
        for generation in [1, 3] {
            let payload = catch_unwind(|| factory.scope(call)).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"condition"), "{door}");
            let circuit = factory.find("panics").unwrap().snapshot();
            assert_eq!((circuit.state, circuit.generation), (State::Open, generation), "{door}");
            clock.advance(Duration::from_secs(31));
        }
        let probe = factory.find("panics").unwrap();
        assert!(probe.acquire().unwrap().is_probe(), "{door}");
    }
}
