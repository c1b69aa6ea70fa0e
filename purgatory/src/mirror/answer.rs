//! What comes of a request: an answer, news that was pushed meanwhile, or nothing.

use std::mem;

use super::{Mirror, Notice, Sync, Tally, Told, Wait};
use crate::circuit::{ProbeId, Run, Ticket};
use crate::clock::Timestamp;
use crate::error::StorageError;
use crate::offset::Offset;
use crate::outcome::Outcome;
use crate::record::{Read, Record, UpdateId};
use crate::storage::{Stored, Versioned};
use crate::update::Decision;
use crate::waiter::{Stage, Verdict};

impl Mirror {
    /// Brings the answer to the request that was sent.
    pub(crate) fn answered(&mut self, stored: Stored, offset: Offset, now: Timestamp) -> Told {
        let mut told = Told::default();
        let Some(sent) = self.sent.take() else { return told };
        let read = stored.record.as_ref().map(|record| Record::decode(&record.bytes));
        let ring_has = |id: UpdateId| matches!(&read, Some(Read::Known(r)) if r.ring.has(id));
        let arrived = sent.parcel.is_some_and(|parcel| ring_has(parcel.id));
        if let Some(parcel) = sent.parcel {
            self.account(parcel.run, arrived);
            if self.decision == parcel.decision {
                self.decision = None;
            }
            self.lingering = true;
            self.retry = None;
        }
        if self.sync != Sync::Synced {
            self.reconcile(&ring_has, now);
        }
        let ours = arrived && !sent.again;
        if !arrived {
            told.fence_off(sent.outcomes, sent.generation);
        }
        // A push that came first told of more than this answer, and may not have been followed: read again.
        let version = stored.record.as_ref().map_or(0, |record| record.version);
        let overtaken = version < sent.pushed;
        self.stale |= overtaken;
        let known = self.base.as_ref().map_or(0, |base| base.version);
        if !(version < known && known <= sent.pushed) {
            let obeyed = version == known && matches!(read, Some(Read::Newer(_)));
            self.lost = if stored.record.is_none() { self.lost.max(known) } else { 0 };
            self.base = stored.record;
            if obeyed {
                // Nobody can tell the storage what has happened here since, so that is not undone.
                (self.sync, self.told.cut_off) = (Sync::Foreign, false);
            } else {
                self.adopt(read, ours, offset, now, &mut told);
            }
        }
        if sent.asked {
            self.answer_ask(&mut told);
        }
        told.decide(sent.readers);
        told
    }

    /// Says whether failures arrived.
    fn account(&mut self, run: Run, arrived: bool) {
        if arrived {
            self.tally.recorded += run.total;
        } else {
            self.tally.discarded += run.total;
        }
    }

    /// Decides what is still worth telling a storage that was away.
    fn reconcile(&mut self, ring_has: &impl Fn(UpdateId) -> bool, now: Timestamp) {
        let old = now.since(self.failed) > self.circuit.settings().ttl;
        if let Some(retry) = self.retry {
            let arrived = ring_has(retry.id);
            if arrived || retry.moot || old {
                self.account(retry.run, arrived);
                if self.decision == retry.decision && arrived {
                    self.decision = None;
                }
                self.retry = None;
            }
        }
        if old {
            self.drop_run();
        }
        if let (Some(Decision::Trip { .. }), Some(retry)) = (self.decision, self.retry) {
            // By itself it could trip the circuit anew, and later.
            if retry.decision.is_none() {
                self.run = retry.run.then(self.run);
                self.retry = None;
            }
        }
        if let Some(Decision::Trip { until, .. }) = self.decision {
            if now >= until {
                self.decision = None;
            }
        }
    }

    fn answer_ask(&mut self, told: &mut Told) {
        let Some(ask) = self.ask.take() else { return };
        if self.circuit.holds(ask.id) {
            let generation = self.circuit.generation();
            let ticket = Ticket { generation, probe: Some(ask.id) };
            match ask.waiter {
                Some(waiter) => told.verdicts.push((waiter, Verdict::Granted(ticket))),
                None => self.outcomes.push((ask.id, Outcome::Ignored)),
            }
        } else if let Some(waiter) = ask.waiter {
            told.verdicts.push((waiter, Verdict::Decide(Stage::Last)));
        }
    }

    /// The storage pushed a record.
    pub(crate) fn pushed(&mut self, record: Versioned, offset: Offset, now: Timestamp) -> Told {
        let mut told = Told::default();
        if let Some(sent) = &mut self.sent {
            sent.pushed = sent.pushed.max(record.version);
        }
        if self.sync != Sync::Synced {
            // What it says is not all, and without an answer the storage's clock is not known: read it.
            // What is being read already is looked at when it is there.
            self.stale |= self.sent.is_none();
            return told;
        }
        // Also what was lost since is older than what comes after it.
        let known = self.base.as_ref().map_or(self.lost, |base| base.version);
        if record.version <= known {
            return told;
        }
        let read = Record::decode(&record.bytes);
        let sent = self.sent.as_ref().and_then(|sent| sent.parcel);
        if let (Some(parcel), Read::Known(record)) = (sent, &read) {
            // The echo of a request: its answer says more.
            if record.ring.has(parcel.id) {
                return told;
            }
        }
        self.base = Some(record);
        self.adopt(Some(read), false, offset, now, &mut told);
        told
    }

