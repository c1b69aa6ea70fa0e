//! The probes of a half-open circuit.

use std::num::NonZeroU32;

use crate::clock::Timestamp;
use crate::config::Settings;

/// The probes of one half-open generation: those that are out, the last one admitted, and how many
/// have succeeded.
///
/// A probe's place is a lease. Past its end the place may be given to another call; what the probe
/// reports after all still counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Probes {
    out: Vec<Lease>,
    last: Option<ProbeId>,
    succeeded: u32,
}

/// Which probe of its generation.
pub(crate) type ProbeId = NonZeroU32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) id: ProbeId,
    pub(crate) end: Timestamp,
}

impl Probes {
    /// A place for a probe, or when the first place falls free by itself.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        id: Option<ProbeId>,
        settings: &Settings,
    ) -> Result<ProbeId, Timestamp> {
        if self.busy_until(settings).is_some() {
            self.out.retain(|lease| now <= lease.end);
        }
        if let Some(until) = self.busy_until(settings) {
            return Err(until);
        }
        // After 2^32 probes an id comes again, long after the one before has reported or is lost.
        let next = || self.last.and_then(|last| last.checked_add(1)).unwrap_or(ProbeId::MIN);
        let id = id.unwrap_or_else(next);
        self.last = Some(id);
        self.out.push(Lease { id, end: now.saturating_add(settings.probe_lease) });
        Ok(id)
    }

    /// Frees the place of a probe, if it still has one.
    pub(super) fn give_back(&mut self, id: ProbeId) {
        self.out.retain(|lease| lease.id != id);
    }

    /// Counts a success, and returns whether there were enough of them to close.
    pub(super) fn succeeded(&mut self, settings: &Settings) -> bool {
        self.succeeded = self.succeeded.saturating_add(1);
        self.succeeded >= settings.success_threshold
    }

    /// If no place is left, when the first falls free by itself.
    pub(super) fn busy_until(&self, settings: &Settings) -> Option<Timestamp> {
        let busy = self.out.len() >= settings.half_open_probes as usize;
        busy.then(|| self.out.iter().map(|lease| lease.end).min()).flatten()
    }
}

#[cfg(feature = "storage")]
impl Probes {
    /// The probes as they were written down.
    pub(crate) fn restored(out: Vec<Lease>, succeeded: u32) -> Self {
        let last = out.last().map(|lease| lease.id);
        Self { out, last, succeeded }
    }

    /// The places that are taken.
    pub(crate) fn out(&self) -> &[Lease] {
        &self.out
    }

    /// The same probes by another clock.
    pub(crate) fn moved(&self, to: impl Fn(&Lease) -> Timestamp) -> Self {
        let out = self.out.iter().map(|lease| Lease { end: to(lease), ..*lease });
        Self { out: out.collect(), ..*self }
    }

    /// How many probes have succeeded.
    pub(crate) fn successes(&self) -> u32 {
        self.succeeded
    }

    pub(super) fn holds(&self, id: ProbeId) -> bool {
        self.out.iter().any(|lease| lease.id == id)
    }
}
