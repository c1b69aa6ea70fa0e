//! Those who wait until everything has arrived.

use std::mem;
use std::sync::Arc;

use tokio::time::Instant;

use super::Driver;
use super::timers::{Due, Timer};
use crate::link::Flush;
use crate::locked::LockedCircuit;

/// Somebody who waits until what was counted before has arrived.
pub(super) struct Flushing {
    until: Due,
    owed: Vec<(Arc<LockedCircuit>, u64)>,
    flush: Flush,
}

impl Driver {
    /// From here on nothing is held back, until they have what they wait for.
    pub(super) fn take_flushes(&mut self) {
        let flushes = self.link.take_flushes();
        if !flushes.is_empty() {
            let owed = |circuit: Arc<LockedCircuit>| circuit.owed().map(|owed| (circuit, owed));
            let owed: Vec<_> = self.link.all().into_iter().filter_map(owed).collect();
            for (timeout, flush) in flushes {
                let until = self.timers.after(timeout, Timer::Flush);
                self.flushes.push(Flushing { until, owed: owed.clone(), flush });
            }
            self.pump_all();
        }
    }

    /// Tells those who wait for it that everything has arrived.
    pub(super) fn end_flushes(&mut self) {
        let stranded = || self.link.all().iter().any(|circuit| circuit.is_stranded());
        for mut flushing in mem::take(&mut self.flushes) {
            flushing.owed.retain(|(circuit, owed)| !circuit.has_arrived(*owed));
            let waits = Instant::now() < flushing.until.0 && !flushing.flush.is_given_up();
            if waits && !flushing.owed.is_empty() {
                self.flushes.push(flushing);
                continue;
            }
            self.timers.cancel(flushing.until);
            if flushing.owed.is_empty() && !stranded() {
                flushing.flush.done();
            }
        }
    }
}
