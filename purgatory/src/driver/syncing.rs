//! What is read when the storage is there again.

use std::collections::HashMap;

use tokio::time::Instant;

use super::{Driver, Phase};
use crate::event::Event;
use crate::locked::LockedCircuit;
use crate::name::Name;

/// What is read when the storage is there again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Syncing {
    /// The circuits that are not read yet, and how many failures of each had been discarded before.
    unread: HashMap<Name, u64>,
    /// Failures that were counted before.
    pending: u64,
    /// Those of them that do not matter any more.
    discarded: u64,
}

impl Driver {
    /// Reads every circuit.
    pub(super) fn sync(&mut self) {
        let circuits = self.link.all();
        let pending = circuits.iter().map(|circuit| circuit.pending()).sum();
        let before = circuits.iter().map(|circuit| (circuit.name(), circuit.tally().discarded));
        let unread = before.map(|(name, discarded)| (name.clone(), discarded)).collect();
        self.phase = Phase::Syncing(Syncing { unread, pending, discarded: 0 });
        self.up_since = Instant::now();
        circuits.iter().for_each(|circuit| self.pump(circuit));
        self.synced();
    }

    /// A circuit has been read, which may be gone by now.
    pub(super) fn has_read(&mut self, name: &Name, circuit: Option<&LockedCircuit>) {
        let Phase::Syncing(syncing) = &mut self.phase else { return };
        let Some(before) = syncing.unread.remove(name) else { return };
        let now = circuit.map_or(before, |circuit| circuit.tally().discarded);
        syncing.discarded += now.saturating_sub(before);
        self.synced();
    }

    fn synced(&mut self) {
        let Phase::Syncing(Syncing { unread, pending, discarded }) = &self.phase else { return };
        if !unread.is_empty() {
            return;
        }
        let (discarded, merged) = (*discarded, pending.saturating_sub(*discarded));
        self.phase = Phase::Up;
        self.told_down = false;
        self.tell(Event::StorageUp { down_for: self.down_since.elapsed(), merged, discarded });
    }
}
