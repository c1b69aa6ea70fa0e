//! Rules: which errors do not count as failures, and where they are found.

use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, FactoryBuilder, Rejected, State};
use purgatory_tests::{World, ready, trip};
use thiserror::Error;

#[derive(Debug, Clone, Error)]
#[error("status {0}")]
struct Status(u16);

#[derive(Debug, Error)]
#[error("no connection")]
struct Offline;

/// Has a status as its source.
#[derive(Debug, Error)]
#[error("loading failed")]
struct LoadError(#[source] Status);

/// What a circuit with one failure makes of an error.
#[derive(Debug, PartialEq)]
enum Verdict {
    Success,
    Failure,
    Ignored,
}

fn verdict<E: 'static>(breaker: &CircuitBreaker, error: E) -> Verdict {
    breaker.reset();
    breaker.acquire().unwrap().failure();
    assert!(breaker.call(|| Err::<(), _>(error)).is_err());
    match breaker.snapshot().failures {
        0 => Verdict::Success,
        1 => Verdict::Ignored,
        _ => Verdict::Failure,
    }
}

fn builder() -> FactoryBuilder {
    CircuitBreakerFactory::builder()
}

fn breaker(builder: FactoryBuilder) -> CircuitBreaker {
    builder.build().unwrap().get_breaker("payments").unwrap()
}

#[test]
fn without_rules_every_error_is_a_failure() {
    assert_eq!(verdict(&breaker(builder()), Status(404)), Verdict::Failure);
}

#[test]
fn an_excluded_error_is_a_success_and_an_ignored_one_is_nothing() {
    let of_factory = breaker(builder().exclude_all::<Status>().ignore_all::<Offline>());
    let of_handle = breaker(builder()).exclude_all::<Status>().ignore_all::<Offline>();
    for breaker in [of_factory, of_handle] {
        assert_eq!(verdict(&breaker, Status(500)), Verdict::Success);
        assert_eq!(verdict(&breaker, Offline), Verdict::Ignored);
        assert_eq!(verdict(&breaker, io::Error::other("disk full")), Verdict::Failure);
    }
}

#[test]
fn a_rule_can_ask_the_error() {
    let client = |status: &Status| status.0 < 500;
    let of_factory = [breaker(builder().exclude(client)), breaker(builder().ignore(client))];
    let of_handle = [breaker(builder()).exclude(client), breaker(builder()).ignore(client)];
    for [excludes, ignores] in [of_factory, of_handle] {
        assert_eq!(verdict(&excludes, Status(404)), Verdict::Success);
        assert_eq!(verdict(&excludes, Status(503)), Verdict::Failure);
        assert_eq!(verdict(&ignores, Status(404)), Verdict::Ignored);
        assert_eq!(verdict(&ignores, Status(503)), Verdict::Failure);
    }
}

#[test]
fn the_first_rule_whose_type_is_found_decides_and_no_later_one_is_asked() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let breaker = breaker(
        builder()
            .exclude_all::<Offline>()
            .exclude::<Status>(|status| status.0 < 500)
            .ignore::<Status>(move |_| count.fetch_add(1, Ordering::Relaxed) < u32::MAX),
    );
    assert_eq!(verdict(&breaker, Status(404)), Verdict::Success);
    assert_eq!(verdict(&breaker, Status(503)), Verdict::Failure);
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn the_order_of_the_rules_counts_and_not_that_of_the_sources() {
    let outer_first = breaker(builder().ignore_all::<LoadError>().exclude_all::<Status>());
    let inner_first = breaker(builder().exclude_all::<Status>().ignore_all::<LoadError>());
    let error = || -> BoxError { Box::new(LoadError(Status(404))) };
    assert_eq!(verdict(&outer_first, error()), Verdict::Ignored);
    assert_eq!(verdict(&inner_first, error()), Verdict::Success);
}

#[test]
fn the_rules_of_a_breaker_come_before_those_of_the_factory() {
    let of_factory = builder().exclude::<Status>(|status| status.0 < 500).ignore_all::<Offline>();
    let plain = breaker(of_factory);
    let own = plain.clone().ignore::<Status>(|status| status.0 == 503);
    assert_eq!(verdict(&own, Status(503)), Verdict::Ignored);
    assert_eq!(verdict(&own, Status(404)), Verdict::Failure);
    assert_eq!(verdict(&own, Offline), Verdict::Ignored);
    assert_eq!(verdict(&plain, Status(503)), Verdict::Failure);
    assert_eq!(verdict(&plain, Status(404)), Verdict::Success);
}

