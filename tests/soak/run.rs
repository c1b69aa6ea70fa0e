//! Rounds of work and pauses, and what they came to.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use purgatory_tests::servers::{Engine, Server};

use crate::dice::Dice;
use crate::faults::{Faults, KINDS};
use crate::gate::{LOOK, Phase};
use crate::journal::Witness;
use crate::quiet::{self, Times};
use crate::recovery::recover;
use crate::resources::{Resources, drivers};
use crate::world::World;
use crate::{tasks, worker};

/// How many threads make calls, beside the tasks.
const WORKERS: usize = 2;

/// How much more memory may be used at the end than after the first rounds.
const GROWTH_KIB: u64 = 8 * 1024;

/// How long what was disturbed takes to be gone.
const GONE: Duration = Duration::from_secs(10);

/// How often work without faults is tried until the storage was not away: a machine that is busy enough is a
/// fault in itself.
const TRIES: usize = 4;

/// So many rounds have to have met what is rare.
const SOME: u64 = 3;

/// So many, faults of every kind.
const MANY: u64 = 60;

/// What 999 of 1000 calls may take: what callers of a busy machine would not forgive. See `latency`.
const SLOW: Duration = Duration::from_millis(100);

/// What the rounds came to.
#[derive(Default)]
struct Report {
    rounds: u64,
    lossy: u64,
    /// Pauses after work without faults, in which it was certain that no place may be taken.
    strict: u64,
    /// Places of circuits that are not shared, which were taken to see whether they are free.
    places: u64,
    /// Failures of circuits that only fail, which all came to be stored.
    stored: u64,
    back: Duration,
    agree: Duration,
    recover: Duration,
    resources: Vec<Resources>,
}

pub(crate) fn run(seed: u64, time: Duration) {
    println!("PURGATORY_SEED={seed} PURGATORY_SOAK_SECONDS={}", time.as_secs());
    let server = Server::start(Engine::Redis);
    let before = Resources::now();
    let mut dice = Dice::new(seed);
    let world = World::new(server, seed, &mut dice);
    let mut witness = Witness::new(&world.journal);
    let workers: Vec<_> = (0..WORKERS).map(|_| worker::start(&world, dice.fork())).collect();
    let tasks = tasks::start(&world, &mut dice);

    let (began, mut report) = (Instant::now(), Report::default());
    while report.rounds == 0 || began.elapsed() < time {
        let left = time.saturating_sub(began.elapsed());
        round(&world, &mut dice, left, &mut report);
    }
    world.gate.set(Phase::End);
    workers.into_iter().for_each(|worker| worker.join().expect("a panic is in the journal"));
    tasks.end(&world.journal, GONE);
    tell(&world, &report);
    judge(&world, &report);

    let World { instances, server: _server, journal, .. } = alone(world);
    drop(instances);
    witness.rest();
    let ended = Instant::now();
    loop {
        let now = Resources::now();
        if drivers() == 0 && !now.more_than(&before) {
            break;
        }
        if ended.elapsed() > GONE {
            let drivers = drivers();
            journal.fail(format!("{before:?} before, {now:?} after, {drivers} drivers"));
        }
        thread::sleep(LOOK);
    }
    // Also what the drivers said at last.
    journal.check();
}

/// The world, when nobody else has to do with it.
fn alone(mut world: Arc<World>) -> World {
    let began = Instant::now();
    loop {
        match Arc::try_unwrap(world) {
            Ok(world) => return world,
            // A listener may look whether there is something to do.
            Err(shared) => world = shared,
        }
        if began.elapsed() > GONE {
            world.journal.fail("somebody does not end".to_owned());
        }
        thread::sleep(LOOK);
    }
}

/// Work with faults, work without, and a pause after each.
fn round(world: &Arc<World>, dice: &mut Dice, left: Duration, report: &mut Report) {
    let ledger = format!("ledger-{}", report.rounds);
    world.instances.iter().for_each(|one| one.begin_ledger(&ledger));
    // In every other round nothing is lost, so that counts are exact.
    let may_lose = report.rounds % 2 == 1;
    world.lossy.store(false, Ordering::SeqCst);
    world.gate.set(Phase::Faults);
    let faults = Faults::begin(world, dice.fork(), may_lose);
    // The length of the work.
    thread::sleep(dice.millis(5000, 9000).min(left.max(Duration::from_secs(3))));
    faults.end(&world.journal);
    pause(world, report);
    report.recover = report.recover.max(recover(world));
    pause(world, report);

    for _ in 0..TRIES {
        let downs = world.downs();
        world.gate.set(Phase::Clean);
        thread::sleep(Duration::from_millis(1500)); // The same.
        pause(world, report);
        // Otherwise an answer may have been lost that gave a place away.
        if world.downs() == downs {
            quiet::check_places(world);
            report.strict += 1;
            break;
        }
    }
    report.stored += quiet::check_ledger(world);
    report.recover = report.recover.max(recover(world));
    report.lossy += u64::from(world.lossy.load(Ordering::SeqCst));
    report.rounds += 1;
    let resources = settled(world, report.resources.first());
    report.resources.push(resources);
    println!("round {} at {:?}: {resources:?}", report.rounds, world.journal.elapsed());
}

