//! One run: faults, and then peace.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use purgatory::storage::{Storage, StorageError, Watcher};
use purgatory::{MemoryStorage, State};
use tokio::runtime::{Builder, Handle};
use tokio::time::{self, Instant};

use crate::cable::Weather;
use crate::dice::Dice;
use crate::line::Line;
use crate::member::{CIRCUITS, Member};
use crate::nth::Nth;
use crate::plan::{CALM, Plan, SLEEPY};
use crate::sights::Sight;
use crate::world::{DEPENDENCIES, Dependency, Remote, World};

/// What came of a run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) broken: Vec<String>,
    pub(crate) journal: Vec<String>,
    pub(crate) plan: String,
    pub(crate) seen: Vec<Sight>,
}

/// Plays what the seed stands for. With a journal it takes much longer.
pub(crate) fn run(seed: u64, journal: bool) -> Report {
    let mut dice = Dice::new(seed);
    let plan = Plan::draw(&mut dice);
    play(dice, || World::new(plan, None, journal))
}

/// Plays in that world, from its beginning to its end.
pub(crate) fn play(dice: Dice, world: impl FnOnce() -> Arc<World>) -> Report {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = world();
        Run::new(Arc::clone(&world), dice).play().await;
        let mut state = world.state();
        Report {
            broken: std::mem::take(&mut state.broken),
            journal: std::mem::take(&mut state.journal),
            plan: format!("{:?}", world.plan),
            seen: world.sights.seen(),
        }
    })
}

pub(crate) struct Run {
    pub(crate) world: Arc<World>,
    memory: MemoryStorage,
    pub(crate) members: Vec<Member>,
    dice: Dice,
}

impl Run {
    fn new(world: Arc<World>, mut dice: Dice) -> Self {
        let memory = MemoryStorage::new().with_clock(Remote(Arc::clone(&world)));
        let members =
            (0..world.plan.processes).map(|_| Member::start(&world, &memory, &mut dice)).collect();
        Self { world, memory, members, dice }
    }

    async fn play(mut self) {
        let world = Arc::clone(&self.world);
        let observer = tokio::spawn(observe(Arc::clone(&self.world), self.memory.clone()));
        match &world.nth {
            Some(nth) => nth.trouble(&mut self).await,
            None => self.trouble().await,
        }
        self.peace().await;
        self.quiet().await;
        self.end().await;
        observer.abort();
        time::sleep(Duration::from_millis(1)).await;
        let alive = Handle::current().metrics().num_alive_tasks();
        if alive > 0 {
            self.world.blame(format!("{alive} tasks are left over"));
        }
    }

    pub(crate) fn audit(&self) {
        self.members.iter().for_each(|member| self.world.audit(member.who));
    }

    async fn trouble(&mut self) {
        let plan = self.world.plan.clone();
        let began = Instant::now();
        if plan.counting {
            self.world.set_dependency(Dependency::Failing);
        }
        while began.elapsed() < plan.length {
            time::sleep(self.dice.millis(1, 200)).await;
            self.audit();
            self.happen(&plan).await;
        }
    }

    /// Something happens.
    async fn happen(&mut self, plan: &Plan) {
        let at = self.dice.below(self.members.len() as u64) as usize;
        let circuit = CIRCUITS[self.dice.below(plan.circuits as u64) as usize];
        match self.dice.below(20) {
            0..10 if plan.faults => {
                let weather = self.dice.pick(&[
                    Weather::Fine,
                    Weather::Fine,
                    Weather::Fine,
                    Weather::Slow,
                    Weather::Rough,
                    Weather::Rough,
                    Weather::Down,
                    Weather::Silent,
                    Weather::ReadOnly,
                    Weather::Taken,
                ]);
                self.world.say(|| format!("{weather:?} for {}", self.members[at].who));
                self.members[at].cable.set(weather);
                if self.dice.percent(30) {
                    self.members[at].cable.cut();
                }
            }
            10 if plan.faults => {
                let cause = StorageError::Unavailable("pulled the plug".to_owned());
                self.memory.disconnect(cause);
            }
            11..15 if !plan.counting => {
                let dependency = self.dice.pick(&DEPENDENCIES);
                self.world.set_dependency(dependency);
            }
            15 if plan.steps => {
                let millis = self.dice.pick(&[-3_600_000, 3_600_000, -2_000, 2_000]);
                self.world.shift_clock(millis);
            }
            16 if plan.tampers => self.tamper(circuit),
            17 if plan.resets => {
                let breakers = self.world.breakers(self.members[at].who);
                let breaker = breakers.iter().find(|breaker| breaker.name() == circuit);
                self.world.say(|| format!("reset of {circuit} by {}", self.members[at].who));
                breaker.expect("every process has every circuit").reset();
            }
            18 if plan.restarts => {
                self.restart(at).await;
            }
            _ => {}
        }
    }

