//! What one process makes of its storage, step by step.

mod apart;
mod calls;
mod following;
mod gathering;
mod resets;

use super::*;
use crate::bump::rewrite;
use crate::config::Config;
use crate::offset::Offset;
use crate::record::{Read, Record};
use crate::storage::Stored;
use crate::waiter::Waiting;

const TTL: Duration = Duration::from_secs(1);

/// Those of the rig, as they are written down.
const SETTINGS: &str = "3:1000000:1:1:1000000";

/// A mirror and its storage, by one clock.
struct Rig {
    mirror: Mirror,
    record: Option<Versioned>,
    now: Timestamp,
}

impl Rig {
    /// Synced, with nothing in the storage.
    fn new() -> Self {
        let config = Config::new().threshold(3).ttl(TTL).probe_lease(TTL);
        let now = Timestamp::from_origin(Duration::from_secs(1000));
        let mirror = Mirror::new(config.resolve(), now, StorageOptions::new(), 1);
        let mut rig = Self { mirror, record: None, now };
        rig.serve();
        assert!(rig.mirror.is_synced());
        rig
    }

    fn next(&mut self) -> Option<Request> {
        self.mirror.next(Offset::default(), true)
    }

    /// What the storage does with a request; the answer is under way.
    fn perform(&mut self, request: Request) -> Stored {
        if let Request::Update { update, .. } = request {
            if let Some(bumped) = rewrite(&update, self.record.as_ref(), self.now) {
                self.write(&bumped.bytes);
            }
        }
        Stored { record: self.record.clone(), now: None }
    }

    fn write(&mut self, bytes: &[u8]) -> Versioned {
        let version = self.record.as_ref().map_or(1, |record| record.version + 1);
        let record = Versioned { version, bytes: bytes.to_vec() };
        self.record.insert(record).clone()
    }

    /// What another process writes.
    fn put(&mut self, state: char, generation: u64) -> Versioned {
        let (since, open) = (self.now.nanos() / 1_000, if state == 'O' { 1_000_000 } else { 0 });
        self.write(format!("1 {state} {generation} {since} {open} 0 {SETTINGS} 0 - -").as_bytes())
    }

    fn answer(&mut self, stored: Stored) -> Told {
        self.mirror.answered(stored, Offset::default(), self.now)
    }

    fn push(&mut self, record: Versioned) -> Told {
        self.mirror.pushed(record, Offset::default(), self.now)
    }

    fn exchange(&mut self) -> Told {
        let request = self.next().expect("there is something to ask");
        let stored = self.perform(request);
        self.answer(stored)
    }

