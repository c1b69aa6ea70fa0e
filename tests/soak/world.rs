//! What everybody has to do with.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use purgatory_tests::servers::Server;

use crate::circuits::Popularity;
use crate::dice::Dice;
use crate::gate::{Gate, Phase};
use crate::instance::Instance;
use crate::journal::Journal;
use crate::latency::Latency;
use crate::service::Service;

/// How many instances share the circuits.
const INSTANCES: usize = 3;

/// What everybody has to do with.
pub(crate) struct World {
    // Before the server: they take their leave of it.
    pub(crate) instances: Vec<Arc<Instance>>,
    pub(crate) server: Server,
    pub(crate) gate: Gate,
    pub(crate) service: Service,
    pub(crate) journal: Arc<Journal>,
    pub(crate) popularity: Popularity,
    pub(crate) operations: AtomicU64,
    /// Whether the server has lost something in this round.
    pub(crate) lossy: AtomicBool,
    latencies: [Latency; 2],
    task_latencies: [Latency; 2],
}

impl World {
    pub(crate) fn new(server: Server, seed: u64, dice: &mut Dice) -> Arc<Self> {
        let journal = Arc::new(Journal::new(seed));
        let instance = |number| Instance::new(number, &server, &journal, dice.fork());
        let instances: Vec<_> = (0..INSTANCES).map(instance).collect();
        let world = Arc::new(Self {
            instances,
            server,
            gate: Gate::new(),
            service: Service::new(seed),
            journal,
            popularity: Popularity::new(),
            operations: AtomicU64::new(0),
            lossy: AtomicBool::new(false),
            latencies: [Latency::new(), Latency::new()],
            task_latencies: [Latency::new(), Latency::new()],
        });
        for instance in &world.instances {
            instance.meddler.learn(&world);
        }
        world
    }

    /// How long calls were in the breaker while there were faults, or none.
    pub(crate) fn latency(&self, faults: bool) -> &Latency {
        &self.latencies[usize::from(faults)]
    }

    pub(crate) fn latency_now(&self) -> &Latency {
        self.latency(self.gate.phase() == Phase::Faults)
    }

    /// The same of calls in tasks, with the time until the task had its turn again. Reported, not judged: that
    /// is for the runtime to say.
    pub(crate) fn task_latency(&self, faults: bool) -> &Latency {
        &self.task_latencies[usize::from(faults)]
    }

    pub(crate) fn task_latency_now(&self) -> &Latency {
        self.task_latency(self.gate.phase() == Phase::Faults)
    }

    /// Of all instances.
    pub(crate) fn sum(&self, count: impl Fn(&Instance) -> u64) -> u64 {
        self.instances.iter().map(|instance| count(instance)).sum()
    }

    pub(crate) fn downs(&self) -> u64 {
        self.sum(|instance| instance.recorder.downs())
    }

    pub(crate) fn did(&self, operations: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
    }
}
