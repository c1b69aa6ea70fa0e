//! Who is told everything by one instance, and counts it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use purgatory::{Event, Listener, Name, Outcome, State};

use crate::chain::Chains;
use crate::journal::Journal;

/// Who is told everything by one instance, and counts it.
pub(crate) struct Recorder {
    instance: usize,
    journal: Arc<Journal>,
    told: Mutex<Told>,
    changes: AtomicU64,
    trips: AtomicU64,
    downs: AtomicU64,
    ups: AtomicU64,
}

#[derive(Default)]
struct Told {
    chains: Chains,
    counts: HashMap<Name, Counts>,
}

/// What was told of a circuit, under whatever registrations of its name.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) failed: u64,
    pub(crate) rejected: u64,
    pub(crate) late: u64,
    /// Late failures of calls that were no probes.
    pub(crate) late_failures: u64,
    /// Late failures of which it is not known.
    pub(crate) unplaced: u64,
}

impl Recorder {
    pub(crate) fn new(instance: usize, journal: Arc<Journal>) -> Self {
        let zero = AtomicU64::default;
        let told = Mutex::default();
        let (changes, trips, downs, ups) = (zero(), zero(), zero(), zero());
        Self { instance, journal, told, changes, trips, downs, ups }
    }

    pub(crate) fn counts(&self, circuit: &str) -> Counts {
        self.told.lock().unwrap().counts.get(circuit).copied().unwrap_or_default()
    }

    /// What the circuit is as far as listeners know, and since which generation at the latest.
    pub(crate) fn last(&self, circuit: &str) -> Option<(u64, State)> {
        self.told.lock().unwrap().chains.last(circuit)
    }

    /// A circuit that will not come again.
    pub(crate) fn forget(&self, circuit: &str) {
        let mut told = self.told.lock().unwrap();
        told.chains.forget(circuit);
        told.counts.remove(circuit);
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    pub(crate) fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    /// How often the storage went down.
    pub(crate) fn downs(&self) -> u64 {
        self.downs.load(Ordering::Relaxed)
    }

    /// How often it came back.
    pub(crate) fn ups(&self) -> u64 {
        self.ups.load(Ordering::Relaxed)
    }
}

impl Listener for Recorder {
    fn on_event(&self, event: &Event) {
        self.journal.event(self.instance, event);
        let add = |count: &AtomicU64| {
            count.fetch_add(1, Ordering::Relaxed);
        };
        let mut told = self.told.lock().unwrap();
        let Told { chains, counts } = &mut *told;
        if let Err(wrong) = chains.take(event) {
            self.journal.complain(format!("{} of {}: {wrong}", event.circuit(), self.instance));
        }
        match event {
            Event::Failed { circuit, .. } => {
                counts.entry(circuit.clone()).or_default().failed += 1;
            }
            Event::Rejected { circuit, .. } => {
                counts.entry(circuit.clone()).or_default().rejected += 1;
            }
            Event::Late { circuit, outcome, generation, .. } => {
                let counts = counts.entry(circuit.clone()).or_default();
                counts.late += 1;
                match chains.state_at(circuit, *generation) {
                    _ if *outcome != Outcome::Failure => {}
                    Some(State::Closed) => counts.late_failures += 1,
                    Some(State::Open | State::HalfOpen) => {}
                    None => counts.unplaced += 1,
                }
            }
            Event::StateChanged { change, .. } => {
                add(&self.changes);
                if change.to == State::Open {
                    add(&self.trips);
                }
            }
            Event::StorageDown { .. } => add(&self.downs),
            Event::StorageUp { .. } => add(&self.ups),
            _ => {}
        }
    }
}
