//! What one process has to tell the others about a circuit.

#[cfg(test)]
mod tests;

use crate::circuit::{Circuit, Phase, ProbeId, Run, Ticket, View};
use crate::clock::Timestamp;
use crate::event::Cause;
use crate::outcome::Outcome;
use crate::record::{Record, UpdateId};

/// What one process has to tell the others about a circuit, all of it at once. Times are the storage's.
///
/// Applied twice it is applied once: the record keeps the ids of the last updates, and probes have ids.
/// Only restrictive evidence is in it, but for the success that ends a row of failures, what the storage itself gave
/// leave to (probes) and what somebody asked for (a reset).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Update {
    pub(crate) id: UpdateId,
    /// The generation that the run and the decision were found in.
    pub(crate) generation: u64,
    pub(crate) run: Run,
    pub(crate) decision: Option<Decision>,
    pub(crate) outcomes: Vec<(ProbeId, Outcome)>,
    /// Leave is asked for a probe of this id.
    pub(crate) ask: Option<ProbeId>,
    /// The circuit as this process would write it down where there is none, with the process's settings.
    pub(crate) own: Circuit,
}

/// What a process found or was told by itself, and did already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The circuit is open since then, and until then. It may have been closed by hand before.
    Trip { at: Timestamp, until: Timestamp, reset: Option<Timestamp> },
    /// The circuit was closed by hand.
    Reset { at: Timestamp },
    /// The circuit exists.
    Register,
}

/// A record to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) record: Record,
    /// Whether the other processes have to know at once.
    pub(crate) announce: bool,
}

impl Update {
    /// Whether there is nothing in it but outcomes of a closed circuit.
    pub(crate) fn is_run(&self) -> bool {
        self.decision.is_none() && self.outcomes.is_empty() && self.ask.is_none()
    }

    /// Whether there is nothing in it but that leave is asked for.
    pub(crate) fn is_ask(&self) -> bool {
        let asks = self.ask.is_some() && self.run.is_empty();
        asks && self.decision.is_none() && self.outcomes.is_empty()
    }

    /// The record after it, or `None` if it changes nothing: because it is in the record already, or because
    /// what it tells of is over.
    pub(crate) fn apply(&self, current: Option<&Record>, now: Timestamp) -> Option<Applied> {
        let mut record = current.cloned().unwrap_or_else(|| Record::new(self.own.clone()));
        if record.ring.has(self.id) {
            return None;
        }
        let circuit = &mut record.circuit;
        let lease = circuit.settings().probe_lease;
        circuit.set_settings(*self.own.settings());
        let before = circuit.clone();
        if self.ask.is_some() {
            // Who asks has waited for the time to pass.
            circuit.restart(now, lease);
        }
        for &(id, outcome) in &self.outcomes {
            // A probe whose place was given to another has nothing to say any more.
            if circuit.holds(id) {
                let ticket = Ticket { generation: circuit.generation(), probe: Some(id) };
                circuit.settle(ticket, outcome, || now);
            }
        }
        // What this process would write down is of the generation that it counted in.
        let known = current.is_none() || circuit.generation() == self.generation;
        let counted = self.decide(circuit, known, now);
        if let Some(id) = self.ask.filter(|&id| !circuit.holds(id)) {
            let _ = circuit.acquire_as(now, Some(id));
        }
        if current.is_some() && *circuit == before && !counted {
            return None;
        }
        let announce = match (before.view(), circuit.view()) {
            (before @ View::Closed { .. }, after @ View::Closed { .. }) => before != after,
            _ => true,
        };
        record.ring.push(self.id);
        Some(Applied { record, announce })
    }

    /// Applies the decision and the run, and returns whether failures were counted.
    fn decide(&self, circuit: &mut Circuit, known: bool, now: Timestamp) -> bool {
        match self.decision {
            Some(Decision::Trip { at, until, reset }) => {
                let reset = reset.filter(|&reset| known || reset > circuit.since());
                if reset.is_some() {
                    circuit.follow(Phase::Closed { failures: 0 }, now, Cause::Reset);
                }
                // Who closed it in the meantime knew better. So does the time: the failures that led to it
                // are as old.
                if now < until && (known || reset.is_some() || at > circuit.since()) {
                    circuit.trip(at, until);
                }
                return false;
            }
            Some(Decision::Reset { at }) => {
                if !known && at <= circuit.since() {
                    return false;
                }
                // Also what is closed is closed anew: trips that were found before do not count any more.
                circuit.follow(Phase::Closed { failures: 0 }, now, Cause::Reset);
                // What was counted came after it.
                circuit.count(self.run, now);
                return self.run.total > 0;
            }
            Some(Decision::Register) | None => {}
        }
        if known && matches!(circuit.phase(), Phase::Closed { .. }) {
            circuit.count(self.run, now);
            return self.run.total > 0;
        }
        false
    }
}
