//! What one process decides by itself, and what becomes of it when the storage answers.

use super::*;
use crate::error::StorageError;
use crate::waiter::Verdict;

fn strict() -> Rig {
    let mut rig = Rig::new();
    rig.mirror.options = StorageOptions::new().consistency(Consistency::Strict);
    rig
}

fn failures(rig: &Rig) -> (u32, u32) {
    (rig.mirror.circuit().failures(), rig.stored().failures())
}

#[test]
fn who_begins_in_strict_consistency_reads_first() {
    let mut rig = strict();
    let record = rig.put('O', 1);
    let now = rig.now;
    rig.mirror = Mirror::new(*rig.mirror.circuit().settings(), now, rig.mirror.options, 2);
    assert_eq!(rig.mirror.view(), View::Probing, "every call is to ask");
    let waiting = rig.ask();
    // That there is no connection yet is no news over and over.
    assert_eq!(rig.mirror.begins_to_wait().len(), 1);
    assert!(!rig.mirror.has_news());
    rig.serve();
    drop(waiting);
    assert_eq!((rig.state(), rig.mirror.snapshot().version), ('O', Some(record.version)));
}

#[test]
fn who_is_away_in_strict_consistency_does_not_wait() {
    let answers = |rig: &mut Rig| {
        let call = rig.mirror.acquire(rig.now, Stage::First);
        matches!(call, Acquired::Answer(Ok(_), _))
    };
    let mut rig = strict();
    rig.down();
    assert!(answers(&mut rig));
    // Nor who begins when it is known that there is no storage.
    let now = rig.now;
    rig.mirror = Mirror::new(*rig.mirror.circuit().settings(), now, rig.mirror.options, 2);
    rig.down();
    assert!(answers(&mut rig));
    // Nor the next one, if the first has waited for nothing.
    rig.mirror = Mirror::new(*rig.mirror.circuit().settings(), now, rig.mirror.options, 2);
    let _waiting = rig.ask();
    let wait = rig.mirror.begins_to_wait();
    assert_eq!(rig.mirror.give_up(wait[0]).verdicts.len(), 1);
    assert!(answers(&mut rig));
}

#[test]
fn a_success_that_changes_nothing_is_not_told() {
    let mut rig = strict();
    rig.serve();
    let _waiting = rig.ask();
    rig.serve();
    let generation = rig.mirror.circuit().generation();
    let ticket = Ticket { generation, probe: None };
    for outcome in [Outcome::Success, Outcome::Ignored] {
        rig.mirror.settle(ticket, outcome, || rig.now);
        assert!(rig.mirror.is_settled() && rig.next().is_none(), "{outcome:?}");
    }
    assert_eq!(rig.record, None);
    // After a failure it is something to tell.
    rig.mirror.settle(ticket, Outcome::Failure, || rig.now);
    rig.serve();
    rig.mirror.settle(ticket, Outcome::Success, || rig.now);
    rig.serve();
    assert_eq!(failures(&rig), (0, 0));
}

#[test]
fn an_own_trip_holds_out_against_a_record_of_a_newer_format() {
    let mut rig = Rig::new();
    let newer = |rig: &mut Rig, state| {
        let bytes = rig.put(state, 0).bytes;
        let text = String::from_utf8(bytes).unwrap().replacen("1 ", "2 ", 1);
        rig.write(format!("{text} and more").as_bytes());
        rig.mirror.doubt();
        let request = rig.next().unwrap();
        let stored = rig.perform(request);
        rig.answer(stored)
    };
    assert!(matches!(newer(&mut rig, 'C').notices[..], [Notice::Newer]));
    (0..3).for_each(|_| rig.fail());
    assert!(newer(&mut rig, 'C').notices.is_empty());
    assert_eq!(rig.state(), 'O');
    // Until its time has passed.
    rig.wait(TTL * 2);
    newer(&mut rig, 'C');
    assert_eq!(rig.state(), 'C');
}

#[test]
fn every_time_that_a_circuit_is_cut_off_is_told_once() {
    let mut rig = Rig::new();
    for _ in 0..2 {
        let cut_off = |rig: &mut Rig| {
            let cause = StorageError::Unusable("a list".to_owned());
            rig.mirror.cut_off(cause, || rig.now).notices.len()
        };
        assert_eq!([cut_off(&mut rig), cut_off(&mut rig)], [1, 0]);
        rig.mirror.doubt();
        rig.serve();
        assert!(rig.mirror.snapshot().in_sync);
    }
}

#[test]
fn what_was_not_answered_counts_though_the_record_is_lost() {
    let mut rig = Rig::new();
    (0..2).for_each(|_| rig.fail());
    let _lost = rig.next().unwrap();
    rig.down();
    let request = rig.next().unwrap();
    let nothing = rig.perform(request);
    rig.answer(nothing);
    assert_eq!(rig.mirror.circuit().failures(), 2);
    rig.fail();
    assert_eq!(rig.state(), 'O');
}

