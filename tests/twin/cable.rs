//! Between one process and the storage.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::MemoryStorage;
use purgatory::storage::{
    Bump, Fault, Operation, OperationKind, Storage, StorageError, StorageFuture, StorageOptions,
    Stored, Swap, Versioned, Watcher, Watching, Write,
};
use tokio::sync::Notify;

use crate::dice::Dice;
use crate::sights::Sight;
use crate::world::World;

/// What the way to the storage is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    Fine,
    /// Answers are late, some too late.
    Slow,
    /// Answers get lost, and errors come.
    Rough,
    /// Errors at once.
    Down,
    /// Nothing at all.
    Silent,
    /// It can be read, and refuses to be written.
    ReadOnly,
    /// One circuit's place is taken.
    Taken,
}

/// The way of one process to the storage, with all that can happen on it.
#[derive(Debug)]
pub(crate) struct Cable {
    who: usize,
    world: Arc<World>,
    state: Mutex<(Weather, Dice)>,
    cut: Notify,
}

impl Cable {
    pub(crate) fn new(who: usize, world: Arc<World>, dice: Dice) -> Arc<Self> {
        Arc::new(Self { who, world, state: Mutex::new((Weather::Fine, dice)), cut: Notify::new() })
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.state.lock().unwrap().0 = weather;
    }

    pub(crate) fn cut(&self) {
        self.cut.notify_waiters();
    }

    fn fault(&self, operation: &Operation<'_>) -> Fault {
        if operation.kind == OperationKind::Push {
            // What happens to pushes happens at the receiver's end.
            return Fault::None;
        }
        if !self.world.operates() {
            return Fault::Hang;
        }
        if operation.kind == OperationKind::Load {
            self.world.state().eyes[self.who].periods += 1;
        }
        let fault = self.draw(operation);
        self.world
            .say(|| format!("{} {:?} {} {fault:?}", self.who, operation.kind, operation.circuit));
        fault
    }

    fn draw(&self, operation: &Operation<'_>) -> Fault {
        if let Some(nth) = &self.world.nth {
            return nth.next().unwrap_or(Fault::Delay(Duration::from_millis(1)));
        }
        let (weather, dice) = &mut *self.state.lock().unwrap();
        let watch = operation.kind == OperationKind::Watch;
        let write = matches!(operation.kind, OperationKind::CompareAndSet | OperationKind::Bump);
        let mute = self.world.plan.mute;
        match weather {
            Weather::Fine if dice.percent(20) => Fault::None,
            Weather::Fine if dice.percent(30) => Fault::DelayReply(dice.millis(1, 3)),
            Weather::Fine => Fault::Delay(dice.millis(1, 3)),
            Weather::Slow if watch && !mute => Fault::Delay(dice.millis(1, 50)),
            Weather::Slow if dice.percent(10) => Fault::Hang,
            Weather::Slow if dice.percent(50) => Fault::Delay(dice.millis(1, 150)),
            Weather::Slow => Fault::DelayReply(dice.millis(1, 150)),
            Weather::Rough => match dice.below(10) {
                0 => Fault::Error(StorageError::Refused("rough".to_owned())),
                1 => Fault::Error(StorageError::Unavailable("rough".to_owned())),
                2 | 3 if !watch => Fault::LoseReply,
                4 => Fault::DelayReply(dice.millis(1, 300)),
                _ => Fault::Delay(dice.millis(1, 10)),
            },
            Weather::Down => Fault::Error(StorageError::Unavailable("down".to_owned())),
            Weather::Silent if watch && !mute => {
                Fault::Error(StorageError::Unavailable("silent".to_owned()))
            }
            Weather::Silent => Fault::Hang,
            Weather::ReadOnly if write => {
                Fault::Error(StorageError::Refused("read only".to_owned()))
            }
            Weather::Taken if operation.circuit == "alpha" => {
                Fault::Error(StorageError::Unusable("taken".to_owned()))
            }
            Weather::ReadOnly | Weather::Taken => Fault::Delay(Duration::from_millis(1)),
        }
    }