#[test]
fn the_rules_of_a_breaker_belong_to_it_and_its_later_clones() {
    let factory = builder().build().unwrap();
    let plain = factory.get_breaker("payments").unwrap();
    let own = plain.clone().exclude_all::<Status>();
    assert_eq!(verdict(&own.clone(), Status(404)), Verdict::Success);
    assert_eq!(verdict(&plain, Status(404)), Verdict::Failure);
    let again = factory.get_breaker("payments").unwrap();
    assert_eq!(verdict(&again, Status(404)), Verdict::Failure);
}

#[test]
fn a_permit_goes_by_the_rules_of_the_breaker_it_came_from() {
    let plain = breaker(builder());
    let permit = plain.clone().exclude_all::<Status>().acquire().unwrap().into_owned();
    plain.acquire().unwrap().failure();
    permit.settle(&Err::<(), _>(Status(404)));
    assert_eq!(plain.snapshot().failures, 0);
}

type BoxError = Box<dyn Error + Send + Sync>;

/// Everything that the documentation says can be found.
#[test]
fn an_error_is_found_in_the_usual_boxes_and_along_the_sources_from_there() {
    let breaker = breaker(builder().exclude_all::<Status>());
    let status = || Status(404);
    let load = || LoadError(Status(404));
    for (place, verdict) in [
        ("the error itself", verdict(&breaker, status())),
        ("Box<dyn Error + Send + Sync>", verdict::<BoxError>(&breaker, Box::new(status()))),
        ("Box<dyn Error + Send>", verdict::<Box<dyn Error + Send>>(&breaker, Box::new(status()))),
        ("Box<dyn Error>", verdict::<Box<dyn Error>>(&breaker, Box::new(status()))),
        ("Arc", verdict::<Arc<dyn Error + Send + Sync>>(&breaker, Arc::new(status()))),
        ("io::Error", verdict(&breaker, io::Error::other(status()))),
        ("anyhow::Error", verdict(&breaker, anyhow::Error::new(status()))),
        ("a context of anyhow", verdict(&breaker, anyhow::Error::new(status()).context("more"))),
        (
            "a source in Box<dyn Error + Send + Sync>",
            verdict::<BoxError>(&breaker, Box::new(load())),
        ),
        (
            "a source in Box<dyn Error + Send>",
            verdict::<Box<dyn Error + Send>>(&breaker, Box::new(load())),
        ),
        ("a source in Box<dyn Error>", verdict::<Box<dyn Error>>(&breaker, Box::new(load()))),
        ("a source in Arc", verdict::<Arc<dyn Error + Send + Sync>>(&breaker, Arc::new(load()))),
        ("a source in io::Error", verdict(&breaker, io::Error::other(load()))),
        ("a source in anyhow::Error", verdict(&breaker, anyhow::Error::new(load()))),
        (
            "an io::Error in an io::Error",
            verdict(&breaker, io::Error::other(io::Error::other(status()))),
        ),
        (
            "an io::Error in a box",
            verdict::<BoxError>(&breaker, Box::new(io::Error::other(load()))),
        ),
    ] {
        assert_eq!(verdict, Verdict::Success, "in {place}");
    }
}

#[test]
fn an_error_is_found_among_the_sources_of_a_type_that_is_to_be_looked_into() {
    let load = || LoadError(Status(404));
    let rules = || builder().exclude_all::<Status>();
    assert_eq!(verdict(&breaker(rules()), load()), Verdict::Failure);
    let other = || rules().look_into::<Offline>();
    assert_eq!(verdict(&breaker(other()), load()), Verdict::Failure);
    assert_eq!(verdict(&breaker(other().look_into::<LoadError>()), load()), Verdict::Success);
}

