//! What listeners are told.

use std::time::Duration;

use purgatory::{Config, Event};
use purgatory_tests::{World, trip};

#[test]
fn a_life_is_told_event_by_event() {
    let world = World::new();
    let config = Config::new().threshold(2).ttl(Duration::from_secs(5));
    let breaker = world.factory.get_breaker_with("payments", config).unwrap();
    let late = breaker.acquire().unwrap();
    breaker.acquire().unwrap().failure();
    breaker.acquire().unwrap().success();
    breaker.acquire().unwrap().success();
    world.advance(1);
    trip(&breaker);
    breaker.acquire().unwrap_err();
    world.advance(6);
    let probe = breaker.acquire().unwrap();
    breaker.acquire().unwrap_err();
    late.failure();
    probe.failure();
    world.advance(6);
    breaker.acquire().unwrap().success();
    breaker.reset();
    trip(&breaker);
    breaker.reset();
    let expected = [
        &*format!("created: {:?}", breaker.settings()),
        "failed 1",
        "recovered",
        "failed 1",
        "failed 2",
        "closed to open, generation 1, opened at 1s: Tripped { failures: 2, threshold: 2 }",
        "rejected: open, 5s left",
        "open to half-open, generation 2: TtlPassed",
        "rejected: half-open with its probes busy, 5s left",
        "late: Failure of generation 0",
        "half-open to open, generation 3, opened at 7s: ProbeFailed",
        "open to half-open, generation 4: TtlPassed",
        "recovered",
        "half-open to closed, generation 5: ProbesSucceeded",
        "failed 1",
        "failed 2",
        "closed to open, generation 7, opened at 13s: Tripped { failures: 2, threshold: 2 }",
        "open to closed, generation 8: Reset",
    ];
    assert_eq!(world.log.lines(), expected);
}

#[test]
fn every_event_tells_its_kind_and_its_circuit() {
    let world = World::new();
    let breaker = world.factory.get_breaker_with("payments", Config::new().threshold(1)).unwrap();
    let late = breaker.acquire().unwrap();
    trip(&breaker);
    breaker.acquire().unwrap_err();
    late.success();
    world.factory.get_breaker_with("payments", Config::new().threshold(2)).unwrap();
    world.advance(31);
    breaker.acquire().unwrap().success();
    let events = world.log.take();
    assert!(events.iter().all(|event| event.circuit() == "payments"));
    let names: Vec<_> = events.iter().map(Event::name).collect();
    let expected = [
        "circuit_breaker_created",
        "failed",
        "state_changed",
        "rejected",
        "late",
        "config_conflict",
        "state_changed",
        "recovered",
        "state_changed",
    ];
    assert_eq!(names, expected);
}
