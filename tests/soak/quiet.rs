//! A pause without faults, in which all has to be in order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use purgatory::{CircuitBreaker, Config, Snapshot, State};

use crate::circuits::{CIRCUITS, is_local, is_transient, key, name};
use crate::gate::LOOK;
use crate::instance::Instance;
use crate::record::Record;
use crate::world::World;

/// How long a call may take at most: far more than it may wait.
const STUCK: Duration = Duration::from_secs(20);

/// How long it takes to be back: a connection that was begun in the last moment has 5 seconds, then another is
/// made after at most one and a half. And what a busy machine takes.
const BACK: Duration = Duration::from_secs(10);

/// How long news are on their way: a message that was lost is made up for within a poll, which is a second.
const AGREE: Duration = Duration::from_secs(4);

/// How long things took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Times {
    /// Until all heard of the storage.
    pub(crate) back: Duration,
    /// Until all agreed with it.
    pub(crate) agree: Duration,
}

/// Pauses the work and looks.
pub(crate) fn check(world: &World) -> Times {
    if !world.gate.pause(STUCK) {
        world.journal.fail(format!("a call has not come back after {STUCK:?}"));
    }
    let began = Instant::now();
    for one in &world.instances {
        if let Err(error) = one.factory.flush(BACK) {
            world.journal.fail(format!("{} is not flushed: {error}", one.number));
        }
        // Now, not a moment later.
        for now in one.factory.snapshot() {
            if now.shared.is_some_and(|shared| shared.pending > 0) {
                world.journal.complain(format!("{} is flushed, and here is {now:?}", one.number));
            }
        }
    }
    wait(world, "to be in sync", BACK, || not_in_sync(world));
    let back = began.elapsed();
    let agree = agree(world);
    deliver(world);
    // What just came may still be being told.
    wait(world, "to add up", AGREE, || world.instances.iter().flat_map(|one| wrong(one)).collect());
    world.journal.check();
    Times { back, agree }
}

/// Waits until nobody is named any more who does not do what is to be read after "waited for".
fn wait(world: &World, what: &str, limit: Duration, who: impl Fn() -> Vec<String>) -> Duration {
    let began = Instant::now();
    loop {
        let who = who();
        if who.is_empty() {
            return began.elapsed();
        }
        if began.elapsed() > limit {
            world.journal.fail(format!("waited {limit:?} for these {what}: {who:#?}"));
        }
        thread::sleep(LOOK);
    }
}

fn not_in_sync(world: &World) -> Vec<String> {
    let all = world.instances.iter().flat_map(|one| one.factory.snapshot());
    let shared = all.filter(|now| now.shared.is_some_and(|shared| !shared.in_sync));
    shared.map(|now| now.name.to_string()).collect()
}

/// Waits until all instances say of all circuits what the storage says.
pub(crate) fn agree(world: &World) -> Duration {
    wait(world, "to agree", AGREE, || disagreeing(world))
}

/// What the server has of all circuits.
fn records(world: &World) -> Vec<Option<Record>> {
    let keys: Vec<_> = (0..CIRCUITS).map(|circuit| key(&name(circuit))).collect();
    let command: Vec<_> = ["MGET"].into_iter().chain(keys.iter().map(|key| &**key)).collect();
    let values: Vec<Option<String>> = world.server.ask(&command);
    values.into_iter().map(|value| value.map(|value| Record::parse(&value))).collect()
}

fn disagreeing(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for (circuit, record) in records(world).into_iter().enumerate() {
        for one in world.instances.iter().filter(|_| !is_local(circuit)) {
            let Some(now) = one.factory.find(one.name(circuit)).map(|breaker| breaker.snapshot())
            else {
                continue;
            };
            if !agrees(world, &now, record.as_ref()) {
                wrong.push(format!("{}: {now:?}, {record:?}", one.number));
            }
        }
    }
    wrong
}

fn agrees(world: &World, here: &Snapshot, there: Option<&Record>) -> bool {
    match there {
        Some(there) => {
            let state = match there.state {
                'C' => State::Closed,
                'O' => State::Open,
                _ => State::HalfOpen,
            };
            // How many failures there are in a row is told to the others with the first one, not with each.
            let failing = state == State::Closed && there.failures > 0;
            // That they have ended, not if they were lost before: to the storage nothing is different then.
            let same = (here.failures > 0) == failing || world.lossy.load(Ordering::SeqCst);
            here.state == state && same
        }
        // That it was lost is noticed when there is something to say.
        None if world.lossy.load(Ordering::SeqCst) => true,
        // That there is none says nothing: who tripped alone, some time ago, waits for a call.
        None => here.failures == 0,
    }
}

/// Has events be told that were left for the next one: one call delivers a thousand at most.
fn deliver(world: &World) {
    for one in &world.instances {
        for name in one.factory.names() {
            // Asked for without a setting, it is compared with those it has, and has them.
            (0..3).for_each(|_| drop(one.factory.get_breaker_with(&name, Config::new())));
        }
    }
}

