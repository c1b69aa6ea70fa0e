//! A thread that makes calls.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use purgatory::{Error, Permit};

use crate::circuits::{is_local, is_transient, takes_closures};
use crate::dice::Dice;
use crate::gate::Phase;
use crate::instance::{Ending, Failed, Instance};
use crate::world::World;

/// A thread that makes calls.
struct Worker {
    world: Arc<World>,
    dice: Dice,
    /// Calls that are not over, with their instances and circuits.
    held: Vec<(Arc<Instance>, usize, Permit)>,
}

/// So many operations, then others get a turn.
const TURN: u64 = 64;

pub(crate) fn start(world: &Arc<World>, dice: Dice) -> JoinHandle<()> {
    let mut worker = Worker { world: Arc::clone(world), dice, held: Vec::new() };
    let world = Arc::clone(world);
    thread::spawn(move || world.journal.hear("a worker", || worker.run()))
}

impl Worker {
    fn run(&mut self) {
        let world = Arc::clone(&self.world);
        while world.gate.phase() != Phase::End {
            if let Some(_inside) = world.gate.enter() {
                let mut did = 0;
                while did < TURN && world.gate.phase() != Phase::Pause {
                    self.act();
                    did += 1;
                }
                while !self.held.is_empty() {
                    self.release();
                }
                world.did(did);
            }
            // Leaves the processors to the server, the lines and the drivers: it is no test of who starves.
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn act(&mut self) {
        let world = Arc::clone(&self.world);
        let instance = &world.instances[self.dice.below(world.instances.len() as u64) as usize];
        if let Some(circuit) = instance.staller.keeps() {
            return self.storm(instance, circuit);
        }
        let circuit = world.popularity.draw(&mut self.dice);
        match self.dice.below(1000) {
            0..500 => self.call(instance, circuit),
            500..700 if takes_closures(circuit) => self.guarded(instance, circuit),
            700..850 => {
                if self.held.len() < 8 {
                    let permit = instance.acquire(circuit, world.latency_now());
                    self.held.extend(permit.map(|permit| (Arc::clone(instance), circuit, permit)));
                } else {
                    self.release();
                }
            }
            850..900 => instance.enter_failure(),
            900..910 => instance.breaker(circuit).reset(),
            910..950 => instance.look(circuit, &mut self.dice),
            950..960 => {
                // For as long as a call of a server that is in a hurry.
                let _ = instance.factory.flush(Duration::from_millis(self.dice.below(3)));
            }
            960..970 if is_transient(circuit) => {
                // It may be held, or not be there.
                let _ = instance.factory.remove(instance.name(circuit));
            }
            _ => self.call(instance, circuit),
        }
    }

    /// What a call comes to that asked for its permit.
    fn ending(&mut self, circuit: usize) -> Ending {
        let forgets = self.world.gate.phase() == Phase::Faults && !is_local(circuit);
        match self.dice.below(100) {
            0..4 => Ending::Dropped,
            4..7 => Ending::Ignored,
            7..9 => Ending::Panic,
            9 if forgets && self.dice.percent(10) => Ending::Forgotten,
            _ if self.world.service.works(circuit, &mut self.dice) => Ending::Success,
            _ => Ending::Failure,
        }
    }

    fn call(&mut self, instance: &Instance, circuit: usize) {
        if let Some(permit) = instance.acquire(circuit, self.world.latency_now()) {
            let ending = self.ending(circuit);
            instance.end(circuit, permit, ending);
        }
    }

    /// A call that the breaker makes.
    fn guarded(&mut self, instance: &Instance, circuit: usize) {
        let works = self.world.service.works(circuit, &mut self.dice);
        let panics = self.dice.percent(3);
        let (breaker, latency) = (instance.breaker(circuit), self.world.latency_now());
        let asked = Instant::now();
        let call = || {
            breaker.call(|| {
                latency.took(asked.elapsed());
                if panics {
                    instance.fails(circuit);
                    // Without the hook, whose message would fill the output.
                    resume_unwind(Box::new(()));
                }
                if works { Ok(()) } else { Err(Failed) }
            })
        };
        if let Ok(result) = catch_unwind(AssertUnwindSafe(call)) {
            if matches!(result, Err(Error::Rejected(_))) {
                latency.took(asked.elapsed());
            }
            instance.called(circuit, result);
        }
    }

    /// More calls than there can be events on their way, all of which cause one.
    fn storm(&self, instance: &Instance, circuit: usize) {
        for _ in 0..1500 {
            if let Some(permit) = instance.acquire(circuit, self.world.latency_now()) {
                instance.end(circuit, permit, Ending::Failure);
            }
        }
    }

    /// Ends a call that was held, any of them.
    fn release(&mut self) {
        let place = self.dice.below(self.held.len() as u64) as usize;
        let (instance, circuit, permit) = self.held.swap_remove(place);
        let ending = self.ending(circuit);
        instance.end(circuit, permit, ending);
    }
}
