//! Tasks that make calls, and are cancelled.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use crate::circuits::takes_closures;
use crate::dice::Dice;
use crate::gate::{LOOK, Phase};
use crate::instance::{Ending, Failed, Instance};
use crate::world::World;

/// How many there are.
const TASKS: usize = 12;

/// A runtime with tasks that make calls.
pub(crate) struct Tasks(Option<Runtime>);

impl Tasks {
    /// Waits for all of them.
    pub(crate) fn end(mut self, patience: Duration) {
        self.0.take().expect("it ends once").shutdown_timeout(patience);
    }
}

impl Drop for Tasks {
    /// Does not wait: if the test has failed, it may be for a task that hangs.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) fn start(world: &Arc<World>, dice: &mut Dice) -> Tasks {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    for _ in 0..TASKS {
        runtime.spawn(run(Arc::clone(world), dice.fork()));
    }
    Tasks(Some(runtime))
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
    match dice.below(6) {
        0 if takes_closures(circuit) => {
            let call = guarded(instance, circuit, works, time);
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
            let permit = timeout(dice.millis(0, 5), instance.acquire_async(circuit)).await;
            if let Ok(Some(permit)) = permit {
                instance.end(circuit, permit, Ending::Success);
            }
        }
        3 => {
            let instance = Arc::clone(instance);
            let task = tokio::spawn(async move {
                let permit = instance.acquire_async(circuit).await;
                sleep(time).await;
                drop(permit);
            });
            sleep(dice.millis(0, 10)).await;
            task.abort();
            let _ = task.await;
        }
        _ => {
            let Some(permit) = instance.acquire_async(circuit).await else { return };
            sleep(time).await;
            let ending = if works { Ending::Success } else { Ending::Failure };
            instance.end(circuit, permit, ending);
        }
    }
}

/// A call that the breaker makes, which takes some time.
async fn guarded(instance: &Instance, circuit: usize, works: bool, time: Duration) {
    let call = async || {
        sleep(time).await;
        if works { Ok(()) } else { Err(Failed) }
    };
    let result = instance.breaker(circuit).call_async(call).await;
    instance.called(circuit, result);
}
