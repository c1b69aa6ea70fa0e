//! When there is something to send, and when all of it has arrived.

use super::*;
use crate::error::StorageError;
use crate::waiter::Verdict;

/// A rig that has just sent something.
fn lingering() -> Rig {
    let mut rig = Rig::new();
    rig.put('C', 0);
    rig.fail();
    rig.serve();
    rig
}

/// Nothing is held back because the driver would be impatient.
fn sends(rig: &mut Rig) -> bool {
    // What it holds already is no news.
    rig.mirror.news_taken();
    let news = rig.mirror.has_news();
    assert_eq!(rig.mirror.next(Offset::default(), false).is_some(), news);
    news
}

#[test]
fn outcomes_gather_until_it_is_time() {
    let mut rig = Rig::new();
    assert!(!sends(&mut rig), "nothing has happened");
    rig.fail();
    assert!(sends(&mut rig), "the first goes at once");
    let mut rig = lingering();
    assert!(!sends(&mut rig), "all was sent");
    rig.fail();
    assert!(!sends(&mut rig), "the next wait");
    rig.mirror.linger_over();
    assert!(sends(&mut rig));
}

#[test]
fn what_may_trip_does_not_wait() {
    let mut rig = lingering();
    rig.fail();
    let others = format!("1 C 0 1 0 2 {SETTINGS} 0 - -");
    let others = rig.write(others.as_bytes());
    rig.push(others);
    assert_eq!((rig.state(), rig.mirror.circuit().failures()), ('C', 3));
    assert!(sends(&mut rig));
}

#[test]
fn a_decision_does_not_wait() {
    let mut rig = lingering();
    rig.mirror.reset(rig.now);
    assert!(sends(&mut rig));
}

#[test]
fn a_probe_does_not_wait() {
    let mut rig = lingering();
    let open = rig.put('O', 1);
    rig.push(open);
    rig.wait(TTL * 2);
    let _asks = rig.ask();
    assert!(rig.mirror.has_news());
    let [(_, Verdict::Granted(probe))] = rig.exchange().verdicts[..] else {
        panic!("leave is given");
    };
    rig.mirror.settle(probe, Outcome::Success, || rig.now);
    assert!(sends(&mut rig));
}

#[test]
fn a_call_that_waits_for_a_reading_is_news_while_another_is_under_way() {
    let mut rig = Rig::new();
    rig.mirror.options = StorageOptions::new().consistency(Consistency::Strict);
    let _first = rig.ask();
    assert_eq!(rig.mirror.begins_to_wait().len(), 1);
    let _reading = rig.next().unwrap();
    assert!(!rig.mirror.has_news());
    let _second = rig.ask();
    assert!(rig.mirror.has_news());
}

fn held(rig: &mut Rig) -> bool {
    rig.mirror.news_taken();
    assert!(!rig.mirror.has_news(), "it is known by now");
    rig.mirror.is_held()
}

#[test]
fn what_cannot_be_sent_is_held_by_the_driver() {
    let mut rig = Rig::new();
    assert!(!held(&mut rig), "nothing has happened");
    rig.fail();
    rig.serve();
    assert!(!held(&mut rig), "it has arrived");
    rig.fail();
    rig.down();
    assert!(rig.mirror.has_news());
    assert!(held(&mut rig));
    rig.mirror.forked(1, || rig.now);
    assert!(!held(&mut rig), "that is the parent's");
}

#[test]
fn what_cannot_be_sent_yet_is_held_by_the_driver() {
    for reads in [false, true] {
        let mut rig = lingering();
        rig.mirror.lingering = !reads;
        rig.mirror.stale = reads;
        let request = rig.next();
        assert!(request.is_some() == reads && !held(&mut rig));
        rig.fail();
        assert!(rig.mirror.has_news());
        assert!(held(&mut rig));
    }
}

#[test]
fn everything_that_is_left_to_send_is_owed() {
    let mut rig = Rig::new();
    assert_eq!(rig.mirror.owed(), None);
    rig.fail();
    let sent = rig.next().unwrap();
    assert_eq!(rig.mirror.owed(), Some(1));
    rig.fail();
    assert_eq!(rig.mirror.owed(), Some(2), "an outcome is left");
    let stored = rig.perform(sent);
    rig.answer(stored);
    let sent = rig.next().unwrap();
    assert_eq!(rig.mirror.owed(), Some(2));
    rig.mirror.reset(rig.now);
    assert_eq!(rig.mirror.owed(), Some(3), "a decision is left");
    let stored = rig.perform(sent);
    rig.answer(stored);
    rig.serve();
    assert_eq!(rig.mirror.owed(), None);
    rig.fail();
    let _lost = rig.next().unwrap();
    let owed = rig.mirror.owed();
    rig.down();
    assert_eq!(rig.mirror.owed(), owed, "it is sent again, as it was");
}

#[test]
fn who_cannot_write_is_stranded_with_what_it_counted() {
    let mut rig = Rig::new();
    rig.fail();
    assert!(!rig.mirror.is_stranded(), "it is on its way");
    rig.mirror.cut_off(StorageError::Unusable("it is a list".into()), || rig.now);
    assert!(rig.mirror.is_stranded());
    let mut rig = Rig::new();
    rig.mirror.cut_off(StorageError::Unusable("it is a list".into()), || rig.now);
    assert!(!rig.mirror.is_stranded(), "with nothing");
}

#[test]
fn the_others_wait_no_longer_for_a_trip_that_was_found_alone() {
    let mut rig = Rig::new();
    rig.down();
    (0..3).for_each(|_| rig.fail());
    let until = rig.now.saturating_add(TTL);
    let Phase::Open { until: here } = *rig.mirror.circuit().phase() else {
        panic!("it has tripped");
    };
    assert!(here > until, "so as not to probe in step");
    rig.serve();
    assert_eq!(rig.stored().phase(), &Phase::Open { until });
}

#[test]
fn only_what_is_closed_and_in_sync_is_left_alone() {
    let mut rig = Rig::new();
    assert!(!rig.mirror.is_uneasy());
    rig.mirror.options = StorageOptions::new().consistency(Consistency::Strict);
    assert!(rig.mirror.is_uneasy());
    let mut rig = Rig::new();
    let open = rig.put('O', 1);
    rig.push(open);
    assert!(rig.mirror.is_uneasy() && rig.mirror.is_synced());
    let mut rig = Rig::new();
    rig.down();
    assert!(rig.mirror.is_uneasy() && !rig.mirror.is_synced());
}
