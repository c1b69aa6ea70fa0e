//! What runs have met: a promise about what never happens is kept too easily.

use std::sync::atomic::{AtomicU32, Ordering};

/// Something that a run may meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sight {
    /// A process tripped by its own failures.
    Tripped,
    /// A process heard of a trip.
    Told,
    /// A trip of a process gave way to what is newer.
    Overruled,
    /// A probe with leave of the storage.
    Probed,
    /// A probe of a process that was alone.
    ProbedAlone,
    ProbeFailed,
    Recovered,
    Reset,
    /// A call of an earlier generation.
    Late,
    StorageDown,
    /// Failures arrived after the storage was away.
    Merged,
    Discarded,
    /// A circuit was cut off.
    Refused,
    RecordNewer,
    RecordGarbled,
    PushLost,
    /// A write that nobody waited for any more.
    WrittenLate,
    ClockSet,
    Restarted,
    /// Every failure was found in the record.
    Counted,
}

pub(crate) const SIGHTS: [Sight; 20] = [
    Sight::Tripped,
    Sight::Told,
    Sight::Overruled,
    Sight::Probed,
    Sight::ProbedAlone,
    Sight::ProbeFailed,
    Sight::Recovered,
    Sight::Reset,
    Sight::Late,
    Sight::StorageDown,
    Sight::Merged,
    Sight::Discarded,
    Sight::Refused,
    Sight::RecordNewer,
    Sight::RecordGarbled,
    Sight::PushLost,
    Sight::WrittenLate,
    Sight::ClockSet,
    Sight::Restarted,
    Sight::Counted,
];

/// Which of them a run has met.
#[derive(Debug, Default)]
pub(crate) struct Sights(AtomicU32);

impl Sights {
    pub(crate) fn see(&self, sight: Sight) {
        self.0.fetch_or(1 << sight as u8, Ordering::Relaxed);
    }

    pub(crate) fn seen(&self) -> Vec<Sight> {
        let seen = self.0.load(Ordering::Relaxed);
        SIGHTS.into_iter().filter(|&sight| seen & 1 << sight as u8 != 0).collect()
    }
}
