//! Listeners that do what listeners should not.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::thread;
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, Event, ListenerId};

use crate::chain::Chains;
use crate::circuits::{is_transient, number};
use crate::dice::Dice;
use crate::gate::Phase;
use crate::instance::Ending;
use crate::journal::Journal;
use crate::world::World;

/// Panics now and then.
#[derive(Default)]
pub(crate) struct Panicker {
    told: AtomicU64,
    thrown: AtomicU64,
}

impl Panicker {
    pub(crate) fn take(&self, _: &Event) {
        if self.told.fetch_add(1, Ordering::Relaxed) % 97 == 96 {
            self.thrown.fetch_add(1, Ordering::Relaxed);
            // Without the hook, whose message would fill the output.
            resume_unwind(Box::new(()));
        }
    }

    pub(crate) fn thrown(&self) -> u64 {
        self.thrown.load(Ordering::Relaxed)
    }
}

/// Takes its time now and then, for one of the circuits with the most calls.
#[derive(Default)]
pub(crate) struct Staller {
    told: AtomicU64,
    /// The circuit that it keeps, counted from one.
    kept: AtomicUsize,
}

/// Long enough for more events than are kept, if somebody causes them.
const STALL: Duration = Duration::from_millis(20);

impl Staller {
    pub(crate) fn take(&self, event: &Event) {
        let popular = number(event.circuit()).filter(|&circuit| circuit < 3);
        let Some(circuit) = popular else { return };
        if self.told.fetch_add(1, Ordering::Relaxed) % 5003 == 5002 {
            self.kept.store(circuit + 1, Ordering::Relaxed);
            thread::sleep(STALL); // What it is for.
            self.kept.store(0, Ordering::Relaxed);
        }
    }

    /// The circuit whose events are not told just now, for the first who asks.
    pub(crate) fn keeps(&self) -> Option<usize> {
        match self.kept.load(Ordering::Relaxed) {
            0 => None,
            _ => self.kept.swap(0, Ordering::Relaxed).checked_sub(1),
        }
    }
}

/// Uses what it is told about.
pub(crate) struct Meddler {
    instance: usize,
    world: OnceLock<Weak<World>>,
    dice: Mutex<Dice>,
    meddled: AtomicU64,
}

thread_local! {
    /// Whether this thread is at it: what it does is not to have it do more.
    static MEDDLING: Cell<bool> = const { Cell::new(false) };
}

impl Meddler {
    pub(crate) fn new(instance: usize, dice: Dice) -> Self {
        let (dice, meddled) = (Mutex::new(dice), AtomicU64::new(0));
        Self { instance, world: OnceLock::new(), dice, meddled }
    }

    pub(crate) fn learn(&self, world: &Arc<World>) {
        // Not the factory itself, which would keep it alive.
        let _ = self.world.set(Arc::downgrade(world));
    }

    /// How often it did something.
    pub(crate) fn meddled(&self) -> u64 {
        self.meddled.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, event: &Event) {
        let Some(circuit) = number(event.circuit()) else { return };
        let mut dice = {
            let mut dice = self.dice.lock().unwrap();
            if dice.below(64) > 0 {
                return;
            }
            dice.fork()
        };
        let Some(world) = self.world.get().and_then(Weak::upgrade) else { return };
        if MEDDLING.replace(true) {
            return;
        }
        self.meddle(&world, circuit, &mut dice);
        MEDDLING.set(false);
    }

    fn meddle(&self, world: &World, circuit: usize, dice: &mut Dice) {
        let Some(_inside) = world.gate.enter() else { return };
        self.meddled.fetch_add(1, Ordering::Relaxed);
        let instance = &world.instances[self.instance];
        // On the driver's thread nothing comes from the storage meanwhile, and it may seem to be down: that is a
        // fault.
        let drives = thread::current().name() == Some("purgatory");
        let waits = !drives || world.gate.phase() == Phase::Faults;
        match dice.below(8) {
            0..3 if waits => {
                if let Some(permit) = instance.acquire(circuit, world.latency_now()) {
                    let ending = dice.pick(&[Ending::Success, Ending::Failure, Ending::Dropped]);
                    instance.end(circuit, permit, ending);
                }
            }
            3 => instance.breaker(circuit).reset(),
            4 if is_transient(circuit) => drop(instance.factory.remove(instance.name(circuit))),
            _ => instance.look(circuit, dice),
        }
    }
}

/// Listeners that come and go.
pub(crate) struct Guests {
    journal: Arc<Journal>,
    there: Mutex<Vec<(ListenerId, Arc<Guest>)>>,
}

struct Guest {
    journal: Arc<Journal>,
    chains: Mutex<Chains>,
    gone: AtomicBool,
    told_afterwards: AtomicU64,
}

/// So many threads may be handing it something when it is removed: callers, tasks and the driver.
const THREADS: u64 = 8;

impl Guests {
    pub(crate) fn new(journal: Arc<Journal>) -> Self {
        Self { journal, there: Mutex::default() }
    }

    /// One comes, or one goes.
    pub(crate) fn come_or_go(&self, factory: &CircuitBreakerFactory, dice: &mut Dice) {
        let mut there = self.there.lock().unwrap();
        if there.len() < dice.below(5) as usize {
            let guest = Arc::new(Guest {
                journal: Arc::clone(&self.journal),
                chains: Mutex::default(),
                gone: AtomicBool::new(false),
                told_afterwards: AtomicU64::new(0),
            });
            let listens = Arc::clone(&guest);
            let id = factory.add_listener(move |event: &Event| listens.take(event));
            there.push((id, guest));
        } else if let Some((id, guest)) = there.pop() {
            if !factory.remove_listener(id) {
                self.journal.complain(format!("{id:?} was not there"));
            }
            guest.gone.store(true, Ordering::SeqCst);
        }
    }
}

impl Guest {
    fn take(&self, event: &Event) {
        if self.gone.load(Ordering::SeqCst)
            && self.told_afterwards.fetch_add(1, Ordering::Relaxed) >= THREADS
        {
            self.journal.complain(format!("told after its removal: {event}"));
        }
        if let Err(wrong) = self.chains.lock().unwrap().take(event) {
            self.journal.complain(format!("{} as a guest sees it: {wrong}", event.circuit()));
        }
    }
}
