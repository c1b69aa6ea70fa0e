//! What others wrote, and what of it is followed.

use super::*;
use crate::circuit::Effect;
use crate::error::StorageError;
use crate::event::{Cause, Change};
use crate::offset::OffsetClock;
use crate::state::State;
use crate::waiter::Verdict;

const MOMENT: Duration = Duration::from_millis(1);

/// The only change that was told.
fn change(told: &Told) -> Change {
    match told.notices[..] {
        [Notice::Change(change)] => change,
        _ => panic!("{:?}", told.notices),
    }
}

fn until(rig: &Rig) -> Timestamp {
    match rig.mirror.view() {
        View::Refusing(refusal) => refusal.until,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trip_holds_out_against_an_older_reset_and_yields_to_a_newer_one() {
    for (moments, state) in [(0, 'O'), (1, 'C'), (2, 'C')] {
        let mut rig = Rig::new();
        rig.put('C', 0);
        rig.mirror.doubt();
        rig.serve();
        let began = rig.now;
        rig.wait(MOMENT);
        (0..3).for_each(|_| rig.fail());
        rig.now = began.saturating_add(MOMENT * moments);
        let reset = rig.put('C', 1);
        rig.push(reset);
        assert_eq!(rig.state(), state, "reset at {moments}, tripped at 1");
    }
}

#[test]
fn an_open_circuit_is_followed_by_who_has_tripped_or_reset_before() {
    for reset in [false, true] {
        let mut rig = Rig::new();
        (0..3).for_each(|_| rig.fail());
        if reset {
            rig.mirror.reset(rig.now);
        }
        rig.wait(MOMENT);
        let open = rig.put('O', 5);
        rig.push(open);
        assert_eq!((rig.state(), until(&rig)), ('O', rig.now.saturating_add(TTL)));
        rig.serve();
        assert_eq!(rig.stored().generation(), 5);
    }
}

#[test]
fn other_settings_are_told_once_each_and_not_without_end() {
    let mut rig = Rig::new();
    let told = |rig: &mut Rig, threshold: u32| {
        let line = format!("1 C 0 1 0 0 {threshold}:1000000:1:1:1000000 0 - -");
        let record = rig.write(line.as_bytes());
        let notices = rig.push(record).notices;
        notices.iter().filter(|notice| matches!(notice, Notice::Settings(_))).count()
    };
    assert_eq!(told(&mut rig, 3), 0, "the same");
    let mut ten = || Vec::from_iter((11..21).map(|threshold| told(&mut rig, threshold)));
    assert_eq!(ten(), [1, 1, 1, 1, 1, 1, 1, 1, 0, 0]);
    assert_eq!(ten(), [0; 10]);
}

#[test]
fn a_record_that_is_not_understood_is_told_once() {
    for bytes in ["2 C 0 1 0 and more", "nothing"] {
        let mut rig = Rig::new();
        let mut told = || {
            rig.write(bytes.as_bytes());
            rig.mirror.doubt();
            rig.exchange().notices.len()
        };
        assert_eq!([told(), told()], [1, 0], "{bytes}");
    }
}

#[test]
fn who_writes_a_change_knows_its_cause_and_the_others_that_it_is_shared() {
    let mut rig = Rig::new();
    let others = |rig: &mut Rig, state, generation, from, to| {
        let record = rig.put(state, generation);
        let told = rig.push(record);
        let Change { from: before, to: after, cause, .. } = change(&told);
        assert_eq!((before, after, cause), (from, to, Cause::Shared));
    };
    use State::{Closed, HalfOpen, Open};
    others(&mut rig, 'O', 1, Closed, Open);
    others(&mut rig, 'H', 2, Open, HalfOpen);
    others(&mut rig, 'O', 3, HalfOpen, Open);
    others(&mut rig, 'H', 4, Open, HalfOpen);
    others(&mut rig, 'C', 5, HalfOpen, Closed);

    // Two failures of others, of which nothing is known here yet, and one here.
    let since = rig.now.nanos() / 1_000;
    rig.write(format!("1 C 5 {since} 0 2 {SETTINGS} 0 - -").as_bytes());
    rig.fail();
    let told = rig.exchange();
    assert_eq!(change(&told).cause, Cause::Tripped { failures: 3, threshold: 3 });
    for (outcome, cause) in
        [(Outcome::Failure, Cause::ProbeFailed), (Outcome::Success, Cause::ProbesSucceeded)]
    {
        rig.wait(TTL * 2);
        let _waiting = rig.ask();
        let told = rig.exchange();
        assert_eq!(change(&told).cause, Cause::TtlPassed);
        let [(_, Verdict::Granted(probe))] = told.verdicts[..] else {
            panic!("leave is given");
        };
        rig.mirror.settle(probe, outcome, || rig.now);
        let mut told = rig.exchange();
        if outcome == Outcome::Success {
            let first = told.notices.remove(0);
            assert!(matches!(first, Notice::Effect(Effect::Recovered)), "{first:?}");
        }
        assert_eq!(change(&told).cause, cause);
    }
}

#[test]
fn a_change_that_a_lost_reply_told_of_is_not_known_to_be_ones_own() {
    let mut rig = Rig::new();
    rig.write(format!("1 C 0 1 0 2 {SETTINGS} 0 - -").as_bytes());
    rig.fail();
    let _lost = rig.next().unwrap();
    rig.down();
    rig.exchange();
    let told = rig.exchange();
    assert_eq!(change(&told).cause, Cause::Shared);
}

#[test]
fn the_time_of_a_probe_does_not_begin_anew_when_the_clock_of_the_storage_is_set() {
    let mut rig = Rig::new();
    let micros = |time: Timestamp| time.nanos() / 1_000;
    let end = rig.now.saturating_add(TTL / 2);
    let leased = |rig: &Rig, id| {
        let (since, end) = (micros(rig.now), micros(end));
        format!("1 H 1 {since} 0 0 {SETTINGS} 0 {id}:{end} -")
    };
    let record = rig.write(leased(&rig, 7).as_bytes());
    rig.push(record);
    assert_eq!(until(&rig), end);
    // By the storage's clock it is a quarter of a second earlier than it was.
    let mut clock = OffsetClock::default();
    clock.observe(rig.now, rig.now, Timestamp::from_nanos(rig.now.nanos() - 250_000_000));
    for (id, expected) in [(7, end), (8, end.saturating_add(TTL / 4))] {
        let record = rig.write(leased(&rig, id).as_bytes());
        rig.mirror.pushed(record, clock.offset(), rig.now);
        assert_eq!(until(&rig), expected);
    }
}

#[test]
fn what_was_sent_in_another_generation_is_not_counted_on_top() {
    let mut rig = Rig::new();
    rig.fail();
    rig.fail();
    let _sent = rig.next().unwrap();
    let recovered = rig.put('C', 5);
    rig.push(recovered);
    assert_eq!(rig.mirror.circuit().failures(), 0);
    rig.fail();
    assert_eq!(rig.state(), 'C');
}

#[test]
fn what_arrives_late_after_all_is_counted_once() {
    let mut rig = Rig::new();
    rig.put('C', 0);
    rig.mirror.doubt();
    rig.serve();
    rig.fail();
    rig.fail();
    let delayed = rig.next().unwrap();
    rig.down();
    rig.exchange();
    assert_eq!(rig.mirror.circuit().failures(), 2);
    let stored = rig.perform(delayed);
    rig.push(stored.record.unwrap());
    assert_eq!((rig.state(), rig.mirror.circuit().failures()), ('C', 2));
    rig.serve();
    assert_eq!(rig.stored().failures(), 2);
}

#[test]
fn what_was_sent_before_a_reset_is_not_counted_where_nothing_is() {
    let mut rig = Rig::new();
    rig.fail();
    rig.fail();
    let _sent = rig.next().unwrap();
    rig.mirror.reset(rig.now);
    let garbled = rig.write(b"nothing");
    rig.push(garbled);
    assert_eq!(rig.mirror.circuit().failures(), 0);
}

#[test]
fn an_open_circuit_whose_time_has_passed_is_not_written_anew() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    rig.record = None;
    rig.mirror.doubt();
    rig.serve();
    assert_eq!((rig.state(), rig.record), ('O', None));
}

#[test]
fn who_cannot_write_looks_again_when_something_is_announced() {
    let mut rig = Rig::new();
    rig.mirror.cut_off(StorageError::Unusable("it is a list".into()), || rig.now);
    assert!(rig.next().is_none());
    let record = rig.put('O', 1);
    rig.push(record);
    rig.serve();
    assert_eq!(rig.state(), 'O');
}

#[test]
fn leave_that_was_asked_for_in_vain_is_not_owed() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    let _waiting = rig.ask();
    let _lost = rig.next().unwrap();
    rig.down();
    assert!(rig.mirror.is_settled());
}

