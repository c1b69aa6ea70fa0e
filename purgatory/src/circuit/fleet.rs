//! What a circuit needs to be shared: outcomes in bulk, evidence that others found, and to be written
//! down.

use std::time::Duration;

use super::{Circuit, Phase, ProbeId, Run};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::event::{Cause, Change};

impl Circuit {
    /// A circuit as it was written down.
    pub(crate) fn restored(
        settings: Settings,
        generation: u64,
        since: Timestamp,
        phase: Phase,
    ) -> Self {
        Self { settings, generation, since, phase }
    }

    /// Takes the outcomes of several calls that this generation admitted while it was closed.
    pub(crate) fn count(&mut self, run: Run, now: Timestamp) -> Option<Change> {
        let Phase::Closed { failures } = &mut self.phase else { return None };
        let threshold = self.settings.threshold;
        let peak = failures.saturating_add(run.head);
        if run.head > 0 && peak >= threshold {
            return Some(self.open(Cause::Tripped { failures: peak, threshold }, now));
        }
        *failures = run.after(*failures);
        None
    }

    /// Opens a closed circuit on evidence that somebody else found.
    pub(crate) fn trip(&mut self, at: Timestamp, until: Timestamp) -> Option<Change> {
        let Phase::Closed { .. } = self.phase else { return None };
        Some(self.enter(Phase::Open { until }, Cause::Shared, at))
    }

    /// Begins anew what ends later than it can: the clock was set back since it began. Probes may have had
    /// leases as long as that.
    pub(crate) fn restart(&mut self, now: Timestamp, lease: Duration) {
        match &mut self.phase {
            Phase::Open { until } if now < self.since => {
                let until = now.saturating_add(until.since(self.since));
                self.enter(Phase::Open { until }, Cause::Shared, now);
            }
            Phase::HalfOpen(probes) => {
                // Twice as long: clocks do not agree to the microsecond.
                let (end, longest) = (now.saturating_add(lease), now.saturating_add(lease * 2));
                *probes = probes.moved(|lease| if lease.end > longest { end } else { lease.end });
            }
            Phase::Closed { .. } | Phase::Open { .. } => {}
        }
    }

    /// Takes over what the circuit has become elsewhere. A change from a state to itself is none, but
    /// what was admitted before it is late.
    pub(crate) fn follow(
        &mut self,
        phase: Phase,
        since: Timestamp,
        cause: Cause,
    ) -> Option<Change> {
        let change = self.enter(phase, cause, since);
        (change.to != change.from).then_some(change)
    }

    /// Takes over what is known of the same generation elsewhere.
    pub(crate) fn correct(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Whether that probe has its place still.
    pub(crate) fn holds(&self, id: ProbeId) -> bool {
        matches!(&self.phase, Phase::HalfOpen(probes) if probes.holds(id))
    }

    pub(crate) fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    pub(crate) fn phase(&self) -> &Phase {
        &self.phase
    }
}
