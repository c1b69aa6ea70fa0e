//! Calls that race for one circuit.

use std::time::Duration;

use loom::thread;
use purgatory::{Config, Reason, State};

use crate::{TTL, after_ttl, breaker, explore, fail, race};

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

/// I4, I5: one failure less than the threshold never trips, and none is lost. What each thread finds after
/// its own tells how they came: from one after the other to all before anybody looked.
#[test]
fn no_failure_is_lost_below_the_threshold() {
    let endings = explore(|endings| {
        let (breaker, _) = breaker(Config::new().threshold(4));
        let mut found = race(&breaker, 3, |breaker| {
            fail(breaker).unwrap();
            breaker.snapshot().failures
        });
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failures), (State::Closed, 3));
        found.sort_unstable();
        endings.saw(format!("{found:?}"));
    });
    endings.are(&["[1, 2, 3]", "[1, 3, 3]", "[2, 2, 3]", "[2, 3, 3]", "[3, 3, 3]"]);
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
        let other = {
            let breaker = breaker.clone();
            thread::spawn(move || {
                stale.failure();
                breaker.state()
            })
        };
        probe.success();
        let late = breaker.snapshot().late;
        let after_it = other.join().unwrap();
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failures, snapshot.late), (State::Closed, 0, 1));
        endings.saw(match (after_it, late) {
            (State::HalfOpen, 1) => "stale first",
            (State::Closed, 0) => "probe first",
            (State::Closed, 1) => "both before either looked",
            other => panic!("{other:?}"),
        });
    });
    endings.are(&["both before either looked", "probe first", "stale first"]);
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

/// I13: what a rejection says belongs to the opening that it met. The lease is twice the ttl, so that a
/// reason of the one with a time of the other is none of the two.
#[test]
fn a_rejection_shows_one_opening() {
    let endings = explore(|endings| {
        let (breaker, clock) = breaker(Config::new().threshold(1).probe_lease(TTL * 2));
        breaker.acquire().unwrap().failure();
        clock.advance(TTL + Duration::from_nanos(1));
        let probe = breaker.acquire().unwrap().into_owned();
        let other = thread::spawn(move || probe.failure());
        let rejected = breaker.acquire().unwrap_err();
        match rejected.state() {
            State::HalfOpen => assert_eq!(rejected.retry_after(), TTL * 2, "the lease"),
            State::Open => assert_eq!(rejected.retry_after(), TTL, "the ttl"),
            State::Closed => panic!("a closed circuit rejects nobody"),
        }
        endings.saw(rejected.state());
        other.join().unwrap();
    });
    endings.are(&["half-open", "open"]);
}