#[test]
fn what_fails_before_the_first_reading_counts_in_whatever_generation_there_is() {
    let mut rig = Rig::new();
    rig.put('C', 5);
    let settings = *rig.mirror.circuit().settings();
    rig.mirror = Mirror::new(settings, rig.now, StorageOptions::new(), 2);
    let Acquired::Answer(Ok(slow), _) = rig.mirror.acquire(rig.now, Stage::First) else {
        panic!("it is not admitted");
    };
    rig.fail();
    rig.serve();
    // Nor is a call late that was admitted before it.
    rig.mirror.settle(slow, Outcome::Failure, || rig.now);
    rig.serve();
    assert_eq!((rig.stored().failures(), rig.stored().generation()), (2, 5));
    assert_eq!(rig.mirror.tally(), Tally { recorded: 2, discarded: 0 });
    // From here on the generation is known, and another is another.
    rig.fail();
    let recovered = rig.put('C', 7);
    rig.push(recovered);
    assert_eq!(rig.mirror.tally(), Tally { recorded: 2, discarded: 1 });
}

#[test]
fn a_record_of_a_newer_format_is_followed_once() {
    let mut rig = Rig::new();
    let bytes = rig.put('O', 1).bytes;
    let text = String::from_utf8(bytes).unwrap().replacen("1 ", "2 ", 1);
    rig.write(format!("{text} and more").as_bytes());
    let look = |rig: &mut Rig| {
        rig.mirror.doubt();
        rig.serve();
        assert!(!rig.mirror.snapshot().in_sync);
        rig.state()
    };
    assert_eq!(look(&mut rig), 'O');
    rig.wait(TTL * 2);
    let Acquired::Answer(Ok(probe), _) = rig.mirror.acquire(rig.now, Stage::First) else {
        panic!("it is not admitted");
    };
    // It takes longer than until the next look, at which there is nothing new.
    assert_eq!(look(&mut rig), 'H');
    assert!(rig.mirror.settle(probe, Outcome::Success, || rig.now).change.is_some());
    assert_eq!(look(&mut rig), 'C');
    // What is new is followed.
    rig.write(format!("{text} and still more").as_bytes());
    assert_eq!(look(&mut rig), 'O');
}

#[test]
fn an_old_push_is_not_followed_when_the_record_is_lost() {
    let mut rig = Rig::new();
    let old = rig.put('O', 1);
    let reset = rig.put('C', 2);
    rig.push(reset);
    rig.record = None;
    rig.mirror.doubt();
    rig.serve();
    rig.push(old);
    assert_eq!(rig.state(), 'C');
    // A newer one is.
    let newer = Versioned { version: 3, ..rig.put('O', 3) };
    rig.push(newer);
    assert_eq!(rig.state(), 'O');
}
