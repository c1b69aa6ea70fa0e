//! What happens to Redis and Valkey, and to those who share circuits through them: real servers, real processes.
//!
//! Every test has a server of its own, and comes to it as a user who may do no more than is needed.

#[path = "redis_faults/endings.rs"]
mod endings;
#[path = "redis_faults/forks.rs"]
mod forks;
#[path = "redis_faults/gap.rs"]
mod gap;
#[path = "redis_faults/here.rs"]
mod here;
#[path = "redis_faults/joining.rs"]
mod joining;
#[path = "redis_faults/losses.rs"]
mod losses;
#[path = "redis_faults/member.rs"]
mod member;
#[path = "redis_faults/probes.rs"]
mod probes;
#[path = "redis_faults/record.rs"]
mod record;
#[path = "redis_faults/records.rs"]
mod records;
#[path = "redis_faults/refusals.rs"]
mod refusals;
#[path = "redis_faults/rights.rs"]
mod rights;
#[path = "redis_faults/settings.rs"]
mod settings;
#[path = "redis_faults/stage.rs"]
mod stage;
#[path = "redis_faults/time.rs"]
mod time;

use purgatory_tests::with_each_engine;
