//! All is well again, and has to be seen to be.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use purgatory::State;

use crate::circuits::{CIRCUITS, LEASE, LONGEST_TTL};
use crate::gate::LOOK;
use crate::instance::{Ending, Instance};
use crate::latency::Latency;
use crate::world::World;

/// A ttl that has begun anew with the last failed probe, and is a quarter longer for who is alone; a place that
/// nobody holds; and what a busy machine takes.
const LIMIT: Duration = LEASE.saturating_add(LONGEST_TTL).saturating_add(Duration::from_secs(4));

/// Calls that succeed close every circuit, everywhere: no place of a probe is taken for good. Returns how long
/// that took.
pub(crate) fn recover(world: &World) -> Duration {
    world.service.well(true);
    // Nobody else calls.
    let (began, unmeasured) = (Instant::now(), Latency::new());
    loop {
        let ill: Vec<_> =
            everything(world).filter(|&(one, circuit)| is_ill(one, circuit)).collect();
        if ill.is_empty() {
            break;
        }
        if began.elapsed() > LIMIT {
            let ill: Vec<_> =
                ill.iter().map(|(one, circuit)| one.breaker(*circuit).snapshot()).collect();
            world.journal.fail(format!("not closed after {LIMIT:?}: {ill:#?}"));
        }
        for (one, circuit) in ill {
            if let Some(permit) = one.acquire(circuit, &unmeasured) {
                one.end(circuit, permit, Ending::Success);
            }
        }
        thread::sleep(LOOK);
    }
    world.service.well(false);
    began.elapsed()
}

fn everything(world: &World) -> impl Iterator<Item = (&Arc<Instance>, usize)> {
    let circuits = |one| (0..CIRCUITS).map(move |circuit| (one, circuit));
    world.instances.iter().flat_map(circuits)
}

/// Whether it is not closed, or not yet without failures.
fn is_ill(one: &Instance, circuit: usize) -> bool {
    let breaker = one.factory.find(one.name(circuit));
    let snapshot = breaker.map(|breaker| breaker.snapshot());
    snapshot.is_some_and(|now| now.state != State::Closed || now.failures > 0)
}
