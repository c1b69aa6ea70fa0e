//! What is behind the lock of a circuit.

use crate::circuit::{Circuit, Refusal, Settled, Ticket, View};
use crate::clock::Timestamp;
use crate::event::Change;
use crate::outcome::Outcome;

#[cfg(feature = "storage")]
use super::shared::Shared;
use super::shared::{Stage, Waiting};
#[cfg(feature = "storage")]
use crate::mirror;
#[cfg(feature = "storage")]
use crate::snapshot::SharedSnapshot;

/// The circuit itself, or this process's share in it.
#[derive(Debug)]
pub(super) enum Machine {
    Local(Circuit),
    #[cfg(feature = "storage")]
    Shared(Box<Shared>),
}

/// What a call gets, and what changed.
#[derive(Debug)]
pub(super) enum Acquired {
    Answer(Result<Ticket, Refusal>, Option<Change>),
    /// It has to wait for the storage.
    #[cfg_attr(not(feature = "storage"), expect(dead_code))] // There is none to wait for.
    Wait(Waiting),
}

impl Machine {
    pub(super) fn circuit(&self) -> &Circuit {
        match self {
            Self::Local(circuit) => circuit,
            #[cfg(feature = "storage")]
            Self::Shared(shared) => shared.mirror.circuit(),
        }
    }

    pub(super) fn is_shared(&self) -> bool {
        !matches!(self, Self::Local(_))
    }

    #[cfg(feature = "storage")]
    pub(super) fn shared(&self) -> Option<SharedSnapshot> {
        match self {
            Self::Local(_) => None,
            Self::Shared(shared) => Some(shared.mirror.snapshot()),
        }
    }

    pub(super) fn view(&self) -> View {
        match self {
            Self::Local(circuit) => circuit.view(),
            #[cfg(feature = "storage")]
            Self::Shared(shared) => shared.mirror.view(),
        }
    }

    pub(super) fn acquire(&mut self, now: Timestamp, stage: Stage) -> Acquired {
        match self {
            Self::Local(circuit) => {
                let _ = stage;
                let (answer, change) = circuit.acquire(now);
                Acquired::Answer(answer, change)
            }
            #[cfg(feature = "storage")]
            Self::Shared(shared) => match shared.here(|| now).acquire(now, stage) {
                mirror::Acquired::Answer(answer, change) => Acquired::Answer(answer, change),
                mirror::Acquired::Wait(waiting) => Acquired::Wait(waiting),
            },
        }
    }

    pub(super) fn settle(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: impl Fn() -> Timestamp,
    ) -> Settled {
        match self {
            Self::Local(circuit) => circuit.settle(ticket, outcome, now),
            #[cfg(feature = "storage")]
            Self::Shared(shared) => shared.here(&now).settle(ticket, outcome, now),
        }
    }

    pub(super) fn reset(&mut self, now: Timestamp) -> Option<Change> {
        match self {
            Self::Local(circuit) => circuit.reset(now),
            #[cfg(feature = "storage")]
            Self::Shared(shared) => shared.here(|| now).reset(now),
        }
    }
}