#[test]
fn an_error_is_not_found_where_the_type_system_hides_it() {
    let breaker = breaker(builder().exclude_all::<Status>());
    for (place, verdict) in [
        ("a tuple", verdict(&breaker, (Status(404), "page"))),
        ("an enum", verdict(&breaker, Err::<(), _>(Status(404)))),
        ("an option", verdict(&breaker, Some(Status(404)))),
        ("its message", verdict(&breaker, Status(404).to_string())),
        ("its message in a box", verdict::<BoxError>(&breaker, Status(404).to_string().into())),
    ] {
        assert_eq!(verdict, Verdict::Failure, "in {place}");
    }
}

#[test]
fn the_rejection_of_another_breaker_can_be_ignored() {
    let world = World::new();
    let inner = world.breaker(Config::new().threshold(1));
    trip(&inner);
    let outer = breaker(builder().ignore_all::<Rejected>());
    let rejected = || inner.acquire().unwrap_err();
    assert_eq!(verdict(&outer, rejected()), Verdict::Ignored);
    assert_eq!(verdict(&outer, io::Error::from(rejected())), Verdict::Ignored);
    assert_eq!(verdict::<BoxError>(&outer, rejected().into()), Verdict::Ignored);

    // As `call` gives it: in a box, or with its type named.
    let call = || inner.call(|| Err::<(), _>(Status(500))).unwrap_err();
    assert_eq!(verdict::<BoxError>(&outer, call().into()), Verdict::Ignored);
    let outer = breaker(builder().ignore_all::<Rejected>().look_into::<purgatory::Error<Status>>());
    assert_eq!(verdict(&outer, call()), Verdict::Ignored);
    let outer = breaker(builder()).ignore_all::<Rejected>();
    assert_eq!(verdict(&outer, call()), Verdict::Failure);
    let outer = outer.look_into::<purgatory::Error<Status>>();
    assert_eq!(verdict(&outer, call()), Verdict::Ignored);
}

/// I9: rules are asked in the call. What the error was to be is not known, so it is what errors are.
#[test]
fn a_panic_in_a_rule_is_a_failure_of_the_call_and_goes_on() {
    fn panics(_: &Status) -> bool {
        resume_unwind(Box::new("rule"))
    }
    type With = fn(FactoryBuilder) -> (World, CircuitBreaker);
    let rules: [(&str, With); 4] = [
        ("exclude of the factory", |builder| world(builder.exclude(panics))),
        ("ignore of the factory", |builder| world(builder.ignore(panics))),
        ("exclude of the handle", |builder| {
            let (world, breaker) = world(builder);
            (world, breaker.exclude(panics))
        }),
        ("ignore of the handle", |builder| {
            let (world, breaker) = world(builder);
            (world, breaker.ignore(panics))
        }),
    ];
    fn failing() -> Result<(), Status> {
        Err(Status(503))
    }
    type Door = fn(&CircuitBreaker);
    let doors: [(&str, Door); 3] = [
        ("call", |breaker| drop(breaker.call(failing))),
        ("call_async", |breaker| drop(ready(breaker.call_async(async || failing())))),
        ("permit", |breaker| breaker.acquire().unwrap().settle(&failing())),
    ];
    for (rule, with) in rules {
        for (door, call) in doors {
            let (world, breaker) = with(builder());
            let call = || catch_unwind(AssertUnwindSafe(|| call(&breaker))).unwrap_err();
            assert_eq!(call().downcast_ref(), Some(&"rule"), "{door}, {rule}");
            assert_eq!(world.log.lines(), ["failed 1"], "{door}, {rule}");

            breaker.acquire().unwrap().failure();
            world.advance(31);
            breaker.acquire().unwrap().ignore();
            world.log.take();
            assert_eq!(call().downcast_ref(), Some(&"rule"), "{door}, {rule}");
            let opens = "half-open to open, generation 3, opened at 31s: ProbeFailed";
            assert_eq!(world.log.lines(), [opens], "{door}, {rule}");
            world.advance(31);
            breaker.acquire().unwrap().success();
            assert_eq!(breaker.state(), State::Closed, "{door}, {rule}");
        }
    }
}

fn world(builder: FactoryBuilder) -> (World, CircuitBreaker) {
    let world = World::with(builder);
    let breaker = world.breaker(Config::new().threshold(2));
    (world, breaker)
}
