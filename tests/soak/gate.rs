//! Work, and pauses.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What everybody does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pause,
    /// Anything, as the storage is not well either.
    Faults,
    /// Nothing that takes a place for longer than its call.
    Clean,
    End,
}

/// Through which everybody goes before each call.
pub(crate) struct Gate {
    phase: AtomicU8,
    /// How many are on the other side.
    inside: AtomicUsize,
}

/// Often enough for those who wait for somebody, and rare enough for those they wait for.
pub(crate) const LOOK: Duration = Duration::from_millis(2);

impl Gate {
    pub(crate) fn new() -> Self {
        Self { phase: AtomicU8::new(Phase::Pause as u8), inside: AtomicUsize::new(0) }
    }

    pub(crate) fn phase(&self) -> Phase {
        let phases = [Phase::Pause, Phase::Faults, Phase::Clean, Phase::End];
        phases[usize::from(self.phase.load(Ordering::SeqCst))]
    }

    pub(crate) fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::SeqCst);
    }

    /// Goes in, if it is not closed.
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        let inside = Inside(self);
        match self.phase() {
            Phase::Faults | Phase::Clean => Some(inside),
            Phase::Pause | Phase::End => None,
        }
    }

    /// Closes it, and says whether all came out in time.
    pub(crate) fn pause(&self, patience: Duration) -> bool {
        self.set(Phase::Pause);
        let began = Instant::now();
        while self.inside.load(Ordering::SeqCst) > 0 {
            if began.elapsed() > patience {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }
}

/// Somebody who works.
pub(crate) struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
    }
}
