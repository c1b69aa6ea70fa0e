//! A storage that fails its n-th operation, for every n.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use purgatory::Outcome::{self, Failure, Success};
use purgatory::storage::{Fault, StorageError};
use tokio::time;

use crate::dice::Dice;
use crate::plan::Plan;
use crate::run::{Run, play};
use crate::world::World;

/// The operation that goes wrong, or the first of all that do. (How `SQLite` is tested, section 3.)
#[derive(Debug)]
pub(crate) struct Nth {
    n: u64,
    forever: bool,
    fault: Fault,
    count: Arc<AtomicU64>,
    healed: AtomicBool,
}

impl Nth {
    /// Whether nothing is away for so long that failures would be too old.
    pub(crate) fn is_short(&self) -> bool {
        !self.forever
    }

    /// Counts an operation, and says what is wrong with it.
    pub(crate) fn next(&self) -> Option<Fault> {
        if self.healed.load(Ordering::Relaxed) {
            return None;
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let hit = if self.forever { count >= self.n } else { count == self.n };
        hit.then(|| self.fault.clone())
    }

    pub(crate) async fn trouble(&self, run: &mut Run) {
        // Calls come from here only.
        run.world.pause.store(0, Ordering::Relaxed);
        if run.world.plan.counting {
            self.failures(run).await;
        } else {
            self.everything(run).await;
        }
        self.healed.store(true, Ordering::Relaxed);
    }

    /// Failures of one, of the other, of both at a time and of several, and a restart in the middle.
    async fn failures(&self, run: &mut Run) {
        wait(run, 50).await;
        call(run, 0, Failure).await;
        storm(run).await;
        call(run, 1, Failure).await;
        run.restart(1).await;
        storm(run).await;
        call(run, 1, Failure).await;
    }

    /// All that processes do: counting, tripping, probes that fail and that do not, a reset, a restart.
    async fn everything(&self, run: &mut Run) {
        let ttl = run.world.plan.ttl.as_millis() as u64;
        wait(run, 50).await;
        trip(run).await;
        wait(run, ttl).await;
        call(run, 1, Success).await;
        call(run, 0, Failure).await;
        call(run, 1, Failure).await;
        run.world.breakers(run.members[0].who)[0].reset();
        call(run, 0, Failure).await;
        run.restart(1).await;
        wait(run, 50).await;
        trip(run).await;
        wait(run, ttl).await;
        call(run, 1, Failure).await;
        wait(run, ttl).await;
        call(run, 0, Outcome::Ignored).await;
        call(run, 0, Success).await;
        call(run, 1, Failure).await;
    }
}

/// Failures of all, so many at a time that they are sent together.
async fn storm(run: &Run) {
    let [here, there] = &run.members[..] else { unreachable!("there are two") };
    for _ in 0..2 {
        tokio::join!(here.call(&run.world, Failure), there.call(&run.world, Failure));
    }
    wait(run, 20).await;
}

async fn trip(run: &Run) {
    for who in [0, 1, 0] {
        call(run, who, Failure).await;
    }
}

async fn call(run: &Run, at: usize, outcome: Outcome) {
    run.members[at].call(&run.world, outcome).await;
    wait(run, 20).await;
}

async fn wait(run: &Run, millis: u64) {
    run.audit();
    time::sleep(Duration::from_millis(millis)).await;
    run.audit();
}

/// What a fleet is like.
#[derive(Debug, Clone, Copy)]
struct Mode {
    strict: bool,
    bump: bool,
    /// Nothing but failures, none of which trips: every one has to be in the record.
    counting: bool,
}

fn plan(Mode { strict, bump, counting }: Mode) -> Plan {
    let millis = Duration::from_millis;
    Plan {
        processes: 2,
        circuits: 1,
        callers: 1,
        threshold: if counting { 1_000_000 } else { 3 },
        // Longer than one fault has the storage seem to be down: failures that are older are discarded.
        ttl: millis(if counting { 7000 } else { 600 }),
        lease: millis(700),
        probes: 1,
        successes: 1,
        strict,
        timeout: millis(100),
        probe_wait: millis(30),
        backoff: millis(200),
        poll: millis(1000),
        bump,
        // Of pushes that are lost, the other fleet tells.
        watch: !strict,
        counting,
        faults: false,
        // What only counts is not pushed.
        deaf: !counting,
        mute: true,
        steps: false,
        tampers: false,
        resets: !counting,
        restarts: true,
        length: Duration::ZERO,
        healthy_end: !counting,
    }
}

/// Runs until a run passes without the fault, and returns how many runs that took.
fn every_n(fault: &Fault, forever: bool, mode: Mode) -> u64 {
    for n in 1.. {
        let count = Arc::new(AtomicU64::new(0));
        let nth = |journal| {
            let (fault, count, healed) =
                (fault.clone(), Arc::clone(&count), AtomicBool::new(false));
            count.store(0, Ordering::Relaxed);
            let nth = Nth { n, forever, fault, count, healed };
            play(Dice::new(n), || World::new(plan(mode), Some(nth), journal))
        };
        let broken = nth(false).broken;
        if !broken.is_empty() {
            let journal = nth(true).journal.join("\n");
            panic!(
                "{journal}\n{broken:#?}\noperation {n}, {fault:?}, forever: {forever}, {mode:?}"
            );
        }
        if count.load(Ordering::Relaxed) < n {
            return n;
        }
        assert!(n < 2_000, "the runs do not come to an end");
    }
    unreachable!("numbers do not come to an end")
}

fn every_way(mode: Mode) {
    let error = || StorageError::Unavailable("nth".to_owned());
    for fault in [Fault::Error(error()), Fault::LoseReply, Fault::Hang] {
        for forever in [false, true] {
            let runs = every_n(&fault, forever, mode);
            println!("{runs} runs: {mode:?}, {fault:?}, forever: {forever}");
            let least = if mode.counting { 15 } else { 30 };
            assert!(runs > least, "only {runs} runs: there is more to fail");
        }
    }
}

#[test]
fn whichever_operation_fails_nothing_is_broken() {
    every_way(Mode { strict: false, bump: true, counting: false });
}

#[test]
fn whichever_operation_of_a_strict_fleet_fails_nothing_is_broken() {
    // What replaces `bump` makes other requests.
    every_way(Mode { strict: true, bump: false, counting: false });
}

#[test]
fn whichever_operation_fails_every_failure_counts_once() {
    for bump in [true, false] {
        every_way(Mode { strict: false, bump, counting: true });
    }
}

#[test]
fn whichever_operation_of_a_strict_fleet_fails_every_failure_counts_once() {
    for bump in [true, false] {
        every_way(Mode { strict: true, bump, counting: true });
    }
}
