//! What is behind the circuits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::dice::Dice;

/// Works, works at times, or is dead, for each circuit by itself and a while at a time.
pub(crate) struct Service {
    seed: u64,
    began: Instant,
    well: AtomicBool,
}

/// So that in a round of some seconds everything happens to every circuit.
const PHASE: Duration = Duration::from_secs(1);

impl Service {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, began: Instant::now(), well: AtomicBool::new(false) }
    }

    /// From now on everything works, or not.
    pub(crate) fn well(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    /// Whether a call works now.
    pub(crate) fn works(&self, circuit: usize, dice: &mut Dice) -> bool {
        if self.well.load(Ordering::SeqCst) {
            return true;
        }
        let phase = (self.began.elapsed().as_nanos() / PHASE.as_nanos()) as u64;
        let fails = match Dice::new(self.seed ^ phase << 16 ^ circuit as u64).below(10) {
            0..4 => 1,
            4..7 => 40,
            _ => 100,
        };
        !dice.percent(fails)
    }
}
