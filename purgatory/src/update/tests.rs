//! What becomes of a record.

use std::time::Duration;

use super::*;
use crate::circuit::{Lease, Probes};
use crate::config::{Config, Settings};

const OWN: u64 = 7;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_origin(Duration::from_millis(millis))
}

fn settings() -> Settings {
    let second = Duration::from_secs(1);
    Config::new().threshold(3).ttl(second).probe_lease(second).resolve()
}

fn closed(generation: u64, since: u64, failures: u32) -> Circuit {
    Circuit::restored(settings(), generation, at(since), Phase::Closed { failures })
}

fn open(generation: u64, since: u64, until: u64) -> Circuit {
    Circuit::restored(settings(), generation, at(since), Phase::Open { until: at(until) })
}

fn probe(id: u32) -> ProbeId {
    ProbeId::new(id).unwrap()
}

fn half_open(generation: u64, since: u64, probes: &[(u32, u64)]) -> Circuit {
    let out = probes.iter().map(|&(id, end)| Lease { id: probe(id), end: at(end) }).collect();
    let phase = Phase::HalfOpen(Probes::restored(out, 0));
    Circuit::restored(settings(), generation, at(since), phase)
}

fn failures(count: u32) -> Run {
    let mut run = Run::default();
    (0..count).for_each(|_| run.push(Outcome::Failure));
    run
}

fn update(sequence: u64, generation: u64) -> Update {
    Update {
        id: UpdateId { writer: OWN, sequence },
        generation,
        run: Run::default(),
        decision: None,
        outcomes: Vec::new(),
        ask: None,
        own: closed(generation, 0, 0),
    }
}

fn applied(update: &Update, circuit: Circuit, now: u64) -> Circuit {
    update.apply(Some(&Record::new(circuit)), at(now)).expect("it changes something").record.circuit
}

fn changes_nothing(update: &Update, circuit: Circuit, now: u64) {
    assert_eq!(update.apply(Some(&Record::new(circuit)), at(now)), None);
}

#[test]
fn an_update_that_is_in_the_record_is_not_applied_again() {
    let counts = Update { run: failures(2), ..update(4, 1) };
    let once = counts.apply(Some(&Record::new(closed(1, 0, 0))), at(1)).unwrap().record;
    assert_eq!(once.circuit.failures(), 2);
    assert_eq!(counts.apply(Some(&once), at(2)), None);
    let earlier = Update { run: failures(1), ..update(3, 1) };
    assert_eq!(earlier.apply(Some(&once), at(2)), None, "a later one was applied");
    let later = Update { run: failures(1), ..update(5, 1) };
    assert!(later.apply(Some(&once), at(2)).unwrap().announce, "it trips");
}

#[test]
fn failures_of_another_generation_do_not_count() {
    let counts = Update { run: failures(3), ..update(1, 1) };
    changes_nothing(&counts, closed(2, 0, 2), 1);
    changes_nothing(&counts, open(1, 0, 1000), 1);
    assert_eq!(applied(&counts, closed(1, 0, 0), 1).phase(), &Phase::Open { until: at(1001) });
}

#[test]
fn what_is_counted_where_there_is_no_record_counts() {
    // As after a recovery without a storage: the next generation has begun.
    let counts = Update { run: failures(2), own: closed(2, 0, 0), ..update(1, 1) };
    assert_eq!(counts.apply(None, at(1)).unwrap().record.circuit, closed(2, 0, 2));
}

#[test]
fn what_was_counted_after_a_reset_counts() {
    let reset =
        Update { run: failures(2), decision: Some(Decision::Reset { at: at(5) }), ..update(1, 1) };
    assert_eq!(applied(&reset, closed(1, 0, 1), 6), closed(2, 6, 2));
    assert_eq!(applied(&reset, open(2, 4, 1000), 6), closed(3, 6, 2));
    assert_eq!(reset.apply(None, at(6)).unwrap().record.circuit.failures(), 2);
    changes_nothing(&reset, open(2, 5, 1000), 6);
}

#[test]
fn a_trip_that_is_older_than_a_reset_is_not_applied() {
    let reset = Update { decision: Some(Decision::Reset { at: at(5) }), ..update(1, 1) };
    let after = applied(&reset, closed(1, 0, 1), 6);
    let trip = |found| Decision::Trip { at: at(found), until: at(1000), reset: None };
    let older = Update { decision: Some(trip(4)), ..update(2, 1) };
    changes_nothing(&older, after.clone(), 7);
    let newer = Update { decision: Some(trip(7)), ..update(2, 1) };
    assert_eq!(applied(&newer, after, 8), open(3, 7, 1000));
}

#[test]
fn a_trip_after_a_reset_opens_anew_what_is_older_than_both() {
    let decision = Decision::Trip { at: at(6), until: at(1000), reset: Some(at(5)) };
    let both = Update { decision: Some(decision), ..update(1, 1) };
    assert_eq!(applied(&both, open(1, 9, 500), 9), open(3, 6, 1000), "what was known");
    assert_eq!(applied(&both, open(7, 4, 500), 9), open(9, 6, 1000), "what is older");
    assert_eq!(applied(&both, closed(1, 0, 2), 9), open(3, 6, 1000));
    changes_nothing(&both, open(7, 5, 500), 9);
    // The time of the trip may be over.
    assert_eq!(applied(&both, open(1, 4, 500), 1000), closed(2, 1000, 0));
}

