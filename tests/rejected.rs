//! What a call that is not admitted is told.

use std::error::Error;
use std::io;
use std::time::Duration;

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, Reason, Rejected, State, SystemClock,
};
use purgatory_tests::{World, trip};

const ONE: Config = Config::new().threshold(1);

/// The rejection of a circuit that stays open for that much longer.
fn rejected_with(left: Duration) -> Rejected {
    let world = World::new();
    let breaker = world.breaker(ONE);
    trip(&breaker);
    world.clock.advance(Duration::from_secs(30) - left);
    breaker.acquire().unwrap_err()
}

#[test]
fn a_rejection_says_which_circuit_why_and_for_how_long() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    trip(&breaker);
    world.advance(18);
    let rejected = breaker.acquire().unwrap_err();
    assert_eq!((rejected.circuit(), rejected.state()), ("payments", State::Open));
    assert_eq!(rejected.reason(), Reason::Open);
    assert_eq!(rejected.retry_after(), Duration::from_secs(12));
    assert_eq!(rejected.to_string(), r#"circuit "payments" is open, retry in 12s"#);

    world.advance(13);
    let _probe = breaker.acquire().unwrap();
    let busy = breaker.acquire().unwrap_err();
    assert_eq!((busy.circuit(), busy.state()), ("payments", State::HalfOpen));
    assert_eq!(busy.reason(), Reason::ProbesBusy);
    assert_eq!(busy.retry_after(), Duration::from_secs(30));
    let text = r#"circuit "payments" is half-open with its probes busy, retry in 30s"#;
    assert_eq!(busy.to_string(), text);
}

#[test]
fn what_a_rejection_says_does_not_change_as_time_passes() {
    let world = World::new();
    let breaker = world.breaker(ONE);
    trip(&breaker);
    let rejected = breaker.acquire().unwrap_err();
    world.advance(10);
    breaker.reset();
    assert_eq!(rejected.retry_after(), Duration::from_secs(30));
    assert_eq!(rejected.state(), State::Open);
}

/// I8, by the clock that most rejections read a coarse form of. However fast this runs, a call is turned away
/// only before the end of the open time, is not told to come before it, and is let through only after it.
#[test]
fn by_the_system_clock_no_call_is_admitted_before_the_time_or_told_to_come_before_it() {
    let mut rejections = 0;
    // As often as there is none: the thread may have been stopped for all of the open time.
    while rejections == 0 {
        let ttl = Duration::from_millis(30);
        let breaker = CircuitBreakerFactory::new().get_breaker_with("clock", ONE.ttl(ttl)).unwrap();
        trip(&breaker);
        let until = breaker.snapshot().since.saturating_add(ttl);
        loop {
            let before = SystemClock.now();
            let answer = breaker.acquire();
            let after = SystemClock.now();
            let Err(rejected) = answer else {
                assert!(after > until, "admitted {:?} early", until.since(after));
                break;
            };
            rejections += 1;
            assert!(before <= until, "rejected {:?} after the end", before.since(until));
            let comes = after.saturating_add(rejected.retry_after());
            assert!(comes >= until, "told to come {:?} early", until.since(comes));
        }
    }
}

#[test]
fn the_wait_is_rounded_to_what_a_reader_cares_for() {
    for (left, text) in [
        (Duration::from_nanos(1), "1ms"),
        (Duration::from_micros(2_001), "3ms"),
        (Duration::from_millis(999), "999ms"),
        (Duration::from_micros(999_001), "1s"),
        (Duration::from_millis(1_000), "1s"),
        (Duration::from_millis(1_049), "1s"),
        (Duration::from_millis(1_050), "1.1s"),
        (Duration::from_millis(9_900), "9.9s"),
        (Duration::from_millis(9_950), "10s"),
        (Duration::from_millis(10_499), "10s"),
        (Duration::from_millis(10_500), "11s"),
        (Duration::from_millis(29_501), "30s"),
    ] {
        let expected = format!(r#"circuit "payments" is open, retry in {text}"#);
        assert_eq!(rejected_with(left).to_string(), expected, "{left:?}");
    }
}

#[test]
fn debug_shows_what_can_be_asked() {
    let text = r#"Rejected { circuit: "payments", reason: Open, retry_after: 12s }"#;
    assert_eq!(format!("{:?}", rejected_with(Duration::from_secs(12))), text);
}

#[test]
fn a_name_is_quoted_in_messages() {
    let world = World::new();
    let breaker = world.factory.get_breaker_with(r#"a "b" \c"#, ONE).unwrap();
    trip(&breaker);
    let text = r#"circuit "a \"b\" \\c" is open, retry in 30s"#;
    assert_eq!(breaker.acquire().unwrap_err().to_string(), text);
}

#[test]
fn a_rejection_is_found_again_in_an_io_error() {
    let rejected = rejected_with(Duration::from_secs(5));
    let error = io::Error::from(rejected.clone());
    assert_eq!(error.kind(), io::ErrorKind::Other);
    assert_eq!(error.to_string(), rejected.to_string());
    assert_eq!(error.get_ref().unwrap().downcast_ref(), Some(&rejected));
}

#[test]
fn a_rejection_is_found_again_in_a_box_and_in_anyhow() {
    fn boxed(breaker: &CircuitBreaker) -> Result<(), Box<dyn Error + Send + Sync>> {
        breaker.acquire()?.success();
        Ok(())
    }
    fn anyhow(breaker: &CircuitBreaker) -> anyhow::Result<()> {
        breaker.acquire()?.success();
        Ok(())
    }
    let world = World::new();
    let breaker = world.breaker(ONE);
    trip(&breaker);
    let rejected = breaker.acquire().unwrap_err();
    assert_eq!(boxed(&breaker).unwrap_err().downcast_ref(), Some(&rejected));
    assert_eq!(anyhow(&breaker).unwrap_err().downcast_ref(), Some(&rejected));
}