    /// Whether a write is to be late, so late that nobody waits for it any more. Its push is lost.
    fn is_late(&self) -> Option<Duration> {
        let (weather, dice) = &mut *self.state.lock().unwrap();
        let plan = &self.world.plan;
        let may = *weather == Weather::Rough && (plan.deaf || !plan.watch);
        (may && dice.percent(10)).then(|| dice.millis(1, 150))
    }

    /// Brings a push, or not, or late, or twice.
    fn push(self: &Arc<Self>, watcher: &Watcher, circuit: &str, record: Versioned) {
        let deaf = self.world.plan.deaf;
        let (times, late) = {
            let (weather, dice) = &mut *self.state.lock().unwrap();
            let lost = match weather {
                Weather::Down | Weather::Silent => true,
                Weather::Slow | Weather::Rough => deaf && dice.percent(30),
                Weather::Fine | Weather::ReadOnly | Weather::Taken => false,
            };
            let lost = lost || self.world.nth.as_ref().is_some_and(|nth| nth.next().is_some());
            let times = if lost { 0 } else { 1 + usize::from(dice.percent(10)) };
            let far = if *weather == Weather::Fine { 3 } else { 100 };
            (times, [dice.below(4).min(1) * dice.below(far), dice.below(200)])
        };
        if times == 0 {
            self.world.sights.see(Sight::PushLost);
            self.world.say(|| format!("{} push of {} {} lost", self.who, circuit, record.version));
        }
        for late in late.into_iter().take(times) {
            let (cable, watcher) = (Arc::clone(self), watcher.clone());
            let (circuit, record) = (circuit.to_owned(), record.clone());
            let deliver = move || {
                let version = record.version;
                watcher.changed(&circuit, record);
                cable.world.say(|| format!("{} push of {circuit} {version}", cable.who));
                cable.world.look(cable.who);
            };
            if late == 0 {
                deliver();
            } else {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(late)).await;
                    deliver();
                });
            }
        }
    }
}

/// The storage, at the end of a cable.
#[derive(Debug)]
pub(crate) struct Remote {
    memory: MemoryStorage,
    cable: Arc<Cable>,
}

impl Remote {
    pub(crate) fn new(memory: &MemoryStorage, cable: &Arc<Cable>) -> Self {
        let faults = Arc::clone(cable);
        let memory = memory.clone().with_faults(move |operation| faults.fault(operation));
        Self { memory, cable: Arc::clone(cable) }
    }
}

impl Remote {
    /// Writes what the process has given up.
    fn write_late(&self, write: Write<'_>, late: Duration) -> impl Future<Output = ()> + use<> {
        let (memory, world) = (self.memory.clone(), Arc::clone(&self.cable.world));
        let (circuit, bytes) = (write.circuit.to_owned(), write.bytes.to_vec());
        let expected = write.expected;
        world.say(|| format!("{} CompareAndSet {circuit} late by {late:?}", self.cable.who));
        async move {
            tokio::time::sleep(late).await;
            let record = memory.record(&circuit);
            if record.map_or(0, |record| record.version) == expected {
                world.sights.see(Sight::WrittenLate);
                memory.replace(&circuit, Some(&bytes));
                world.wrote(&circuit, memory.record(&circuit).as_ref());
            }
        }
    }
}

impl Storage for Remote {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.memory.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        if let Some(late) = self.cable.is_late() {
            tokio::spawn(self.write_late(write, late));
            let error = StorageError::Unavailable("late".to_owned());
            return Box::pin(async { Err(error) });
        }
        self.memory.compare_and_set(write)
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        if self.cable.world.plan.bump { self.memory.bump(bump) } else { None }
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        if !self.cable.world.plan.watch {
            return None;
        }
        Some(Box::pin(async move {
            let (cable, ready) = (Arc::clone(&self.cable), watcher.clone());
            let relay = Watcher::of(
                move || ready.ready(),
                move |circuit, record| cable.push(&watcher, circuit, record),
            );
            let watching = self.memory.watch(relay).expect("a memory can be watched");
            tokio::select! {
                biased;
                () = self.cable.cut.notified() => {
                    StorageError::Unavailable("cut".to_owned())
                }
                cause = watching => cause,
            }
        }))
    }

    fn options(&self) -> StorageOptions {
        self.cable.world.plan.options()
    }
}
