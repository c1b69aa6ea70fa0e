//! What a mirror has to say to its storage.

use super::{Mirror, Parcel, Sent, Sync};
use crate::circuit::{Circuit, Phase, ProbeId};
use crate::offset::Offset;
use crate::outcome::Outcome;
use crate::storage::{Consistency, Versioned};
use crate::update::{Decision, Update};

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
        if self.reads_next() {
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
        // What has to arrive has to be held, also if it cannot be sent yet: this may be the last handle.
        let unheld = !self.held && self.owes() && self.sync != Sync::Foreign;
        // Without a storage there is nothing to read.
        let (read, update) = match self.sync {
            Sync::Alone => (false, false),
            Sync::Synced => (self.reads_next(), self.owes() && !self.lingers()),
            Sync::Foreign => (self.reads_next(), false),
        };
        untimed || unheld || self.sent.is_none() && (read || update)
    }

    fn reads_next(&self) -> bool {
        self.stale || !self.readers.is_empty()
    }

    /// The driver knows of the news. What has not arrived it holds, and need not be told of again.
    pub(crate) fn news_taken(&mut self) {
        self.listed = false;
        self.held = !self.is_settled();
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Whether there are only outcomes that may gather for a while.
    fn lingers(&self) -> bool {
        let only_run = self.decision.is_none() && self.outcomes.is_empty() && self.ask.is_none();
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

    /// Up to which update everything that was counted by now is in; none, if everything has arrived.
    pub(crate) fn owed(&self) -> Option<u64> {
        let sent = self.decision.is_none() && self.outcomes.is_empty() && self.run.is_empty();
        // Leave that comes when nobody waits for it any more is to be given back.
        let sent = sent && self.ask.is_none();
        let registers = self.options.registers && self.sync == Sync::Alone;
        let next = self.next_id.sequence;
        (!self.is_settled()).then_some(if sent && !registers { next - 1 } else { next })
    }

    /// Whether that has arrived.
    pub(crate) fn has_arrived(&self, owed: u64) -> bool {
        let sent = self.sent.as_ref().and_then(|sent| sent.parcel);
        let late =
            [self.retry, sent].into_iter().flatten().any(|parcel| parcel.id.sequence <= owed);
        self.is_settled() || self.sync == Sync::Synced && self.next_id.sequence > owed && !late
    }

    /// Whether it is cut off from the storage with something to tell.
    pub(crate) fn is_stranded(&self) -> bool {
        self.sync == Sync::Foreign && self.pending() > 0
    }

    fn owes(&self) -> bool {
        self.retry.is_some()
            || self.decision.is_some()
            || !self.outcomes.is_empty()
            || self.ask.as_ref().is_some_and(|_| !self.asking())
            || !self.run.is_empty()
    }

    pub(super) fn asking(&self) -> bool {
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
            Decision::Trip { at, until, reset } => Decision::Trip {
                at: offset.to_store(at),
                until: offset.to_store(until),
                reset: reset.map(|reset| offset.to_store(reset)),
            },
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
        let generation = self.circuit.generation();
        self.sent = Some(Sent { parcel, outcomes, generation, asked, again, readers, pushed: 0 });
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

    /// Lets what has gathered go.
    pub(crate) fn linger_over(&mut self) {
        self.lingering = false;
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