#[test]
fn nothing_gathers_for_ever_when_the_driver_is_gone() {
    let mut rig = Rig::new();
    rig.fail();
    rig.serve();
    // It would end this, and does not any more.
    rig.down();
    rig.serve();
    rig.fail();
    assert!(rig.mirror.has_news());
    assert!(rig.mirror.next(Offset::default(), false).is_some());
}

#[test]
fn a_call_that_may_not_probe_yet_learns_when_it_may() {
    let mut rig = Rig::new();
    rig.put('O', 1);
    rig.mirror.doubt();
    rig.serve();
    rig.wait(TTL * 2);
    let _waiting = rig.ask();
    // The storage's clock was set back: to it 300 ms are left.
    let (there, since) = (rig.now, rig.now.since_origin() - TTL + Duration::from_millis(300));
    let record = rig.record.take().unwrap();
    let text = String::from_utf8(record.bytes).unwrap();
    let fields: Vec<&str> = text.splitn(5, ' ').collect();
    let text = format!("1 O 1 {} {}", since.as_micros(), fields[4]);
    rig.write(text.as_bytes());
    rig.serve();
    assert!(rig.now == there);
    let left = |rig: &Rig| match rig.mirror.view() {
        View::Refusing(refusal) => refusal.until.since(rig.now),
        view => panic!("{view:?}"),
    };
    assert_eq!(left(&rig), Duration::from_millis(300), "nobody asks until then");
}

#[test]
fn a_fork_leaves_the_tally_to_the_parent() {
    let mut rig = Rig::new();
    rig.fail();
    rig.serve();
    rig.fail();
    assert_eq!((rig.mirror.tally().recorded, rig.mirror.pending()), (1, 1));
    let writer = rig.mirror.next_id.writer;
    rig.mirror.forked(2, || rig.now);
    assert_eq!((rig.mirror.tally(), rig.mirror.pending()), (Tally::default(), 0));
    assert_ne!(rig.mirror.next_id.writer, writer);
}

#[test]
fn a_flush_waits_for_what_was_counted_before_it() {
    let mut rig = Rig::new();
    assert_eq!(rig.mirror.owed(), None);
    rig.fail();
    let owed = rig.mirror.owed().unwrap();
    let request = rig.next().unwrap();
    assert_eq!(rig.mirror.owed(), Some(owed), "it is under way, and nothing else is owed");
    rig.fail();
    let more = rig.mirror.owed().unwrap();
    assert!(more > owed && !rig.mirror.has_arrived(owed));
    let stored = rig.perform(request);
    rig.answer(stored);
    assert!(rig.mirror.has_arrived(owed) && !rig.mirror.has_arrived(more));
    let _lost = rig.next().unwrap();
    rig.down();
    assert!(!rig.mirror.has_arrived(more));
    rig.serve();
    assert!(rig.mirror.has_arrived(more));
}

#[test]
fn a_flush_waits_for_the_registration_of_a_circuit() {
    let mut rig = Rig::new();
    let options = StorageOptions { registers: true, ..StorageOptions::new() };
    rig.mirror = Mirror::new(*rig.mirror.circuit().settings(), rig.now, options, 2);
    let owed = rig.mirror.owed().unwrap();
    let load = rig.next().unwrap();
    let stored = rig.perform(load);
    rig.answer(stored);
    assert!(!rig.mirror.has_arrived(owed), "it is known by now that it has to be written");
    rig.serve();
    assert!(rig.mirror.has_arrived(owed));
}

#[test]
fn a_trip_during_an_outage_keeps_its_time() {
    let mut rig = Rig::new();
    rig.put('C', 0);
    rig.mirror.doubt();
    rig.serve();
    rig.fail();
    let _lost = rig.next().unwrap();
    (0..2).for_each(|_| rig.fail());
    let Phase::Open { until } = *rig.mirror.circuit().phase() else { panic!("it has tripped") };
    rig.down();
    // Another process has failed twice in the meantime: one more failure would trip the circuit.
    let fields = rig.record.take().unwrap().bytes;
    let fields = String::from_utf8(fields).unwrap().replacen(" 0 0 3:", " 0 2 3:", 1);
    rig.write(fields.as_bytes());
    rig.wait(TTL / 2);
    rig.serve();
    assert_eq!(rig.stored().phase(), &Phase::Open { until });
    assert_eq!(rig.mirror.tally(), Tally { recorded: 3, discarded: 0 });
}

