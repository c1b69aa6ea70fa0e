//! From one clock to another.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::clock::Timestamp;

/// By how much the storage's clock is ahead of the factory's, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Offset(i64);

impl Offset {
    fn between(here: Timestamp, there: Timestamp) -> Self {
        // Timestamps have 62 bits.
        Self(there.nanos() as i64 - here.nanos() as i64)
    }

    pub(crate) fn to_store(self, here: Timestamp) -> Timestamp {
        let nanos = here.nanos() as i64 + self.0;
        Timestamp::from_origin(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
    }

    pub(crate) fn to_local(self, there: Timestamp) -> Timestamp {
        Self(-self.0).to_store(there)
    }
}

/// Finds the offset from answers that carry the time: such an answer was given between its request and its
/// arrival, so the faster it came the better it tells. (Cristian, "Probabilistic clock
/// synchronization", 1989.)
#[derive(Debug, Default)]
pub(crate) struct OffsetClock {
    best: Option<Sample>,
    /// How many samples in a row do not agree with the best.
    strangers: u32,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    offset: Offset,
    round_trip: Duration,
    taken: Timestamp,
}

/// For how long the fastest answer is the best.
const MEMORY: Duration = Duration::from_secs(60);

/// What two clocks may drift apart in that time, and more.
const DRIFT: Duration = Duration::from_millis(20);

/// So many samples in a row that do not agree with the best: the clock was set.
const STEPPED: u32 = 3;

impl OffsetClock {
    pub(crate) fn offset(&self) -> Offset {
        self.best.map(|best| best.offset).unwrap_or_default()
    }

    pub(crate) fn observe(&mut self, asked: Timestamp, answered: Timestamp, there: Timestamp) {
        let round_trip = answered.since(asked);
        let middle = asked.saturating_add(round_trip / 2);
        let sample = Sample { offset: Offset::between(middle, there), round_trip, taken: answered };
        let Some(best) = self.best else {
            self.best = Some(sample);
            return;
        };
        let apart = Duration::from_nanos(sample.offset.0.abs_diff(best.offset.0));
        if apart > (sample.round_trip + best.round_trip) / 2 + DRIFT {
            self.strangers += 1;
            if self.strangers < STEPPED {
                return;
            }
        } else if round_trip > best.round_trip && answered.since(best.taken) < MEMORY {
            self.strangers = 0;
            return;
        }
        self.strangers = 0;
        self.best = Some(sample);
    }
}
