//! What callers read instead of the circuit.

#[cfg(test)]
mod tests;

use std::num::NonZeroU64;

use crate::circuit::{Refusal, View};
use crate::clock::Timestamp;
use crate::error::Reason;
use crate::sync::{AtomicU64, Ordering};

/// The view of a circuit in one atomic word, written only by whoever holds the circuit's lock.
///
/// The two low bits say which view it is, the others hold its generation or its time:
///
/// | low bits | the other 62 bits |
/// | --- | --- |
/// | 0: closed, no failure outstanding | generation |
/// | 1: closed, failures outstanding | generation |
/// | 2: open | refused until + 1 |
/// | 3: half-open | refused until + 1, or 0: a place is left |
///
/// There are 2^62 generations: at one change of state a nanosecond, enough for 146 years (I7).
///
/// One word cannot be read torn. What a caller does because the circuit is closed is to read the word
/// again, so those reads are relaxed. What it does because the circuit refuses is to see whether
/// anybody listens: [`view`](Self::view) is ordered after what came before
/// [`publish`](Self::publish), or a listener that was told of the trip could miss a rejection.
#[derive(Debug)]
pub(crate) struct Word(AtomicU64);

const CLEAN: u64 = 0;
const FAILING: u64 = 1;
const OPEN: u64 = 2;
const HALF_OPEN: u64 = 3;

impl Word {
    pub(crate) fn new(view: View) -> Self {
        Self(AtomicU64::new(encode(view)))
    }

    /// Call this under the lock of the circuit.
    pub(crate) fn publish(&self, view: View) {
        self.0.store(encode(view), Ordering::Release);
    }

    pub(crate) fn view(&self) -> View {
        decode(self.0.load(Ordering::Acquire))
    }

    /// The generation, if the circuit is closed.
    #[inline(always)]
    pub(crate) fn closed(&self) -> Option<u64> {
        let word = self.0.load(Ordering::Relaxed);
        (word & OPEN == 0).then_some(word >> 2)
    }

    /// Whether the circuit is closed, in that generation, with no failure outstanding.
    #[inline(always)]
    pub(crate) fn is_clean(&self, generation: u64) -> bool {
        self.0.load(Ordering::Relaxed) == generation << 2 | CLEAN
    }
}

fn encode(view: View) -> u64 {
    match view {
        View::Closed { generation, clean: true } => generation << 2 | CLEAN,
        View::Closed { generation, clean: false } => generation << 2 | FAILING,
        View::Refusing(Refusal { reason, until }) => {
            let low = match reason {
                Reason::Open => OPEN,
                Reason::ProbesBusy => HALF_OPEN,
            };
            (until.nanos() + 1) << 2 | low
        }
        View::Probing => HALF_OPEN,
    }
}

fn decode(word: u64) -> View {
    let refusing = |reason| match NonZeroU64::new(word >> 2) {
        None => View::Probing,
        Some(until) => {
            let until = Timestamp::from_nanos(until.get() - 1);
            View::Refusing(Refusal { reason, until })
        }
    };
    match word & 3 {
        OPEN => refusing(Reason::Open),
        HALF_OPEN => refusing(Reason::ProbesBusy),
        low => View::Closed { generation: word >> 2, clean: low == CLEAN },
    }
}