/// Where what callers know, what circuits counted and what listeners were told is not the same.
fn wrong(one: &Instance) -> Vec<String> {
    let lasting = (0..CIRCUITS).filter(|&circuit| !is_transient(circuit));
    let mut wrong: Vec<_> = lasting
        .filter_map(|circuit| {
            let now = one.factory.find(one.name(circuit))?.snapshot();
            let wrong = wrong_counts(one, circuit, &now);
            (!wrong.is_empty()).then(|| format!("{} of {}: {wrong:?}", now.name, one.number))
        })
        .collect();
    let (panics, thrown) = (one.factory.listener_panics(), one.panicker.thrown());
    if panics != thrown {
        wrong.push(format!("{thrown} panics of listeners of {}, and {panics} counted", one.number));
    }
    wrong
}

fn wrong_counts(one: &Instance, circuit: usize, now: &Snapshot) -> Vec<String> {
    let (tally, told) = (one.tally(circuit), one.recorder.counts(&now.name));
    let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
    let (failures, uncertain) = (read(&tally.failures), read(&tally.uncertain));
    let mut wrong = Vec::new();
    // Of frequent events some may be missing, as many as it says.
    let dropped = now.events_dropped;
    let mut few = |what: &str, were: u64, told: u64| {
        if told > were || were - told > dropped {
            wrong.push(format!("{what}: {were}, of which {told} were told and {dropped} dropped"));
        }
    };
    few("rejections", now.rejected, told.rejected);
    few("late calls", now.late, told.late);
    if let Some(shared) = now.shared {
        few("failures", shared.recorded + shared.discarded + shared.pending, told.failed);
    }
    let rejected = read(&tally.rejected);
    if now.rejected != rejected {
        wrong.push(format!("{rejected} rejections, {} counted", now.rejected));
    }
    let placed = told.failed + told.late_failures;
    if placed > failures + uncertain || placed + told.unplaced + dropped < failures {
        wrong.push(format!("{failures} failures and up to {uncertain} more, {told:?}"));
    }
    match one.recorder.last(&now.name) {
        Some((generation, state)) if now.generation >= generation && now.state == state => {}
        last => wrong.push(format!("{last:?} was told last, and it is {now:?}")),
    }
    wrong
}

/// Every failure of the circuit that only fails is in its record once, or was said to be discarded. Then it goes.
/// Returns how many were stored.
pub(crate) fn check_ledger(world: &World) -> u64 {
    let (name, _) = world.instances[0].ledger();
    let mut recorded = 0;
    for one in &world.instances {
        let now = one.factory.find(&name).expect("it is there for a round").snapshot();
        let shared = now.shared.expect("it is shared");
        let failed = one.ledger().1;
        if shared.recorded + shared.discarded != failed || shared.pending > 0 {
            world.journal.complain(format!("{failed} failures of {name}: {shared:?}"));
        }
        recorded += shared.recorded;
    }
    let record: Option<String> = world.server.ask(&["GET", &key(&name)]);
    let stored = record.as_deref().map_or(0, |record| Record::parse(record).failures);
    if stored != recorded && !world.lossy.load(Ordering::SeqCst) {
        world.journal.complain(format!("{recorded} failures recorded, and {record:?} is stored"));
    }
    for one in &world.instances {
        wait(world, "to let go of it", AGREE, || match one.factory.remove(&name) {
            Ok(()) => Vec::new(),
            Err(error) => vec![format!("{}: {error}", one.number)],
        });
        one.recorder.forget(&name);
    }
    world.journal.check();
    stored
}

/// No call has a place any more, so all can be taken that there are, of circuits that are not shared: there no
/// place comes back with time. Returns how many were taken.
pub(crate) fn check_local_places(world: &World) -> u64 {
    let mut taken = 0;
    for one in &world.instances {
        for circuit in (0..CIRCUITS).filter(|&circuit| is_local(circuit)) {
            let breaker = one.factory.find(one.name(circuit));
            let half_open = |breaker: &CircuitBreaker| breaker.state() == State::HalfOpen;
            let Some(breaker) = breaker.filter(half_open) else { continue };
            let probes = breaker.settings().half_open_probes;
            // Not counted among those of callers: none is rejected.
            let permits: Vec<_> = (0..probes).map_while(|_| breaker.acquire().ok()).collect();
            if permits.len() < probes as usize {
                let free = permits.len();
                world
                    .journal
                    .complain(format!("{free} of {probes} places: {:?}", breaker.snapshot()));
            }
            taken += u64::from(probes);
            permits.into_iter().for_each(|permit| permit.ignore());
        }
    }
    world.journal.check();
    taken
}

/// The same of those that are shared, as the storage has it.
pub(crate) fn check_places(world: &World) {
    for (circuit, record) in records(world).into_iter().enumerate() {
        if let Some(record) = record.filter(|record| !record.probes.is_empty()) {
            let known = world.instances.iter().map(|one| one.breaker(circuit).snapshot());
            let known: Vec<_> = known.collect();
            world.journal.complain(format!("no call is under way: {record:?}, {known:#?}"));
        }
    }
    world.journal.check();
}