#[test]
fn a_trip_opens_what_is_closed_until_its_time_is_over() {
    let trip = |sequence| Update {
        decision: Some(Decision::Trip { at: at(5), until: at(1000), reset: None }),
        ..update(sequence, 1)
    };
    assert_eq!(applied(&trip(1), closed(1, 0, 0), 6), open(2, 5, 1000));
    changes_nothing(&trip(1), closed(1, 0, 0), 1000);
    changes_nothing(&trip(1), closed(2, 6, 0), 7);
    changes_nothing(&trip(1), half_open(3, 4, &[]), 7);
    changes_nothing(&trip(1), open(3, 4, 500), 7);
}

#[test]
fn places_are_given_to_so_many_and_asked_for_twice_it_is_one() {
    let asks = |id| Update { ask: Some(probe(id)), ..update(u64::from(id), 1) };
    changes_nothing(&asks(1), open(1, 0, 1000), 1000);
    let one = applied(&asks(1), open(1, 0, 1000), 1001);
    assert_eq!(one, {
        let mut same = half_open(2, 1001, &[(1, 2001)]);
        same.restart(at(1001), Duration::from_secs(1));
        same
    });
    changes_nothing(&asks(2), one.clone(), 1002);
    let again = Update { ask: Some(probe(1)), ..update(9, 1) };
    changes_nothing(&again, one.clone(), 1002);
    let taken_over = applied(&asks(2), one, 2002);
    assert!(taken_over.holds(probe(2)) && !taken_over.holds(probe(1)));
}

#[test]
fn a_probe_whose_place_was_given_to_another_says_nothing() {
    for outcome in [Outcome::Success, Outcome::Failure, Outcome::Ignored] {
        let late = Update { outcomes: vec![(probe(1), outcome)], ..update(1, 1) };
        changes_nothing(&late, half_open(2, 0, &[(2, 1000)]), 5);
        changes_nothing(&late, open(2, 0, 1000), 5);
        changes_nothing(&late, closed(2, 0, 0), 5);
    }
    let failed = Update { outcomes: vec![(probe(1), Outcome::Failure)], ..update(1, 1) };
    assert_eq!(applied(&failed, half_open(2, 0, &[(1, 1000)]), 5), open(3, 5, 1005));
    let succeeded = Update { outcomes: vec![(probe(1), Outcome::Success)], ..update(1, 1) };
    assert_eq!(applied(&succeeded, half_open(2, 0, &[(1, 1000)]), 5), closed(3, 5, 0));
}

#[test]
fn after_the_clock_was_set_back_one_period_begins_anew() {
    let asks = |id| Update { ask: Some(probe(id)), ..update(u64::from(id), 1) };
    let again = applied(&asks(1), open(1, 3_600_000, 3_601_000), 5);
    assert_eq!(again, open(2, 5, 1005));
    let far = half_open(2, 0, &[(1, 3_600_000)]);
    let nearer = applied(&asks(2), far, 5);
    assert!(nearer.holds(probe(1)) && !nearer.holds(probe(2)));
    assert!(applied(&asks(2), nearer, 1006).holds(probe(2)));
}

#[test]
fn what_began_at_this_very_moment_does_not_begin_anew() {
    let asks = Update { ask: Some(probe(1)), ..update(1, 1) };
    changes_nothing(&asks, open(1, 5, 1005), 5);
    let longest = half_open(2, 5, &[(2, 2005)]);
    changes_nothing(&asks, longest, 5);
}

#[test]
fn what_others_counted_trips_with_the_next_failure() {
    // More than the threshold: theirs is higher.
    let many = closed(1, 0, 5);
    let mut run = Run::default();
    run.push(Outcome::Success);
    assert_eq!(applied(&Update { run, ..update(1, 1) }, many.clone(), 1), closed(1, 0, 0));
    let fails = Update { run: failures(1), ..update(1, 1) };
    assert_eq!(applied(&fails, many, 1), open(2, 1, 1001));
}

#[test]
fn whoever_writes_leaves_its_settings() {
    let settings = Config::new().threshold(50).resolve();
    let theirs = Circuit::restored(settings, 1, at(0), Phase::Closed { failures: 0 });
    let fails = Update { run: failures(3), ..update(1, 1) };
    assert_eq!(applied(&fails, theirs, 1), open(2, 1, 1001));
}

#[test]
fn only_what_others_must_know_is_announced() {
    let announced = |update: Update, circuit| {
        update.apply(Some(&Record::new(circuit)), at(1)).unwrap().announce
    };
    let counts = |run| Update { run, ..update(1, 1) };
    assert!(announced(counts(failures(1)), closed(1, 0, 0)), "it has failures now");
    assert!(!announced(counts(failures(1)), closed(1, 0, 1)), "it had failures before");
    let mut success = Run::default();
    success.push(Outcome::Success);
    assert!(announced(counts(success), closed(1, 0, 1)), "it has none any more");
    changes_nothing(&counts(success), closed(1, 0, 0), 1);
}

#[test]
fn a_trip_that_arrives_after_its_time_opens_nothing() {
    let until = at(1000);
    let late = Update {
        run: failures(3),
        decision: Some(Decision::Trip { at: at(5), until, reset: None }),
        ..update(1, 1)
    };
    changes_nothing(&late, closed(1, 0, 0), 1000);
    assert_eq!(applied(&late, closed(1, 0, 0), 999), open(2, 5, 1000));
}

#[test]
fn who_asks_and_tells_does_not_only_ask() {
    let asks = Update { ask: Some(probe(1)), ..update(1, 2) };
    assert!(asks.is_ask() && !asks.is_run());
    let others = [
        Update { ask: None, ..asks.clone() },
        Update { run: failures(1), ..asks.clone() },
        Update { decision: Some(Decision::Reset { at: at(1) }), ..asks.clone() },
        Update { outcomes: vec![(probe(2), Outcome::Failure)], ..asks },
    ];
    for other in others {
        assert!(!other.is_ask(), "{other:?}");
    }
}
