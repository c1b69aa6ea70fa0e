//! How a mirror follows its storage.

use std::time::Duration;

use super::{Mirror, Notice, Parcel, Sync, Told};
use crate::circuit::{Circuit, Effect, Phase};
use crate::clock::Timestamp;
use crate::event::Cause;
use crate::offset::Offset;
use crate::record::{Read, Record, Ring};
use crate::state::State;
use crate::update::Decision;

/// How many settings of other processes are told, of each circuit: who has read of so many knows.
const MAX_TOLD: usize = 8;

impl Mirror {
    /// Follows what the storage has. If that is `ours`, this process has just written it.
    pub(super) fn adopt(
        &mut self,
        read: Option<Read>,
        ours: bool,
        offset: Offset,
        now: Timestamp,
        told: &mut Told,
    ) {
        self.sync = Sync::Synced;
        self.joining = false;
        self.told.cut_off = false;
        let unreported = std::mem::take(&mut self.unreported);
        match read {
            Some(Read::Known(record)) => {
                self.told.garbled = false;
                self.told.newer = false;
                self.adopt_settings(&record, told);
                if self.decision.is_some()
                    && record.ring.newest_writer() == Some(self.next_id.writer)
                {
                    // It was decided after what is there, also if the clocks do not say so.
                    self.generation = record.circuit.generation();
                }
                if !self.holds_out(&record.circuit, offset) {
                    self.follow(&record, ours, offset, now, told);
                }
                // Told twice it is told once, and their places are taken until it is told.
                let unreported = unreported.into_iter();
                self.outcomes.extend(unreported.filter(|&(id, _)| record.circuit.holds(id)));
            }
            Some(Read::Newer(circuit)) => {
                if !std::mem::replace(&mut self.told.newer, true) {
                    told.notices.push(Notice::Newer);
                }
                // What this process found by itself it cannot tell, but goes by.
                if !self.holds_out(&circuit, offset) {
                    self.follow(&Record::new(circuit), false, offset, now, told);
                }
                self.sync = Sync::Foreign;
            }
            Some(Read::Garbled) => {
                if !std::mem::replace(&mut self.told.garbled, true) {
                    told.notices.push(Notice::Garbled);
                }
                self.adopt_nothing(now);
            }
            None => self.adopt_nothing(now),
        }
        self.heard = true;
    }

    fn adopt_settings(&mut self, record: &Record, told: &mut Told) {
        let (ours, theirs) = (*self.circuit.settings(), *record.circuit.settings());
        if self.options.registers {
            let mut settings = ours;
            settings.threshold = theirs.threshold;
            settings.ttl = theirs.ttl;
            self.circuit.set_settings(settings);
        } else if ours != theirs
            && self.told.settings.len() < MAX_TOLD
            && !self.told.settings.contains(&theirs)
        {
            // Each writes its own over those of the others, over and over: once is enough.
            self.told.settings.push(theirs);
            told.notices.push(Notice::Settings(theirs));
        }
    }

    /// Whether what was decided here goes on to be shown, as the storage has not heard of it yet and would
    /// agree.
    fn holds_out(&mut self, theirs: &Circuit, offset: Offset) -> bool {
        let closed = matches!(theirs.phase(), Phase::Closed { .. });
        let newer =
            |at| theirs.generation() == self.generation || offset.to_store(at) > theirs.since();
        let holds_out = match self.decision {
            Some(Decision::Trip { at, reset, .. }) => {
                newer(at) && (closed || reset.is_some_and(newer))
            }
            // Also of what is closed: the failures before it do not count any more.
            Some(Decision::Reset { at }) => newer(at),
            Some(Decision::Register) | None => return false,
        };
        if !holds_out {
            self.decision = None;
        }
        holds_out
    }