    /// Requests and answers, until there is no more to ask.
    fn serve(&mut self) {
        for _ in 0..10 {
            let Some(request) = self.next() else { return };
            let stored = self.perform(request);
            self.answer(stored);
        }
        panic!("it asks for ever");
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    fn fail(&mut self) {
        let Acquired::Answer(Ok(ticket), _) = self.mirror.acquire(self.now, Stage::First) else {
            panic!("it is not admitted");
        };
        self.mirror.settle(ticket, Outcome::Failure, || self.now);
    }

    fn ask(&mut self) -> Waiting {
        match self.mirror.acquire(self.now, Stage::First) {
            Acquired::Wait(waiting) => waiting,
            other => panic!("{other:?}"),
        }
    }

    fn down(&mut self) {
        self.mirror.unanswered(|| self.now);
    }

    fn state(&self) -> char {
        match self.mirror.circuit().phase() {
            Phase::Closed { .. } => 'C',
            Phase::Open { .. } => 'O',
            Phase::HalfOpen(_) => 'H',
        }
    }

    fn stored(&self) -> Circuit {
        match Record::decode(&self.record.as_ref().expect("there is a record").bytes) {
            Read::Known(record) => record.circuit,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_lost_reply_is_asked_for_and_counted_once() {
    for applied in [true, false] {
        let mut rig = Rig::new();
        rig.fail();
        rig.fail();
        let request = rig.next().unwrap();
        if applied {
            rig.perform(request);
        }
        rig.down();
        assert_eq!((rig.mirror.pending(), rig.mirror.tally()), (2, Tally::default()));
        rig.serve();
        assert_eq!(rig.stored().failures(), 2);
        assert_eq!(rig.mirror.tally(), Tally { recorded: 2, discarded: 0 });
    }
}

#[test]
fn an_answer_that_a_push_has_overtaken_is_not_followed() {
    let mut rig = Rig::new();
    rig.put('C', 0);
    rig.mirror.doubt();
    let request = rig.next().unwrap();
    let late = rig.perform(request);
    let newer = rig.put('O', 1);
    rig.push(newer);
    assert_eq!(rig.state(), 'O');
    rig.answer(late);
    assert_eq!(rig.state(), 'O');
    assert!(matches!(rig.next(), Some(Request::Load)), "it looks again");
}

#[test]
fn a_push_that_was_left_for_the_answer_is_looked_for() {
    let mut rig = Rig::new();
    rig.fail();
    let request = rig.next().unwrap();
    let answer = rig.perform(request);
    // Another process trips the circuit: its record has our update in it as well.
    let tripped = String::from_utf8(answer.record.as_ref().unwrap().bytes.clone()).unwrap();
    let tripped = tripped.replacen(" C 0 ", " O 1 ", 1).replacen(" 0 1 3:", " 1000000 0 3:", 1);
    let push = rig.write(tripped.as_bytes());
    rig.push(push);
    rig.answer(answer);
    assert_eq!(rig.mirror.snapshot().version, Some(1), "what it says is followed");
    rig.serve();
    assert_eq!(rig.state(), 'O');
}

#[test]
fn a_push_while_the_storage_is_read_for_the_first_time_is_not_missed() {
    let mut rig = Rig::new();
    rig.put('C', 0);
    rig.mirror.doubt();
    rig.serve();
    rig.down();
    let request = rig.next().unwrap();
    let late = rig.perform(request);
    let newer = rig.put('O', 1);
    rig.push(newer);
    rig.answer(late);
    assert!(rig.mirror.is_synced());
    rig.serve();
    assert_eq!(rig.state(), 'O');
}

/// I17: what is older than what was followed is passed over, so each order tells of those pushes that are
/// newer than all before them; and of the last one alone nothing, as it finds the circuit closed as it was.
#[test]
fn pushes_in_any_order_and_twice_end_the_same() {
    let orders = [
        ([0, 1, 2], 3),
        ([0, 2, 1], 2),
        ([1, 0, 2], 2),
        ([1, 2, 0], 2),
        ([2, 0, 1], 0),
        ([2, 1, 0], 0),
    ];
    for (order, changes) in orders {
        let mut rig = Rig::new();
        let records = [rig.put('O', 1), rig.put('H', 2), rig.put('C', 3)];
        let mut told = 0;
        for at in order.into_iter().chain(order) {
            told += rig.push(records[at].clone()).notices.len();
        }
        assert_eq!((rig.state(), rig.mirror.snapshot().version), ('C', Some(3)));
        assert_eq!(told, changes, "{order:?}");
    }
}

#[test]
fn an_own_trip_holds_out_against_a_record_that_does_not_know_of_it() {
    let mut rig = Rig::new();
    rig.put('C', 0);
    rig.serve();
    (0..3).for_each(|_| rig.fail());
    let unknowing = rig.put('C', 0);
    rig.push(unknowing);
    assert_eq!(rig.state(), 'O');
    rig.serve();
    assert_eq!((rig.state(), rig.stored().state()), ('O', crate::state::State::Open));
}

#[test]
fn a_record_that_is_lost_says_nothing_about_the_dependency() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.record = None;
    rig.mirror.doubt();
    rig.serve();
    assert_eq!((rig.state(), rig.stored().state()), ('O', crate::state::State::Open));
}

#[test]
fn a_probe_that_nobody_waits_for_any_more_is_given_back() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    let _waiting = rig.ask();
    let wait = rig.mirror.begins_to_wait();
    let request = rig.next().unwrap();
    rig.mirror.give_up(wait[0]);
    let stored = rig.perform(request);
    rig.answer(stored);
    rig.serve();
    let circuit = rig.stored();
    assert!(matches!(circuit.phase(), Phase::HalfOpen(probes) if probes.out().is_empty()));
}

#[test]
fn the_time_of_one_call_ends_no_other_calls_wait() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    let _first = rig.ask();
    let first = rig.mirror.begins_to_wait();
    // Refused: the storage thinks that it opened a moment ago.
    rig.put('O', 3);
    rig.serve();
    rig.wait(TTL * 2);
    let mut second = rig.ask();
    assert_eq!(rig.mirror.begins_to_wait().len(), 1);
    assert!(rig.mirror.give_up(first[0]).verdicts.is_empty());
    assert_eq!(second.give_up(), None);
}

#[test]
fn a_call_that_comes_while_a_request_is_under_way_is_timed() {
    let mut rig = Rig::new();
    (0..3).for_each(|_| rig.fail());
    rig.serve();
    rig.wait(TTL * 2);
    rig.mirror.doubt();
    let _request = rig.next().unwrap();
    let _waiting = rig.ask();
    assert!(rig.mirror.has_news());
    assert_eq!(rig.mirror.begins_to_wait().len(), 1);
    rig.mirror.news_taken();
    assert!(!rig.mirror.has_news());
}

#[test]
fn probes_of_processes_that_are_alone_are_told_apart() {
    let mut ids = Vec::new();
    for seed in [1, 2] {
        let mut rig = Rig::new();
        rig.mirror.random = Random::new(seed);
        rig.down();
        (0..3).for_each(|_| rig.fail());
        rig.wait(TTL * 2);
        let Acquired::Answer(Ok(ticket), _) = rig.mirror.acquire(rig.now, Stage::First) else {
            panic!("it is not admitted");
        };
        ids.push(ticket.probe);
    }
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn what_is_over_is_over_at_once() {
    let mut rig = Rig::new();
    rig.put('O', 1);
    rig.wait(TTL * 2);
    rig.mirror.doubt();
    rig.serve();
    assert_eq!(rig.state(), 'O');
    // The clock has not moved since the answer, and need not.
    let _waiting = rig.ask();
}