#[test]
fn a_flush_waits_for_a_place_to_be_given_back() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    drop(rig.ask());
    let asks = rig.next().unwrap();
    let owed = rig.mirror.owed().unwrap();
    let stored = rig.perform(asks);
    let told = rig.answer(stored);
    let [(_, Verdict::Granted(ticket))] = told.verdicts[..] else { panic!("{told:?}") };
    rig.mirror.settle(ticket, Outcome::Ignored, || rig.now);
    assert!(!rig.mirror.has_arrived(owed));
    rig.serve();
    assert!(rig.mirror.has_arrived(owed));
}

#[test]
fn a_failure_long_after_the_start_is_not_old() {
    let mut rig = Rig::new();
    rig.wait(TTL * 10);
    rig.fail();
    // Without a record, for as long as it is of use.
    rig.down();
    rig.wait(TTL);
    rig.serve();
    assert_eq!(rig.mirror.tally(), Tally { recorded: 1, discarded: 0 });
    rig.fail();
    rig.down();
    rig.wait(TTL + Duration::from_nanos(1));
    rig.serve();
    assert_eq!(rig.mirror.tally(), Tally { recorded: 1, discarded: 1 });
}

#[test]
fn a_trip_that_nobody_knows_of_is_a_generation_of_its_own() {
    let mut rig = Rig::new();
    rig.down();
    (0..3).for_each(|_| rig.fail());
    // That a call is turned away changes nothing of it.
    let turned_away = rig.mirror.acquire(rig.now, Stage::First);
    assert!(matches!(turned_away, Acquired::Answer(Err(_), None)));
    rig.serve();
    assert_eq!((rig.state(), rig.stored().generation()), ('O', 1));
}

#[test]
fn a_trip_whose_time_has_passed_is_told_to_nobody() {
    let mut rig = Rig::new();
    rig.down();
    (0..3).for_each(|_| rig.fail());
    rig.wait(TTL + Duration::from_millis(1));
    let Phase::Open { until } = *rig.mirror.circuit().phase() else { panic!("it has tripped") };
    assert!(until > rig.now, "this process stays away from it for a while longer");
    // Nothing is there, which says nothing; nor has this process anything to say.
    for _ in 0..2 {
        rig.mirror.doubt();
        rig.serve();
        assert_eq!((rig.state(), &rig.record), ('O', &None));
    }
}

#[test]
fn processes_that_are_on_their_own_do_not_probe_in_step() {
    let open = |seed| {
        let mut rig = Rig::new();
        rig.mirror.draw_writer(seed);
        rig.down();
        (0..3).for_each(|_| rig.fail());
        let Phase::Open { until } = *rig.mirror.circuit().phase() else { panic!("it has tripped") };
        until.since(rig.now)
    };
    let open: Vec<Duration> = (0..100).map(open).collect();
    assert!(open.iter().all(|open| (TTL..TTL * 5 / 4).contains(open)), "{open:?}");
    let (first, last) = (open.iter().min().unwrap(), open.iter().max().unwrap());
    assert!(*first < TTL * 21 / 20 && *last > TTL * 6 / 5, "from {first:?} to {last:?}");
}

#[test]
fn a_writer_has_twelve_digits_at_most() {
    let mut rig = Rig::new();
    let writer = |seed| {
        rig.mirror.draw_writer(seed);
        rig.mirror.next_id.writer
    };
    let writers: Vec<u64> = (0..100).map(writer).collect();
    assert!(writers.iter().all(|writer| writer >> 48 == 0), "{writers:x?}");
    // And not many fewer.
    assert!(writers.iter().any(|writer| writer >> 47 == 1), "{writers:x?}");
}

#[test]
fn a_fork_in_strict_consistency_reads_first() {
    let mut rig = strict();
    let record = rig.put('O', 1);
    rig.mirror.forked(2, || rig.now);
    let waiting = rig.ask();
    assert!(rig.mirror.has_news(), "it is for a driver");
    rig.serve();
    drop(waiting);
    assert_eq!((rig.state(), rig.mirror.snapshot().version), ('O', Some(record.version)));
}

/// Its listeners would not be told, as the parent's are.
#[test]
fn what_a_probe_came_to_before_a_fork_changes_nothing_in_the_child() {
    for sent in [false, true] {
        let mut rig = Rig::new();
        (0..3).for_each(|_| rig.fail());
        rig.serve();
        rig.wait(TTL * 2);
        let mut waiting = rig.ask();
        for (waiter, verdict) in rig.exchange().verdicts {
            assert!(waiter.tell(verdict));
        }
        let ticket = waiting.give_up().expect("it has leave");
        rig.mirror.settle(ticket, Outcome::Success, || rig.now);
        let _sent = sent.then(|| rig.next());
        rig.mirror.forked(2, || rig.now);
        assert_eq!(rig.state(), 'H', "sent: {sent}");
        assert!(rig.mirror.is_settled(), "that is for the parent to tell");
    }
}
