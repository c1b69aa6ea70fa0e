//! What the driver does with a mirror: take a request, bring the answer.

use super::{Mirror, Notice, Parcel, Sent, Sync, Told, Wait};
use crate::circuit::{Circuit, Phase, ProbeId, Run, Ticket};
use crate::clock::Timestamp;
use crate::error::StorageError;
use crate::offset::Offset;
use crate::outcome::Outcome;
use crate::record::{Read, Record, UpdateId};
use crate::storage::{Consistency, Stored, Versioned};
use crate::update::{Decision, Update};
use crate::waiter::{Stage, Verdict};

/// A request to the storage.
#[derive(Debug)]
pub(crate) enum Request {
    Load,
    /// To be written over `base`, or over whatever is there by then.
    Update {
        update: Box<Update>,
        base: Option<Versioned>,
    },
}

impl Mirror {
    /// The next request, if it is time for one. If `impatient`, nothing is held back.
    pub(crate) fn next(&mut self, offset: Offset, impatient: bool) -> Option<Request> {
        if self.sent.is_some() {
            return None;
        }
        if self.sync == Sync::Synced && self.owes() && (impatient || !self.lingers()) {
            return Some(self.next_update(offset));
        }
        if self.stale || !self.readers.is_empty() {
            self.send(None, Vec::new(), false, false);
            return Some(Request::Load);
        }
        None
    }

    /// Whether the driver has something to do for this circuit.
    pub(crate) fn has_news(&self) -> bool {
        // The driver measures how long calls wait, also while it is busy with something else.
        let untimed = self.ask.as_ref().is_some_and(|ask| !ask.timed)
            || self.readers_timed < self.readers_ever;
        // Without a storage there is nothing to read, but what has to arrive has to be held.
        let (read, update) = match self.sync {
            Sync::Alone => (false, self.owes()),
            Sync::Synced => (self.stale, self.owes() && !self.lingers()),
            Sync::Foreign => (self.stale, false),
        };
        untimed || self.sent.is_none() && (read || !self.readers.is_empty() || update)
    }

    /// The driver knows of the news. What it cannot send it holds, and need not be told of again.
    pub(crate) fn news_taken(&mut self) {
        self.listed = self.sync == Sync::Alone && !self.is_settled();
    }

    /// Whether there are only outcomes that may gather for a while.
    fn lingers(&self) -> bool {
        let only_run = self.retry.is_none()
            && self.decision.is_none()
            && self.outcomes.is_empty()
            && self.ask.is_none();
        // What was counted here and elsewhere may be enough, though here it was not.
        let may_trip = self.circuit.failures() >= self.circuit.settings().threshold;
        self.lingering && only_run && !may_trip
    }

    /// Whether everything has arrived.
    pub(crate) fn is_settled(&self) -> bool {
        let sent = self.sent.as_ref().is_some_and(|sent| sent.parcel.is_some());
        let registered = !self.options.registers || self.sync == Sync::Synced;
        self.sync == Sync::Foreign || !sent && !self.owes() && registered
    }

    fn owes(&self) -> bool {
        self.retry.is_some()
            || self.decision.is_some()
            || !self.outcomes.is_empty()
            || self.ask.as_ref().is_some_and(|_| !self.asking())
            || !self.run.is_empty()
    }

