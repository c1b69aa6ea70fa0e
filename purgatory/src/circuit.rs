//! The state machine: no clock, no lock, no I/O, no name.
//!
//! Time comes in as an argument, and what happened goes out as a value.

#[cfg(feature = "storage")]
mod fleet;
mod probes;
#[cfg(feature = "storage")]
mod run;
#[cfg(test)]
mod tests;

use crate::clock::Timestamp;
use crate::config::Settings;
use crate::error::Reason;
use crate::event::{Cause, Change};
use crate::outcome::Outcome;
use crate::state::State;

pub(crate) use self::probes::ProbeId;
#[cfg(not(feature = "storage"))]
use self::probes::Probes;
#[cfg(feature = "storage")]
pub(crate) use self::probes::{Lease, Probes};
#[cfg(feature = "storage")]
pub(crate) use self::run::Run;

/// One circuit.
///
/// | state \ input | acquire | success | failure | ignored |
/// | --- | --- | --- | --- | --- |
/// | closed, n failures | permit | n := 0; *recovered* if n was > 0 | n + 1; *failed*; open if n + 1 >= threshold | - |
/// | open, ttl not passed | rejected | late | late | late |
/// | open, ttl passed | half-open, permit (a probe) | late | late | late |
/// | half-open, place left | permit (a probe) | *recovered*, closed, once enough probes succeeded | open | place given back |
/// | half-open, no place | rejected | as above | as above | as above |
///
/// Every change of state starts a new generation, and so does a reset. An outcome whose ticket is of
/// another generation is *late*, and changes nothing.
///
/// The inputs are [`acquire`](Self::acquire), [`settle`](Self::settle) and [`reset`](Self::reset);
/// everything else only looks. How failures become a trip is known to nobody else.
///
/// The same machine is what the processes of a fleet share, in the time of their storage: then
/// outcomes come as a [`Run`], evidence with the time at which it was found, and what the others did
/// is [followed](Self::follow).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Circuit {
    settings: Settings,
    generation: u64,
    since: Timestamp,
    phase: Phase,
}

/// A state, with what is known only in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Closed { failures: u32 },
    Open { until: Timestamp },
    HalfOpen(Probes),
}

/// What an admitted call holds until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) generation: u64,
    pub(crate) probe: Option<ProbeId>,
}

/// Leave refused, at least until that time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) until: Timestamp,
}

/// What a caller can know without the circuit itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// Every call is admitted; if `clean`, a success changes nothing.
    Closed { generation: u64, clean: bool },
    /// Every call is rejected until then.
    Refusing(Refusal),
    /// Half-open, with a place left.
    Probing,
}

/// What an outcome did: the effect came before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Settled {
    pub(crate) effect: Option<Effect>,
    pub(crate) change: Option<Change>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Failed(u32),
    Recovered,
    Late,
}

impl Circuit {
    /// A closed circuit.
    pub(crate) fn new(settings: Settings, now: Timestamp) -> Self {
        Self { settings, generation: 0, since: now, phase: Phase::Closed { failures: 0 } }
    }

    /// Asks for leave to make one call.
    pub(crate) fn acquire(&mut self, now: Timestamp) -> (Result<Ticket, Refusal>, Option<Change>) {
        self.acquire_as(now, None)
    }

    /// As [`acquire`](Self::acquire). If the call becomes a probe, this is its id; else it is the next one.
    pub(crate) fn acquire_as(
        &mut self,
        now: Timestamp,
        id: Option<ProbeId>,
    ) -> (Result<Ticket, Refusal>, Option<Change>) {
        let change = match self.phase {
            Phase::Open { until } if now > until => {
                Some(self.enter(Phase::HalfOpen(Probes::default()), Cause::TtlPassed, now))
            }
            Phase::Closed { .. } | Phase::Open { .. } | Phase::HalfOpen(_) => None,
        };
        let generation = self.generation;
        let answer = match &mut self.phase {
            Phase::Closed { .. } => Ok(Ticket { generation, probe: None }),
            Phase::Open { until } => Err(Refusal { reason: Reason::Open, until: *until }),
            Phase::HalfOpen(probes) => match probes.admit(now, id, &self.settings) {
                Ok(id) => Ok(Ticket { generation, probe: Some(id) }),
                Err(until) => Err(Refusal { reason: Reason::ProbesBusy, until }),
            },
        };
        (answer, change)
    }

