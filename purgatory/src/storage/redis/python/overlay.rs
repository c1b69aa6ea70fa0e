//! What one process knows of a circuit beyond what both keys say.

use super::fields::{Fields, Word};
use super::reading::{Raw, Reading};
use crate::circuit::{Circuit, Phase, Probes};
use crate::clock::Timestamp;
use crate::config::{Config, Settings};
use crate::record::{Record, Ring};
use crate::storage::Versioned;

/// What one process knows of a circuit: the values of both keys as they were seen last, and what Redis has no
/// place for.
///
/// That is the version, which every change gives a new one; the generation; the probes that are out, and how
/// many succeeded; the settings that the package does not have; and who wrote last, of this process.
/// After a restart of the process none of it is known.
#[derive(Debug)]
pub(super) struct Overlay {
    version: u64,
    /// When the values were so, by the server's clock.
    seen: Timestamp,
    raw: Raw,
    reading: Reading,
    /// The record and the circuit as they were last, also if the record is gone.
    last: Option<Fields>,
    circuit: Option<Circuit>,
    ring: Ring,
}

impl Default for Overlay {
    /// Nothing is known: as if there were nothing.
    fn default() -> Self {
        Self {
            version: 0,
            seen: Timestamp::ORIGIN,
            raw: Raw::default(),
            reading: Reading::default(),
            last: None,
            circuit: None,
            ring: Ring::default(),
        }
    }
}

impl Overlay {
    /// The version, also if there is no record; 0 before anything was seen.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// When the values were as they are known here.
    pub(super) fn seen(&self) -> Timestamp {
        self.seen
    }

    /// The values of both keys as they were seen last.
    pub(super) fn raw(&self) -> &Raw {
        &self.raw
    }

    /// What they mean.
    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The record as it was last, also if it is gone.
    pub(super) fn last(&self) -> Option<&Fields> {
        self.last.as_ref()
    }

    /// The generation of the circuit as it was last. That of a circuit that was never seen is the first.
    pub(super) fn generation(&self) -> u64 {
        self.circuit.as_ref().map_or(0, Circuit::generation)
    }

    /// The record in the form that the protocol knows; `None` if the circuit is not registered.
    pub(super) fn record(&self) -> Option<Versioned> {
        self.reading.fields.as_ref()?;
        let record = Record { circuit: self.circuit.clone()?, ring: self.ring.clone() };
        Some(Versioned { version: self.version, bytes: record.encode().into_bytes() })
    }

    /// Takes over values that this process did not write.
    pub(super) fn follow(&mut self, raw: Raw, reading: Reading, now: Timestamp) {
        let same = self.same_state(&reading);
        let circuit = following(self.circuit.as_ref(), same, &reading, now);
        let ring = self.ring.clone();
        self.become_of(raw, reading, circuit, ring, now);
    }

    /// Takes over what this process wrote, and the values that it became.
    pub(super) fn wrote(&mut self, record: Record, raw: Raw, reading: Reading, now: Timestamp) {
        // The threshold and the ttl are those that are stored, and the counter too.
        let circuit = following(Some(&record.circuit), true, &reading, now);
        self.become_of(raw, reading, circuit, record.ring, now);
    }

    fn become_of(
        &mut self,
        raw: Raw,
        reading: Reading,
        circuit: Option<Circuit>,
        ring: Ring,
        now: Timestamp,
    ) {
        // Who is not registered has been something, and will be again.
        let circuit = circuit.or_else(|| self.circuit.clone());
        let changed = raw != self.raw || circuit != self.circuit || ring != self.ring;
        if changed || self.version == 0 {
            self.version = now.since_origin().as_micros().max(u128::from(self.version) + 1) as u64;
        }
        if let Some(fields) = &reading.fields {
            self.last = Some(fields.clone());
        }
        (self.seen, self.raw, self.reading) = (now, raw, reading);
        (self.circuit, self.ring) = (circuit, ring);
    }

    /// Whether the record tells of the same state as before: of the same opening, if it is opened.
    fn same_state(&self, reading: &Reading) -> bool {
        let state = |reading: &Reading| reading.fields.as_ref().map(|fields| fields.state);
        state(&self.reading) == state(reading)
    }
}

/// The circuit that the values tell of, after `before`: what it had is kept as long as nothing says that it
/// is over. If the record tells of the `same` state as before, it is the same generation.
fn following(
    before: Option<&Circuit>,
    same: bool,
    reading: &Reading,
    now: Timestamp,
) -> Option<Circuit> {
    let fields = reading.fields.as_ref()?;
    let settings = settings(before, fields);
    let failures = reading.failures();
    let (generation, since, phase) =
        match (fields.state, before.map(|before| (before, before.phase()))) {
            // Closed all the time, for all that is known.
            (Word::Closed, Some((before, Phase::Closed { .. }))) => {
                (before.generation(), before.since(), Phase::Closed { failures })
            }
            (Word::Closed, _) => (next(before, 0), now, Phase::Closed { failures }),
            // A probe of this process is out or has succeeded, of which the record says nothing. When another
            // process has a result of its own it writes `half-opened` at first, and that changes nothing here.
            (Word::Opened(Some(_)), Some((before, phase @ Phase::HalfOpen(_)))) if same => {
                (before.generation(), before.since(), phase.clone())
            }
            (Word::HalfOpened, Some((before, phase @ Phase::HalfOpen(_)))) => {
                (before.generation(), before.since(), phase.clone())
            }
            (Word::Opened(at), before_phase) => {
                // Who does not say when it opened has it open now, at every look: nobody gets to probe it.
                let (at, open) = at.map_or((now, Config::MAX_TTL), |at| (at, settings.ttl));
                let generation = match before_phase {
                    Some((before, Phase::Open { .. })) if same => before.generation(),
                    _ => next(before, 1),
                };
                (generation, at, Phase::Open { until: at.saturating_add(open) })
            }
            (Word::HalfOpened, _) => (next(before, 2), now, Phase::HalfOpen(Probes::default())),
        };
    Some(Circuit::restored(settings, generation, since, phase))
}

/// The generation after that of `before`, or the `first`: as many as it takes to come into that state.
fn next(before: Option<&Circuit>, first: u64) -> u64 {
    before.map_or(first, |before| before.generation() + 1)
}

/// The threshold and the ttl are those of the record, for all processes; the rest is known only here.
fn settings(before: Option<&Circuit>, fields: &Fields) -> Settings {
    let (threshold, ttl) = fields.limits();
    let rest = match before {
        Some(before) => *before.settings(),
        None => Settings { probe_lease: ttl, ..Settings::default() },
    };
    Settings { threshold, ttl, ..rest }
}
