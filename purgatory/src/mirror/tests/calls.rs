//! What calls get, and what comes of what they came to.

use super::*;
use crate::circuit::Effect;
use crate::error::Reason;
use crate::event::Change;
use crate::state::State;
use crate::waiter::Verdict;

fn ticket(rig: &mut Rig) -> Ticket {
    match rig.mirror.acquire(rig.now, Stage::First) {
        Acquired::Answer(Ok(ticket), _) => ticket,
        other => panic!("{other:?}"),
    }
}

fn refusal(rig: &mut Rig, stage: Stage) -> Refusal {
    match rig.mirror.acquire(rig.now, stage) {
        Acquired::Answer(Err(refusal), None) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_waits_no_longer_than_the_storage_may_take() {
    let (operation, probe) = (Duration::from_secs(7), Duration::from_secs(2));
    let mut rig = Rig::new();
    for (consistency, patience) in
        [(Consistency::Mirror, probe), (Consistency::Strict, operation + probe)]
    {
        let options = StorageOptions::new().operation_timeout(operation).probe_wait(probe);
        rig.mirror.options = options.consistency(consistency);
        assert_eq!(rig.mirror.patience(), patience);
    }
}

#[test]
fn until_its_time_has_passed_an_open_circuit_asks_nobody() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL);
    let refused = Refusal { reason: Reason::Open, until: rig.now };
    assert_eq!(refusal(&mut rig, Stage::First), refused);
    rig.wait(Duration::from_nanos(1));
    let _asks = rig.ask();
}

#[test]
fn one_call_asks_and_the_others_are_refused() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    // Who has waited is told what is known by now.
    refusal(&mut rig, Stage::Last);
    let _asks = rig.ask();
    refusal(&mut rig, Stage::First);
}

#[test]
fn what_was_admitted_before_a_trip_counts_nowhere() {
    let mut rig = Rig::new();
    let late = [ticket(&mut rig), ticket(&mut rig)];
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    let told = Settled { effect: Some(Effect::Late), change: None };
    assert_eq!(rig.mirror.settle(late[0], Outcome::Failure, || rig.now), told);
    let closed = rig.put('C', 2);
    rig.push(closed);
    assert_eq!(rig.mirror.settle(late[1], Outcome::Failure, || rig.now), told);
    assert_eq!((rig.state(), rig.mirror.pending()), ('C', 0));
}

#[test]
fn a_probe_of_a_time_that_is_over_is_late() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    let _asks = rig.ask();
    let [(_, Verdict::Granted(probe))] = rig.exchange().verdicts[..] else {
        panic!("leave is given");
    };
    // It takes long: others have failed since, and probe again.
    let again = rig.put('H', 9);
    rig.push(again.clone());
    assert_eq!(rig.state(), 'H');
    let told = Settled { effect: Some(Effect::Late), change: None };
    assert_eq!(rig.mirror.settle(probe, Outcome::Failure, || rig.now), told);
    rig.serve();
    assert_eq!(rig.record, Some(again), "nothing was told");
}

#[test]
fn what_a_probe_comes_to_is_for_a_process_that_is_alone_to_say() {
    for (outcome, state) in [(Outcome::Success, 'C'), (Outcome::Failure, 'O')] {
        let mut rig = Rig::new();
        rig.down();
        (0..3).for_each(|_| rig.fail());
        rig.wait(TTL * 2);
        let probe = ticket(&mut rig);
        assert!(rig.mirror.settle(probe, outcome, || rig.now).change.is_some());
        assert_eq!(rig.state(), state);
    }
}

#[test]
fn a_change_elsewhere_is_told_and_what_stays_as_it_is_is_not() {
    let mut rig = Rig::new();
    let open = rig.put('O', 1);
    let told = rig.push(open).notices;
    let [Notice::Change(Change { from, to, .. })] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*from, *to), (State::Closed, State::Open));
    let open = rig.put('O', 3);
    assert!(rig.push(open).notices.is_empty());
}

#[test]
fn only_those_who_have_waited_long_enough_go_on() {
    let mut rig = Rig::new();
    rig.mirror.options = StorageOptions::new().consistency(Consistency::Strict);
    let _first = rig.ask();
    let wait = rig.mirror.begins_to_wait();
    let _second = rig.ask();
    assert_eq!(wait, [Wait::Read(1)]);
    assert_eq!(rig.mirror.give_up(wait[0]).verdicts.len(), 1);
}