    /// Takes what an admitted call came to. `now` is asked only if the circuit opens or closes.
    pub(crate) fn settle(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: impl FnOnce() -> Timestamp,
    ) -> Settled {
        if ticket.generation != self.generation {
            return Settled { effect: Some(Effect::Late), change: None };
        }
        match &mut self.phase {
            Phase::Closed { failures } => match outcome {
                Outcome::Success => {
                    let recovered = std::mem::take(failures) > 0;
                    Settled { effect: recovered.then_some(Effect::Recovered), change: None }
                }
                Outcome::Failure => {
                    // A record may have as many as there can be.
                    *failures = failures.saturating_add(1);
                    let failures = *failures;
                    let threshold = self.settings.threshold;
                    let tripped = failures >= threshold;
                    let change =
                        tripped.then(|| self.open(Cause::Tripped { failures, threshold }, now()));
                    Settled { effect: Some(Effect::Failed(failures)), change }
                }
                Outcome::Ignored => Settled::default(),
            },
            // No ticket is of the generation of an open circuit.
            Phase::Open { .. } => Settled::default(),
            Phase::HalfOpen(probes) => {
                if let Some(id) = ticket.probe {
                    probes.give_back(id);
                }
                match outcome {
                    Outcome::Success if probes.succeeded(&self.settings) => {
                        let closed = Phase::Closed { failures: 0 };
                        let change = self.enter(closed, Cause::ProbesSucceeded, now());
                        Settled { effect: Some(Effect::Recovered), change: Some(change) }
                    }
                    Outcome::Failure => {
                        Settled { effect: None, change: Some(self.open(Cause::ProbeFailed, now())) }
                    }
                    Outcome::Success | Outcome::Ignored => Settled::default(),
                }
            }
        }
    }

    /// Closes the circuit and forgets its failures. Every outcome that is still to come is late.
    pub(crate) fn reset(&mut self, now: Timestamp) -> Option<Change> {
        if let Phase::Closed { failures } = &mut self.phase {
            *failures = 0;
            self.generation += 1;
            return None;
        }
        Some(self.enter(Phase::Closed { failures: 0 }, Cause::Reset, now))
    }

    fn open(&mut self, cause: Cause, now: Timestamp) -> Change {
        let until = now.saturating_add(self.settings.ttl);
        self.enter(Phase::Open { until }, cause, now)
    }

    fn enter(&mut self, phase: Phase, cause: Cause, now: Timestamp) -> Change {
        let from = self.state();
        self.phase = phase;
        self.generation += 1;
        self.since = now;
        Change {
            from,
            to: self.state(),
            generation: self.generation,
            opened_at: self.opened_at(),
            cause,
        }
    }

    pub(crate) fn view(&self) -> View {
        match &self.phase {
            Phase::Closed { failures } => {
                View::Closed { generation: self.generation, clean: *failures == 0 }
            }
            Phase::Open { until } => {
                View::Refusing(Refusal { reason: Reason::Open, until: *until })
            }
            Phase::HalfOpen(probes) => match probes.busy_until(&self.settings) {
                Some(until) => View::Refusing(Refusal { reason: Reason::ProbesBusy, until }),
                None => View::Probing,
            },
        }
    }

    pub(crate) fn state(&self) -> State {
        self.view().state()
    }

    /// Failures in a row, while closed.
    pub(crate) fn failures(&self) -> u32 {
        match self.phase {
            Phase::Closed { failures } => failures,
            Phase::Open { .. } | Phase::HalfOpen(_) => 0,
        }
    }

    /// When the circuit opened, while it is open.
    pub(crate) fn opened_at(&self) -> Option<Timestamp> {
        matches!(self.phase, Phase::Open { .. }).then_some(self.since)
    }

    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl View {
    pub(crate) fn state(self) -> State {
        match self {
            Self::Closed { .. } => State::Closed,
            Self::Refusing(refusal) => refusal.reason.state(),
            Self::Probing => State::HalfOpen,
        }
    }
}
