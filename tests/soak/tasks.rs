//! Tasks that make calls, and are cancelled.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use purgatory::Error;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::circuits::takes_closures;
use crate::dice::Dice;
use crate::gate::{LOOK, Phase};
use crate::instance::{Ending, Failed, Instance};
use crate::journal::Journal;
use crate::latency::Latency;
use crate::world::World;

/// How many there are.
const TASKS: usize = 12;

/// A runtime with tasks that make calls.
pub(crate) struct Tasks {
    runtime: Option<Runtime>,
    tasks: JoinSet<()>,
}

impl Tasks {
    /// Waits for all of them.
    pub(crate) fn end(mut self, journal: &Journal, patience: Duration) {
        let runtime = self.runtime.take().expect("it ends once");
        let end = async { while self.tasks.join_next().await.is_some() {} };
        if runtime.block_on(async { timeout(patience, end).await }).is_err() {
            journal.fail(format!("a task has not ended after {patience:?}"));
        }
        runtime.shutdown_timeout(patience);
    }
}

impl Drop for Tasks {
    /// Does not wait: if the test has failed, it may be for a task that hangs.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn start(world: &Arc<World>, dice: &mut Dice) -> Tasks {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (world, task) = (Arc::clone(world), runtime.spawn(run(Arc::clone(world), dice.fork())));
        let hear = async move {
            if let Err(error) = task.await {
                world.journal.complain(format!("a task has panicked: {error}"));
            }
        };
        tasks.spawn_on(hear, runtime.handle());
    }
    Tasks { runtime: Some(runtime), tasks }
}

async fn run(world: Arc<World>, mut dice: Dice) {
    while world.gate.phase() != Phase::End {
        if let Some(_inside) = world.gate.enter() {
            act(&world, &mut dice).await;
            world.did(1);
        }
        sleep(LOOK).await; // There is nobody to say when the pause ends.
    }
}

async fn act(world: &Arc<World>, dice: &mut Dice) {
    let instance = &world.instances[dice.below(world.instances.len() as u64) as usize];
    let circuit = world.popularity.draw(dice);
    let works = world.service.works(circuit, dice);
    let time = dice.millis(0, 15);
    let latency = world.task_latency_now();
    match dice.below(6) {
        0 if takes_closures(circuit) => {
            let call = guarded(instance, circuit, latency, works, time);
            // Some are dropped between two polls, some in their last moment, most not at all.
            let patience = dice.millis(0, 30);
            let _ = timeout(patience, call).await;
        }
        1 if takes_closures(circuit) => {
            let instance = Arc::clone(instance);
            let panics = async move {
                let call = async || {
                    sleep(time).await;
                    instance.fails(circuit);
                    // Without the hook, whose message would fill the output.
                    resume_unwind(Box::new(()))
                };
                let result = instance.breaker(circuit).call_async(call).await;
                instance.called(circuit, result);
            };
            let _ = tokio::spawn(panics).await;
        }
        2 => {
            // Dropped while it asks for leave, if that takes longer.
            let permit = timeout(dice.millis(0, 5), instance.acquire_async(circuit, latency)).await;
            if let Ok(Some(permit)) = permit {
                instance.end(circuit, permit, Ending::Success);
            }
        }
        3 => {
            let (world, instance) = (Arc::clone(world), Arc::clone(instance));
            let task = tokio::spawn(async move {
                let permit = instance.acquire_async(circuit, world.task_latency_now()).await;
                sleep(time).await;
                drop(permit);
            });
            sleep(dice.millis(0, 10)).await;
            task.abort();
            let _ = task.await;
        }
        _ => {
            let Some(permit) = instance.acquire_async(circuit, latency).await else { return };
            sleep(time).await;
            let ending = if works { Ending::Success } else { Ending::Failure };
            instance.end(circuit, permit, ending);
        }
    }
}

/// A call that the breaker makes, which takes some time.
async fn guarded(
    instance: &Instance,
    circuit: usize,
    latency: &Latency,
    works: bool,
    time: Duration,
) {
    let breaker = instance.breaker(circuit);
    let asked = Instant::now();
    let call = async || {
        latency.took(asked.elapsed());
        sleep(time).await;
        if works { Ok(()) } else { Err(Failed) }
    };
    let result = breaker.call_async(call).await;
    if matches!(result, Err(Error::Rejected(_))) {
        latency.took(asked.elapsed());
    }
    instance.called(circuit, result);
}
