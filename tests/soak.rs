//! A fleet that works for a while, with a storage that something happens to every second or two.
//!
//! Three factories, each with its driver and a line of its own to one real server; threads and tasks that make
//! random calls of two hundred circuits; listeners that come and go, panic, stall, and use what they are told
//! about. Now and then the faults end and the work pauses, and all has to be in order: see `quiet`.
//!
//! It runs for `PURGATORY_SOAK_SECONDS`, a few if that is not set: then it shows little more than that it runs.
//! `.ci/soak` gives it the time, and an optimised build. What is drawn depends on `PURGATORY_SEED`; what comes
//! of it, on the scheduler as well, so the same seed need not fail twice.
#![cfg(not(any(loom, shuttle, tsan)))]

#[path = "soak/chain.rs"]
mod chain;
#[path = "soak/circuits.rs"]
mod circuits;
#[path = "twin/dice.rs"]
mod dice;
#[path = "soak/faults.rs"]
mod faults;
#[path = "soak/gate.rs"]
mod gate;
#[path = "soak/instance.rs"]
mod instance;
#[path = "soak/journal.rs"]
mod journal;
#[path = "soak/latency.rs"]
mod latency;
#[path = "soak/nuisance.rs"]
mod nuisance;
#[path = "soak/quiet.rs"]
mod quiet;
#[path = "redis_faults/record.rs"]
mod record;
#[path = "soak/recorder.rs"]
mod recorder;
#[path = "soak/recovery.rs"]
mod recovery;
#[path = "soak/resources.rs"]
mod resources;
#[path = "soak/run.rs"]
mod run;
#[path = "soak/service.rs"]
mod service;
#[path = "soak/tasks.rs"]
mod tasks;
#[path = "soak/worker.rs"]
mod worker;
#[path = "soak/world.rs"]
mod world;

use std::env;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn variable(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("it is a number"))
}

#[test]
fn a_fleet_lives_through_faults() {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    let seed = variable("PURGATORY_SEED").unwrap_or(time.as_secs());
    let seconds = variable("PURGATORY_SOAK_SECONDS").unwrap_or(5);
    run::run(seed, Duration::from_secs(seconds));
}