    fn follow(
        &mut self,
        record: &Record,
        ours: bool,
        offset: Offset,
        now: Timestamp,
        told: &mut Told,
    ) {
        let theirs = &record.circuit;
        let (from, to) = (self.circuit.state(), theirs.state());
        // What was counted before the first reading was counted in whatever generation there is.
        let known = self.heard && self.confirmed;
        let same = from == to && (theirs.generation() == self.generation || !known);
        if !same {
            self.drop_run();
            told.fence_off(std::mem::take(&mut self.outcomes), self.circuit.generation());
        }
        let phase = self.localised(record, offset, now);
        if same {
            // The deadline of an open circuit stays as it was first understood, whatever the storage's clock
            // does; until it has passed here, and the storage says that it has not.
            if !(self.confirmed && to == State::Open && self.ask.is_none()) {
                self.circuit.correct(phase);
            }
        } else {
            if ours && from == State::HalfOpen && to == State::Closed {
                told.notices.push(Notice::Effect(Effect::Recovered));
            }
            let cause = if ours { self.cause(from, to) } else { Cause::Shared };
            let since = offset.to_local(theirs.since()).min(now);
            let change = self.circuit.follow(phase, since, cause);
            told.notices.extend(change.map(Notice::Change));
        }
        self.generation = theirs.generation();
        self.confirmed = true;
    }

    /// Why the circuit changed, if this process changed it in the storage.
    fn cause(&self, from: State, to: State) -> Cause {
        let threshold = self.circuit.settings().threshold;
        match (from, to) {
            (State::Closed, State::Open) => Cause::Tripped { failures: threshold, threshold },
            (_, State::Open) => Cause::ProbeFailed,
            (State::Open, State::HalfOpen) => Cause::TtlPassed,
            (State::HalfOpen, State::Closed) => Cause::ProbesSucceeded,
            _ => Cause::Shared,
        }
    }

    /// What the record says, in the factory's time, with what the storage does not have yet. However the
    /// clocks are set, no time left is longer than it can be.
    fn localised(&self, record: &Record, offset: Offset, now: Timestamp) -> Phase {
        let local = |end, at_most: Duration| offset.to_local(end).min(now.saturating_add(at_most));
        match record.circuit.phase() {
            Phase::Closed { failures } => Phase::Closed {
                failures: self.after(*failures, record.circuit.generation(), &record.ring),
            },
            Phase::Open { until } => {
                let open = until.since(record.circuit.since());
                Phase::Open { until: local(*until, open) }
            }
            Phase::HalfOpen(probes) => {
                let longest = record.circuit.settings().probe_lease;
                let known = match self.circuit.phase() {
                    Phase::HalfOpen(probes) => probes.out(),
                    Phase::Closed { .. } | Phase::Open { .. } => &[],
                };
                Phase::HalfOpen(probes.moved(|lease| {
                    // As it was first understood, or it would begin anew with every look.
                    let known = known.iter().find(|known| known.id == lease.id);
                    let end = local(lease.end, longest);
                    known.map_or(end, |known| known.end.min(end))
                }))
            }
        }
    }

    /// So many failures, and on top of them those that are not in the record of that generation, with that
    /// ring.
    fn after(&self, failures: u32, generation: u64, ring: &Ring) -> u32 {
        let sent = self.sent.as_ref().and_then(|sent| sent.parcel);
        let parcels = [self.retry, sent].into_iter().flatten();
        let counts = |p: &Parcel| p.generation == generation && !p.moot && !ring.has(p.id);
        let missing = parcels.filter(counts).map(|p| p.run);
        missing.chain([self.run]).fold(failures, |failures, run| run.after(failures))
    }

    /// There is no record: it was never written, or it was lost. That says nothing about the dependency.
    fn adopt_nothing(&mut self, now: Timestamp) {
        match *self.circuit.phase() {
            Phase::Closed { .. } => {
                let failures = self.after(0, self.generation, &Ring::default());
                self.circuit.correct(Phase::Closed { failures });
                if self.options.registers && self.base.is_none() {
                    self.decision.get_or_insert(Decision::Register);
                }
            }
            // As the storage had agreed to it. Of an own trip only its decision tells: here the end is spread, and
            // if there is no decision any more, its time has passed.
            Phase::Open { until } if self.confirmed && now <= until && self.decision.is_none() => {
                let at = self.circuit.since();
                self.decision = Some(Decision::Trip { at, until, reset: None });
            }
            Phase::Open { .. } | Phase::HalfOpen(_) => {}
        }
    }
}
