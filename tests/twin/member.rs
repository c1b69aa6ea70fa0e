//! One process, and those who call in it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use purgatory::{CircuitBreaker, CircuitBreakerFactory, MemoryStorage, Outcome};
use tokio::task::JoinSet;
use tokio::time::{self, Instant};

use crate::cable::{Cable, Remote};
use crate::dice::Dice;
use crate::eye::Eye;
use crate::world::{Dependency, Ear, Local, World};

/// One process, from its start to its end.
pub(crate) struct Member {
    pub(crate) who: usize,
    pub(crate) factory: CircuitBreakerFactory,
    pub(crate) cable: Arc<Cable>,
    callers: JoinSet<()>,
}

pub(crate) const CIRCUITS: [&str; 2] = ["alpha", "beta"];

/// Much longer than any call may wait.
const FOREVER: Duration = Duration::from_secs(5);

impl Member {
    pub(crate) fn start(world: &Arc<World>, memory: &MemoryStorage, dice: &mut Dice) -> Self {
        let who = {
            let mut state = world.state();
            state.eyes.push(Eye::default());
            state.eyes.len() - 1
        };
        let cable = Cable::new(who, Arc::clone(world), dice.fork());
        let origin = Duration::from_millis(dice.below(10_000_000));
        let factory = CircuitBreakerFactory::builder()
            .clock(Local(Instant::now(), origin))
            .listener(Ear(Arc::clone(world), who))
            .storage(Remote::new(memory, &cable))
            .driver(|driver| drop(tokio::spawn(driver)))
            .seed(dice.roll())
            .build()
            .expect("the plan is valid");
        let config = world.plan.config();
        let breakers: Vec<_> = CIRCUITS[..world.plan.circuits]
            .iter()
            .map(|&name| factory.get_breaker_with(name, config).expect("the plan is valid"))
            .collect();
        let mut callers = JoinSet::new();
        for _ in 0..world.plan.callers {
            let (world, breakers) = (Arc::clone(world), breakers.clone());
            let dice = dice.fork();
            callers.spawn(Caller { world, who, breakers, dice }.run());
        }
        world.state().eyes[who].breakers = breakers;
        world.say(|| format!("{who} starts"));
        Self { who, factory, cable, callers }
    }

    /// Makes one call of the first circuit, if it is admitted.
    pub(crate) async fn call(&self, world: &Arc<World>, outcome: Outcome) {
        let began = Instant::now();
        let breakers = world.breakers(self.who);
        let permit = time::timeout(FOREVER, breakers[0].acquire_async()).await;
        let Ok(permit) = permit else { return world.blame("a call is never told") };
        world.waited(self.who, began.elapsed());
        let Ok(permit) = permit else { return };
        let probe = permit.is_probe();
        let _out = probe.then(|| ProbeOut(Arc::clone(world), world.probe(self.who, &breakers[0])));
        time::sleep(Duration::from_millis(2)).await;
        match outcome {
            Outcome::Success => permit.success(),
            Outcome::Failure => permit.failure(),
            Outcome::Ignored => permit.ignore(),
        }
    }

    /// Ends the calls, in the middle.
    pub(crate) async fn hush(&mut self) {
        self.callers.shutdown().await;
    }

    pub(crate) async fn end(mut self, world: &World) {
        self.hush().await;
        world.audit(self.who);
        let breakers = std::mem::take(&mut world.state().eyes[self.who].breakers);
        let shared = breakers.iter().filter_map(|breaker| breaker.snapshot().shared);
        let left = shared.fold((0, 0), |(recorded, pending), shared| {
            (recorded + shared.recorded, pending + shared.pending)
        });
        world.state().eyes[self.who].left = left;
        world.say(|| format!("{} ends", self.who));
    }
}

/// Somebody who calls, over and over.
struct Caller {
    world: Arc<World>,
    who: usize,
    breakers: Vec<CircuitBreaker>,
    dice: Dice,
}

/// Says when a probe is over, also if its task is dropped.
struct ProbeOut(Arc<World>, u64);

impl Drop for ProbeOut {
    fn drop(&mut self) {
        self.0.probe_ends(self.1);
    }
}

impl Caller {
    async fn run(mut self) {
        loop {
            let longest = self.world.pause.load(Ordering::Relaxed);
            if longest == 0 {
                // Nobody calls for now.
                time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            let pause = self.dice.millis(longest / 60, longest);
            time::sleep(pause).await;
            let at = self.dice.below(self.breakers.len() as u64) as usize;
            let breaker = self.breakers[at].clone();
            self.call(&breaker).await;
        }
    }

    async fn call(&mut self, breaker: &CircuitBreaker) {
        let began = Instant::now();
        let acquire = breaker.acquire_async();
        let permit = if self.dice.percent(5) {
            let patience = self.dice.millis(0, 30);
            let Ok(permit) = time::timeout(patience, acquire).await else { return };
            permit
        } else {
            let Ok(permit) = time::timeout(FOREVER, acquire).await else {
                return self.world.blame(format!("{} is never told", self.who));
            };
            permit
        };
        self.world.waited(self.who, began.elapsed());
        let Ok(permit) = permit else { return };
        let probe = permit.is_probe();
        let _out =
            probe.then(|| ProbeOut(Arc::clone(&self.world), self.world.probe(self.who, breaker)));
        time::sleep(self.takes()).await;
        match self.dice.below(100) {
            0..5 => permit.ignore(),
            5..8 => drop(permit),
            _ if self.works() => permit.success(),
            _ => permit.failure(),
        }
    }

    fn takes(&mut self) -> Duration {
        let plan = &self.world.plan;
        let long = (plan.ttl + plan.lease).as_millis() as u64 * 3 / 2;
        match self.world.dependency() {
            Dependency::Hanging if self.dice.percent(40) => self.dice.millis(10, long),
            _ if self.dice.percent(1) => self.dice.millis(10, long),
            _ => self.dice.millis(0, 8),
        }
    }

    fn works(&mut self) -> bool {
        match self.world.dependency() {
            Dependency::Healthy => true,
            Dependency::Flaky => self.dice.percent(50),
            Dependency::Failing | Dependency::Hanging => false,
        }
    }
}