    fn asking(&self) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.asked)
    }

    fn next_update(&mut self, offset: Offset) -> Request {
        if let Some(parcel) = self.retry.take() {
            return self.send_update(parcel, Vec::new(), true, offset);
        }
        let parcel = Parcel {
            id: self.next_id,
            generation: self.generation,
            run: std::mem::take(&mut self.run),
            decision: self.decision,
            moot: false,
        };
        self.next_id.sequence += 1;
        let outcomes = std::mem::take(&mut self.outcomes);
        self.send_update(parcel, outcomes, false, offset)
    }

    fn send_update(
        &mut self,
        parcel: Parcel,
        outcomes: Vec<(ProbeId, Outcome)>,
        again: bool,
        offset: Offset,
    ) -> Request {
        let decision = parcel.decision.map(|decision| match decision {
            Decision::Trip { at, until } => {
                Decision::Trip { at: offset.to_store(at), until: offset.to_store(until) }
            }
            Decision::Reset { at } => Decision::Reset { at: offset.to_store(at) },
            Decision::Register => Decision::Register,
        });
        let ask = if again { None } else { self.ask.as_ref().map(|ask| ask.id) };
        let update = Update {
            id: parcel.id,
            generation: parcel.generation,
            run: parcel.run,
            decision,
            outcomes: outcomes.clone(),
            ask,
            own: self.written_down(offset),
        };
        self.send(Some(parcel), outcomes, ask.is_some(), again);
        Request::Update { update: Box::new(update), base: self.base.clone() }
    }

    fn send(
        &mut self,
        parcel: Option<Parcel>,
        outcomes: Vec<(ProbeId, Outcome)>,
        asked: bool,
        again: bool,
    ) {
        self.stale = false;
        let readers = std::mem::take(&mut self.readers);
        self.sent = Some(Sent { parcel, outcomes, asked, again, readers, pushed: 0 });
    }

    /// The circuit as it would be in the storage.
    fn written_down(&self, offset: Offset) -> Circuit {
        let phase = match self.circuit.phase() {
            Phase::Closed { .. } => Phase::Closed { failures: 0 },
            Phase::Open { until } => {
                // What was spread for this process alone is not for the others.
                let until = match self.decision {
                    Some(Decision::Trip { until, .. }) => until,
                    _ => *until,
                };
                Phase::Open { until: offset.to_store(until) }
            }
            Phase::HalfOpen(probes) => {
                Phase::HalfOpen(probes.moved(|lease| offset.to_store(lease.end)))
            }
        };
        let generation = self.generation + u64::from(!self.confirmed);
        let since = offset.to_store(self.circuit.since());
        Circuit::restored(*self.circuit.settings(), generation, since, phase)
    }

    /// Brings the answer to the request that was sent.
    pub(crate) fn answered(&mut self, stored: Stored, offset: Offset, now: Timestamp) -> Told {
        let mut told = Told::default();
        let Some(sent) = self.sent.take() else { return told };
        let read = stored.record.as_ref().map(|record| Record::decode(&record.bytes));
        let ring_has = |id: UpdateId| matches!(&read, Some(Read::Known(r)) if r.ring.has(id));
        if let Some(parcel) = sent.parcel {
            let arrived = ring_has(parcel.id);
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
        let ours = sent.parcel.is_some_and(|parcel| !sent.again && ring_has(parcel.id));
        // A push that came first told of more than this answer, and may not have been followed: read again.
        let version = stored.record.as_ref().map_or(0, |record| record.version);
        let overtaken = version < sent.pushed;
        self.stale |= overtaken;
        let known = self.base.as_ref().map_or(0, |base| base.version);
        if !(overtaken && version < known && known <= sent.pushed) {
            self.base = stored.record;
            self.adopt(read, ours, offset, now, &mut told);
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
        let known = self.base.as_ref().map_or(0, |base| base.version);
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
        }
        self.leave(now, &mut told);
        told
    }

    /// The storage is down: from here on the circuit is this process's alone.
    fn leave(&mut self, now: impl Fn() -> Timestamp, told: &mut Told) {
        self.sync = Sync::Alone;
        self.stale = true;
        if let Some(waiter) = self.ask.take().and_then(|ask| ask.waiter) {
            told.verdicts.push((waiter, Verdict::Decide(Stage::Last)));
        }
        told.decide(std::mem::take(&mut self.readers));
        // What was for the storage to say is said here.
        for (id, outcome) in std::mem::take(&mut self.outcomes) {
            if self.circuit.holds(id) {
                let ticket = Ticket { generation: self.circuit.generation(), probe: Some(id) };
                let settled = self.settle(ticket, outcome, &now);
                told.notices.extend(settled.effect.map(Notice::Effect));
                told.notices.extend(settled.change.map(Notice::Change));
            }
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
        if !std::mem::replace(&mut self.told.foreign, true) {
            told.notices.push(Notice::CutOff(cause));
        }
        told
    }

    /// What was counted before the fork is for the parent to tell.
    pub(crate) fn forked(&mut self, seed: u64, now: impl Fn() -> Timestamp) -> Told {
        let told = self.unanswered(now);
        self.retry = None;
        self.run = Run::default();
        self.listed = false;
        self.draw_writer(seed);
        told
    }

    /// Lets what has gathered go.
    pub(crate) fn linger_over(&mut self) {
        self.lingering = false;
    }

    /// The waits that begin now.
    pub(crate) fn begins_to_wait(&mut self) -> Vec<Wait> {
        let ask = self.ask.as_mut().filter(|ask| !ask.timed).map(|ask| {
            ask.timed = true;
            Wait::Ask(ask.id)
        });
        let timed = std::mem::replace(&mut self.readers_timed, self.readers_ever);
        let read = (timed < self.readers_ever).then_some(Wait::Read(self.readers_ever));
        ask.into_iter().chain(read).collect()
    }

    /// Calls have waited long enough.
    pub(crate) fn give_up(&mut self, wait: Wait) -> Told {
        let mut told = Told::default();
        match wait {
            Wait::Ask(id) => self.give_up_ask(id, &mut told),
            Wait::Read(before) => {
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

    /// Whether it is worth a look every now and then.
    pub(crate) fn is_uneasy(&self) -> bool {
        self.sync != Sync::Synced
            || !matches!(self.circuit.phase(), Phase::Closed { .. })
            || self.options.consistency == Consistency::Strict
    }

    /// Whether it has heard of the storage since that is up.
    pub(crate) fn is_synced(&self) -> bool {
        self.sync != Sync::Alone
    }
}