    /// Reads again at the next opportunity: there may be news.
    pub(crate) fn doubt(&mut self) {
        self.stale = true;
    }

    /// What was sent will not be answered.
    pub(crate) fn unanswered(&mut self, now: impl Fn() -> Timestamp) -> Told {
        let mut told = Told::default();
        if let Some(sent) = self.sent.take() {
            if sent.again || sent.parcel.is_some_and(|p| p.run.total > 0 || p.decision.is_some()) {
                self.retry = sent.parcel;
            }
            self.outcomes.splice(0..0, sent.outcomes);
            told.decide(sent.readers);
            if let Some(ask) = self.ask.as_ref().filter(|_| sent.asked) {
                // Leave may have been given, and nobody has it.
                self.unreported.push((ask.id, Outcome::Ignored));
            }
        }
        self.leave(now, &mut told);
        told
    }

    /// The storage is down: from here on the circuit is this process's alone.
    fn leave(&mut self, now: impl Fn() -> Timestamp, told: &mut Told) {
        self.sync = Sync::Alone;
        self.joining = false;
        self.stale = true;
        self.lingering = false;
        if let Some(waiter) = self.ask.take().and_then(|ask| ask.waiter) {
            told.verdicts.push((waiter, Verdict::Decide(Stage::Last)));
        }
        told.decide(mem::take(&mut self.readers));
        // What was for the storage to say is said here.
        for (id, outcome) in mem::take(&mut self.outcomes) {
            if self.circuit.holds(id) {
                let ticket = Ticket { generation: self.circuit.generation(), probe: Some(id) };
                let settled = self.settle(ticket, outcome, &now);
                told.notices.extend(settled.effect.map(Notice::Effect));
                told.notices.extend(settled.change.map(Notice::Change));
            }
        }
    }

    /// Remembers what a probe came to, if the storage knows of the probe.
    pub(super) fn report_later(&mut self, id: ProbeId, outcome: Outcome) {
        let base = self.base.as_ref().map(|base| Record::decode(&base.bytes));
        if matches!(base, Some(Read::Known(record)) if record.circuit.holds(id)) {
            self.unreported.push((id, outcome));
        }
    }

    /// The storage cannot share this circuit, though it is up: for now, or as long as something else has its
    /// place. It is for the driver to say when to ask again.
    pub(crate) fn cut_off(&mut self, cause: StorageError, now: impl Fn() -> Timestamp) -> Told {
        let mut told = self.unanswered(now);
        if matches!(cause, StorageError::Unusable(_)) {
            self.sync = Sync::Foreign;
        }
        self.stale = false;
        if !mem::replace(&mut self.told.cut_off, true) {
            told.notices.push(Notice::CutOff(cause));
        }
        told
    }

    /// What was counted before the fork is for the parent to tell, and in its tally. Who waits is a thread of the
    /// parent's.
    pub(crate) fn forked(&mut self, seed: u64, now: impl Fn() -> Timestamp) {
        self.outcomes.clear();
        self.sent.iter_mut().for_each(|sent| sent.outcomes.clear());
        drop(self.unanswered(now));
        self.joining = true;
        self.retry = None;
        self.unreported.clear();
        self.run = Run::default();
        self.tally = Tally::default();
        (self.listed, self.held) = (false, false);
        self.draw_writer(seed);
    }

    /// The waits that begin now.
    pub(crate) fn begins_to_wait(&mut self) -> Vec<Wait> {
        let ask = self.ask.as_mut().filter(|ask| !ask.timed).map(|ask| {
            ask.timed = true;
            Wait::Ask(ask.id)
        });
        let timed = mem::replace(&mut self.readers_timed, self.readers_ever);
        let read = (timed < self.readers_ever).then_some(Wait::Read(self.readers_ever));
        ask.into_iter().chain(read).collect()
    }

    /// Calls have waited long enough.
    pub(crate) fn give_up(&mut self, wait: Wait) -> Told {
        let mut told = Told::default();
        match wait {
            Wait::Ask(id) => self.give_up_ask(id, &mut told),
            Wait::Read(before) => {
                // A storage that does not answer the first calls is not waited for by the next.
                self.joining = false;
                let sent = self.sent.iter_mut().map(|sent| &mut sent.readers);
                for readers in sent.chain([&mut self.readers]) {
                    let late = readers.partition_point(|reader| reader.number < before);
                    told.decide(readers.drain(..late));
                }
            }
        }
        told
    }

    fn give_up_ask(&mut self, id: ProbeId, told: &mut Told) {
        // Another call may be asking by now, whose time is not over.
        let Some(ask) = self.ask.as_mut().filter(|ask| ask.id == id) else { return };
        if let Some(waiter) = ask.waiter.take() {
            told.verdicts.push((waiter, Verdict::Decide(Stage::Last)));
        }
        if !self.asking() {
            self.ask = None;
        }
    }
}