    pub(crate) async fn restart(&mut self, at: usize) {
        let new = Member::start(&self.world, &self.memory, &mut self.dice);
        std::mem::replace(&mut self.members[at], new).end(&self.world).await;
        self.world.sights.see(Sight::Restarted);
    }

    fn tamper(&mut self, circuit: &str) {
        let old = self.memory.record(circuit).map(|record| record.bytes);
        let bytes = match self.dice.below(5) {
            0 => None,
            1 => Some(b"not a record".to_vec()),
            3 => Some(format!("1 C {} 0 0 {} 1:1:1:1:1 0 - -", 1u64 << 60, u32::MAX).into_bytes()),
            2 => Some(b"2 O 7 1800000000000000 500000 and more".to_vec()),
            _ => old,
        };
        self.put(circuit, bytes.as_deref());
    }

    fn put(&self, circuit: &str, bytes: Option<&[u8]>) {
        self.memory.replace(circuit, bytes);
        self.world.wrote(circuit, self.memory.record(circuit).as_ref());
    }

    /// The faults end, and everything comes in order in time.
    async fn peace(&mut self) {
        let world = Arc::clone(&self.world);
        let plan = &world.plan;
        world.say(|| "peace".to_owned());
        for member in &self.members {
            member.cable.set(Weather::Fine);
        }
        for circuit in &CIRCUITS[..plan.circuits] {
            // Who does not know the format may not write, so it would stay for ever.
            if self.line(circuit).is_some_and(|line| line.format != "1") {
                self.put(circuit, None);
            }
        }
        world.pause.store(SLEEPY.as_millis() as u64, Ordering::Relaxed);
        let end = if plan.healthy_end { Dependency::Healthy } else { Dependency::Failing };
        world.set_dependency(end);
        time::sleep(plan.agrees_within()).await;
        self.audit();
        self.all(|who, snapshot| {
            let shared = snapshot.shared?;
            (!shared.in_sync).then(|| format!("{who} is not connected"))
        });
        world.pause.store(CALM.as_millis() as u64, Ordering::Relaxed);
        time::sleep(plan.recovers_within() - plan.agrees_within() + SLEEPY).await;
        if plan.healthy_end {
            self.all(|who, snapshot| {
                let closed = snapshot.state == State::Closed;
                (!closed).then(|| format!("{who} has not recovered: {snapshot:?}"))
            });
        } else if plan.trips() {
            self.all(|who, snapshot| {
                let closed = snapshot.state == State::Closed;
                closed.then(|| format!("{who} has not tripped: {snapshot:?}"))
            });
            world.hopeless.store(true, Ordering::Relaxed);
            let before = world.state().probes_ever;
            time::sleep((plan.ttl + plan.lease) * 3).await;
            if world.state().probes_ever == before {
                world.blame("nobody probes any more");
            }
            // Calls that are ended in the middle have to give back their places.
            world.set_dependency(Dependency::Hanging);
            time::sleep(plan.ttl + plan.lease).await;
        }
    }