/// What is used when no more files and threads are there than at first: lines that were cut take a moment to end.
fn settled(world: &World, first: Option<&Resources>) -> Resources {
    let began = Instant::now();
    loop {
        let now = Resources::now();
        let Some(first) = first.filter(|first| now.more_than(first)) else { return now };
        if began.elapsed() > GONE {
            world.journal.fail(format!("{first:?} after the first round, {now:?} after this one"));
        }
        thread::sleep(LOOK);
    }
}

fn pause(world: &World, report: &mut Report) {
    let Times { back, agree } = quiet::check(world);
    report.places += quiet::check_local_places(world);
    report.back = report.back.max(back);
    report.agree = report.agree.max(agree);
}

fn tell(world: &World, report: &Report) {
    let Report { rounds, lossy, strict, places, stored, back, agree, recover, .. } = report;
    println!("{rounds} rounds, {lossy} with losses, {strict} with a look at the places of probes");
    println!("{places} places of circuits that are not shared were free");
    println!(
        "{} operations, {} events, {} changes, {} trips, {} panics and {} meddlings of listeners",
        world.operations.load(Ordering::SeqCst),
        world.journal.told(),
        world.sum(|one| one.recorder.changes()),
        world.sum(|one| one.recorder.trips()),
        world.sum(|one| one.panicker.thrown()),
        world.sum(|one| one.meddler.meddled()),
    );
    let dropped: u64 = world
        .instances
        .iter()
        .flat_map(|one| one.factory.snapshot())
        .map(|now| now.events_dropped)
        .sum();
    println!("{dropped} events dropped, {stored} failures of the ledgers stored");
    println!("storage down {} times, up {}", world.downs(), world.sum(|one| one.recorder.ups()));
    println!("faults: {:?}", world.journal.kinds());
    println!("back after {back:?}, agreed after {agree:?}, recovered after {recover:?} at most");
    for (what, tasks) in [("threads", false), ("tasks", true)] {
        for (with, faults) in [("with", true), ("without", false)] {
            let latency = if tasks { world.task_latency(faults) } else { world.latency(faults) };
            let [half, most, nearly] = [500.0, 999.0, 999.9].map(|share| latency.permille(share));
            println!(
                "acquire in {what} {with} faults: {} calls, half within {half:?}, 99.9 % {most:?}, 99.99 % {nearly:?}",
                latency.count(),
            );
        }
    }
}

fn judge(world: &World, report: &Report) {
    let most = world.latency(true).permille(999.0);
    if most > SLOW {
        world.journal.complain(format!("99.9 % of the calls took up to {most:?}"));
    }
    let happened = [
        ("looks at the places of probes", report.strict),
        ("places of probes that were free", report.places),
        ("failures of the ledgers that were stored", report.stored),
        ("panics of listeners", world.sum(|one| one.panicker.thrown())),
        ("meddlings of listeners", world.sum(|one| one.meddler.meddled())),
        ("storages that went down", world.downs()),
        ("storages that came back", world.sum(|one| one.recorder.ups())),
    ];
    for (what, _) in happened.iter().filter(|(_, times)| report.rounds >= SOME && *times == 0) {
        world.journal.complain(format!("no {what}"));
    }
    let kinds = world.journal.kinds();
    if report.rounds >= MANY && kinds.len() != KINDS {
        world
            .journal
            .complain(format!("{KINDS} kinds of faults there are, and these were: {kinds:?}"));
    }
    // What is made at the beginning is kept: connections, and the tables of the allocator.
    let warm = report.resources.len().div_ceil(5);
    let (warm, last) = (report.resources[warm - 1], report.resources[report.resources.len() - 1]);
    if last.resident_kib > warm.resident_kib + GROWTH_KIB {
        world.journal.complain(format!("{warm:?} when warm, {last:?} at the end"));
    }
    if kinds.is_empty() || world.instances.iter().any(|one| one.recorder.trips() == 0) {
        world.journal.complain("nothing happened".to_owned());
    }
    world.journal.check();
}
