//! The deterministic twin of a fleet: the whole protocol on one thread and in virtual time, under random
//! schedules and faults, with an observer that knows the promises.
//!
//! `PURGATORY_SEEDS=n` sets how many seeds are played, `PURGATORY_SEED=x` replays one with its journal.

#![cfg(not(any(loom, shuttle)))]

#[path = "twin/cable.rs"]
mod cable;
#[path = "twin/dice.rs"]
mod dice;
#[path = "twin/eye.rs"]
mod eye;
#[path = "twin/line.rs"]
mod line;
#[path = "twin/member.rs"]
mod member;
#[path = "twin/nth.rs"]
mod nth;
#[path = "twin/plan.rs"]
mod plan;
#[path = "twin/run.rs"]
mod run;
#[path = "twin/seeds.rs"]
mod seeds;
#[path = "twin/sights.rs"]
mod sights;
#[path = "twin/world.rs"]
mod world;