    /// Calls have ended, and all come to agree.
    async fn quiet(&mut self) {
        let world = Arc::clone(&self.world);
        for member in &mut self.members {
            member.hush().await;
        }
        for member in &self.members {
            if let Err(unflushed) = member.factory.flush_async(Duration::from_secs(2)).await {
                world.blame(format!("{}: {unflushed}", member.who));
            }
        }
        let now = world.store_time().as_micros() as u64;
        for line in CIRCUITS.iter().filter_map(|circuit| self.line(circuit)) {
            if line.probes.iter().any(|&(_, end)| end > now) && !world.plan.steps {
                world.blame(format!("a place is taken by nobody: {line:?}"));
            }
        }
        time::sleep(world.plan.looks_within()).await;
        self.audit();
        for (at, circuit) in CIRCUITS[..world.plan.circuits].iter().enumerate() {
            let (record, line) = (self.memory.record(circuit), self.line(circuit));
            world.say(|| format!("at last {circuit} is {line:?}"));
            for member in &self.members {
                let snapshot = world.breakers(member.who)[at].snapshot();
                let version = snapshot.shared.and_then(|shared| shared.version);
                let theirs = record.as_ref().map(|record| record.version);
                let state = line.as_ref().map_or('C', |line| line.state);
                let ours = match snapshot.state {
                    State::Closed => 'C',
                    State::Open => 'O',
                    State::HalfOpen => 'H',
                };
                let failures = line.as_ref().map_or(0, |line| line.failures);
                let same = ours == state && u64::from(snapshot.failures) == failures;
                // Failures that do not trip are not pushed, so they are known only after a look.
                let looked = !world.plan.watch || world.plan.deaf;
                let agrees = if looked { version == theirs && same } else { ours == state };
                if !agrees && line.is_some() {
                    world.blame(format!("{} does not agree to {line:?}: {snapshot:?}", member.who));
                }
            }
        }
        if world.plan.counting {
            self.count();
        }
    }

    /// Every failure is in the record, once.
    fn count(&self) {
        let circuits = &CIRCUITS[..self.world.plan.circuits];
        let lines = circuits.iter().filter_map(|circuit| self.line(circuit));
        let there: u64 = lines.map(|line| line.failures).sum();
        let living = self.members.iter().flat_map(|member| self.world.breakers(member.who));
        let shared = living.filter_map(|breaker| breaker.snapshot().shared);
        let (recorded, discarded) = shared.fold((0, 0), |(recorded, discarded), shared| {
            (recorded + shared.recorded, discarded + shared.discarded)
        });
        let state = self.world.state();
        let (dead, unknown) = state
            .eyes
            .iter()
            .map(|eye| eye.left)
            .fold((0, 0), |sum, left| (sum.0 + left.0, sum.1 + left.1));
        drop(state);
        let least = recorded + dead;
        if least > 0 {
            self.world.sights.see(Sight::Counted);
        }
        self.world.say(|| format!("{there} in the record, {least} and {unknown} unknown"));
        if there < least || there > least + unknown {
            self.world.blame(format!("{there} recorded, not {least} to {}", least + unknown));
        }
        if discarded > 0 && self.world.nth.as_ref().is_some_and(Nth::is_short) {
            self.world.blame(format!("{discarded} discarded, of which none was old"));
        }
    }

    async fn end(&mut self) {
        for member in self.members.drain(..) {
            member.end(&self.world).await;
        }
        time::sleep(Duration::from_secs(1)).await;
        let ends: Vec<_> = self.world.state().eyes.iter().map(|eye| eye.closed.len()).collect();
        if ends.iter().any(|&ends| ends != 1) {
            self.world.blame(format!("the drivers have told of so many ends: {ends:?}"));
        }
    }

    fn line(&self, circuit: &str) -> Option<Line> {
        Line::read(&self.memory.record(circuit)?.bytes)
    }

    fn all(&self, broken: impl Fn(usize, purgatory::Snapshot) -> Option<String>) {
        for member in &self.members {
            for breaker in self.world.breakers(member.who) {
                if let Some(broken) = broken(member.who, breaker.snapshot()) {
                    self.world.blame(broken);
                }
            }
        }
    }
}

/// Sees every record that is announced.
async fn observe(world: Arc<World>, memory: MemoryStorage) {
    loop {
        let world = Arc::clone(&world);
        let watcher =
            Watcher::of(|| (), move |circuit, record| world.wrote(circuit, Some(&record)));
        memory.watch(watcher).expect("a memory can be watched").await;
    }
}