/// A probe that has the storage's leave.
fn probe(rig: &mut Rig) -> Ticket {
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    let _asks = rig.ask();
    match rig.exchange().verdicts[..] {
        [(_, Verdict::Granted(probe))] => probe,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_probe_comes_to_during_an_outage_is_told_after_it() {
    for (outcome, state) in [(Outcome::Success, 'C'), (Outcome::Failure, 'O')] {
        for when in ["not sent", "sent in vain", "settled alone"] {
            let mut rig = Rig::new();
            let probe = probe(&mut rig);
            if when != "settled alone" {
                rig.mirror.settle(probe, outcome, || rig.now);
            }
            if when == "sent in vain" {
                let _lost = rig.next().unwrap();
            }
            rig.down();
            if when == "settled alone" {
                rig.mirror.settle(probe, outcome, || rig.now);
            }
            rig.serve();
            let stored = match rig.stored().phase() {
                Phase::Closed { .. } => 'C',
                Phase::Open { .. } => 'O',
                Phase::HalfOpen(_) => 'H',
            };
            assert_eq!((rig.state(), stored), (state, state), "{outcome:?}, {when}");
        }
    }
}

#[test]
fn a_probe_that_was_late_during_an_outage_is_not_told_after_it() {
    let mut rig = Rig::new();
    let late = probe(&mut rig);
    rig.down();
    // Its lease ends, and this process goes on by itself.
    rig.wait(TTL * 2);
    let own = ticket(&mut rig);
    rig.mirror.settle(own, Outcome::Failure, || rig.now);
    rig.wait(TTL * 2);
    ticket(&mut rig);
    let told = Settled { effect: Some(Effect::Late), change: None };
    assert_eq!(rig.mirror.settle(late, Outcome::Success, || rig.now), told);
    rig.serve();
    assert!(matches!(rig.stored().phase(), Phase::HalfOpen(probes) if probes.out().len() == 1));
}

#[test]
fn leave_whose_answer_was_lost_is_given_back() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    let _asks = rig.ask();
    let request = rig.next().unwrap();
    rig.perform(request);
    assert!(matches!(rig.stored().phase(), Phase::HalfOpen(probes) if probes.out().len() == 1));
    rig.down();
    rig.serve();
    assert!(matches!(rig.stored().phase(), Phase::HalfOpen(probes) if probes.out().is_empty()));
}

#[test]
fn what_the_storage_does_not_know_of_is_not_told_of() {
    let mut rig = Rig::new();
    let granted = probe(&mut rig);
    rig.down();
    rig.mirror.settle(granted, Outcome::Failure, || rig.now);
    // Those that it admits by itself.
    for _ in 0..100 {
        rig.wait(TTL * 2);
        let own = ticket(&mut rig);
        assert!(own.probe.is_some());
        rig.mirror.settle(own, Outcome::Failure, || rig.now);
    }
    assert_eq!(rig.mirror.unreported.len(), 1);
    // Nor of what others have got over.
    let closed = rig.put('C', 9);
    rig.serve();
    assert_eq!((rig.state(), &rig.record), ('C', &Some(closed)));
    // A reset takes it back, and a fork leaves it to the parent.
    for forked in [false, true] {
        let mut rig = Rig::new();
        let granted = probe(&mut rig);
        rig.down();
        rig.mirror.settle(granted, Outcome::Failure, || rig.now);
        match forked {
            false => drop(rig.mirror.reset(rig.now)),
            true => rig.mirror.forked(1, || rig.now),
        }
        assert!(rig.mirror.unreported.is_empty());
    }
}

#[test]
fn what_a_probe_comes_to_when_its_place_is_gone_is_late() {
    for (sent, pushed) in [(false, true), (true, false), (true, true)] {
        let mut rig = Rig::new();
        let probe = probe(&mut rig);
        rig.mirror.settle(probe, Outcome::Success, || rig.now);
        let request = sent.then(|| rig.next().unwrap());
        // Its lease has ended: another process has its place.
        let other = rig.put('H', 9);
        let mut notices = Vec::new();
        if pushed {
            notices.extend(rig.push(other).notices);
        }
        if let Some(request) = request {
            let stored = rig.perform(request);
            notices.extend(rig.answer(stored).notices);
        }
        let [Notice::Late(Outcome::Success, generation)] = notices[..] else {
            panic!("sent: {sent}, pushed: {pushed}, {notices:?}");
        };
        assert_eq!(generation, probe.generation);
        rig.serve();
        assert_eq!(rig.state(), 'H');
    }
}
