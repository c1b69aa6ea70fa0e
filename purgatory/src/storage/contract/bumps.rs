//! Outcomes that are added.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::task::JoinSet;

use super::breach::{Breach, Promise};
use super::contention::{TASKS, handle};
use super::handle::{Bench, Handle, MINUTE, SLACK, draw, joined, shown, shown_bytes, write};
use crate::bump::{Bump, rewrite, store_time};
use crate::circuit::{Circuit, Run};
use crate::config::Config;
use crate::outcome::Outcome;
use crate::record::{Read, Record, UpdateId};
use crate::state::State;
use crate::storage::{Stored, Versioned};
use crate::update::Update;

/// What calls came to: successes and failures.
const RUNS: [&str; 8] = ["F", "FF", "FFF", "S", "SF", "FSF", "FFFS", "SFFFF"];

/// What may be there already. `W` stands for the writer that adds.
const RECORDS: [&str; 13] = [
    "1 C 0 1700000000000000 0 0 3:30000000:1:1:30000000 0 - -",
    "1 C 0 1700000000000000 0 1 3:30000000:1:1:30000000 0 - -",
    "1 C 0 1700000000000000 0 2 3:30000000:1:1:30000000 0 - 1:1,2:7,3:a,4:1,5:1,6:1,7:1,8:1,9:1,a:1,b:1,c:1,d:1,e:1,f:1,10:1",
    "1 C 0 1700000000000000 0 2 3:30000000:1:1:30000000 0 - 1:1,W:1,2:1",
    "1 C 0 1700000000000000 0 2 3:30000000:1:1:30000000 0 - 1:1,W:2,2:1",
    "1 C 0 1700000000000000 0 2 3:30000000:1:1:30000000 0 - 1:1,W:3,2:1",
    "1 C 0 1700000000000000 0 40 100:60000000:2:2:60000000 0 - 1:1",
    "1 C 5 1700000000000000 0 1 3:30000000:1:1:30000000 0 - 1:1",
    "1 O 0 1700000000000000 30000000 0 3:30000000:1:1:30000000 0 - 1:1",
    "1 H 0 1700000000000000 0 0 3:30000000:1:1:30000000 0 77:1700000030000000 1:1",
    "2 C 0 1700000000000000 0 of a format to come",
    "1 C 0 1700000000000000 0 2 3:30000000:1:1:30000000 0 -",
    "not a record",
];

/// Of the updates that are added: between those that [`RECORDS`] have.
const SEQUENCE: u64 = 2;

/// How often each task adds two failures at the same time as the others.
const ROUNDS: u64 = 8;

pub(super) async fn check(bench: &Bench) -> Result<(), Breach> {
    let nothing = update(draw(), 1, "F");
    let circuit = bench.circuit("added");
    let Some(first) = bench.here.bump(&Bump::new(&circuit, MINUTE, &nothing)).await else {
        return Ok(());
    };
    first?;
    for (index, record) in RECORDS.iter().enumerate() {
        for run in RUNS {
            let circuit = bench.circuit(&format!("added {run} to {index}"));
            as_applied(bench, &circuit, Some(record), run).await?;
        }
    }
    for run in RUNS {
        let circuit = bench.circuit(&format!("added {run} to nothing"));
        as_applied(bench, &circuit, None, run).await?;
    }
    twice(bench).await?;
    add_up(bench).await
}

/// Outcomes of a circuit with a threshold of three.
pub(super) fn update(writer: u64, sequence: u64, run: &str) -> Update {
    let config = Config::new().threshold(3);
    let own = Circuit::new(config.resolve(), store_time(SystemTime::now()));
    let mut folded = Run::default();
    for call in run.chars() {
        folded.push(if call == 'F' { Outcome::Failure } else { Outcome::Success });
    }
    Update {
        id: UpdateId { writer, sequence },
        generation: 0,
        run: folded,
        decision: None,
        outcomes: Vec::new(),
        ask: None,
        own,
    }
}

async fn bump(handle: &Handle, bump: &Bump<'_>) -> Result<Stored, Breach> {
    match handle.bump(bump).await {
        Some(stored) => stored,
        None => {
            let done = format!("outcomes were added to {:?}", bump.circuit());
            let wanted = "that it can, as it could before";
            Err(Breach::new(Promise::Adding, done, wanted, "that it cannot"))
        }
    }
}

/// Adds once, and again as if the answer had been lost.
async fn as_applied(
    bench: &Bench,
    circuit: &str,
    record: Option<&str>,
    run: &str,
) -> Result<(), Breach> {
    let update = update(draw(), SEQUENCE, run);
    let record = record.map(|record| record.replace('W', &format!("{:x}", update.id.writer)));
    let there = match &record {
        Some(record) => Some(bench.there.put(write(circuit, 0, record.as_bytes())).await?),
        None => None,
    };
    let done = || format!("{run} was added to {}", shown(there.as_ref()));
    let add = Bump::new(circuit, MINUTE, &update);
    let earliest = bench.there.load(circuit).await?.now;
    let stored = bump(&bench.here, &add).await?;
    let found = stored.record.as_ref();
    let tripped = tripped(there.as_ref(), found);
    check_time(tripped, earliest, stored.now, &done)?;
    let now = tripped.unwrap_or_else(SystemTime::now);
    match add.apply(there.as_ref(), now) {
        Some(wanted) => {
            if found.is_none_or(|found| found.bytes != wanted.bytes) {
                let wanted = shown_bytes(&wanted.bytes);
                return Err(Breach::new(Promise::Adding, done(), wanted, shown(found)));
            }
            let before = there.as_ref().map_or(0, |there| there.version);
            if found.is_some_and(|found| found.version <= before) {
                let wanted = format!("a version of more than {before}");
                return Err(Breach::new(Promise::Growing, done(), wanted, shown(found)));
            }
        }
        None if found == there.as_ref() => {}
        None => {
            let wanted = format!("{}, unchanged", shown(there.as_ref()));
            return Err(Breach::new(Promise::Adding, done(), wanted, shown(found)));
        }
    }
    bench.expect(Promise::Reading, circuit, found, "after an addition").await?;
    let again = bump(&bench.there, &add).await?.record;
    if again.as_ref() != found {
        let done = format!("{}, and added again", done());
        let wanted = format!("{}, unchanged", shown(found));
        return Err(Breach::new(Promise::Adding, done, wanted, shown(again.as_ref())));
    }
    Ok(())
}

/// When the circuit opened, if that is what the addition did.
fn tripped(before: Option<&Versioned>, after: Option<&Versioned>) -> Option<SystemTime> {
    if before == after {
        return None;
    }
    match Record::decode(&after?.bytes) {
        Read::Known(record) if record.circuit.state() == State::Open => {
            Some(SystemTime::UNIX_EPOCH + record.circuit.since().since_origin())
        }
        _ => None,
    }
}

/// A circuit opens by the clock of the storage, if it has one.
fn check_time(
    tripped: Option<SystemTime>,
    earliest: Option<SystemTime>,
    latest: Option<SystemTime>,
    done: &impl Fn() -> String,
) -> Result<(), Breach> {
    let (Some(at), Some(earliest), Some(latest)) = (tripped, earliest, latest) else {
        return Ok(());
    };
    if !(earliest - SLACK..=latest + SLACK).contains(&at) {
        let wanted = format!("it to open between {earliest:?} and {latest:?}");
        return Err(Breach::new(Promise::Adding, done(), wanted, format!("{at:?}")));
    }
    Ok(())
}

/// The same outcomes at the same time, as after a reconnection.
async fn twice(bench: &Bench) -> Result<(), Breach> {
    for round in 0..8 {
        let circuit: Arc<str> = bench.circuit(&format!("added twice, {round}")).into();
        let update = Arc::new(update(draw(), 1, "F"));
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (handle, circuit) = (handle(bench, task), Arc::clone(&circuit));
            let update = Arc::clone(&update);
            tasks.spawn(async move { bump(&handle, &Bump::new(&circuit, MINUTE, &update)).await });
        }
        joined(tasks).await?;
        let done = format!("one failure was added to {circuit:?} by {TASKS} tasks");
        expect_failures(bench, &circuit, 1, done).await?;
    }
    Ok(())
}

/// Additions at the same time add up, and with a writer that compares and sets.
async fn add_up(bench: &Bench) -> Result<(), Breach> {
    let circuit: Arc<str> = bench.circuit("added by many").into();
    let mut tasks = JoinSet::new();
    for task in 0..=TASKS {
        let (handle, circuit, writer) = (handle(bench, task), Arc::clone(&circuit), draw());
        tasks.spawn(async move {
            for sequence in 1..=ROUNDS {
                let mut update = update(writer, sequence, "FF");
                update.own =
                    Circuit::new(Config::new().threshold(u32::MAX).resolve(), update.own.since());
                if task < TASKS {
                    bump(&handle, &Bump::new(&circuit, MINUTE, &update)).await?;
                } else {
                    swap_in(&handle, &circuit, &update).await?;
                }
            }
            Ok(())
        });
    }
    joined(tasks).await?;
    let all = 2 * ROUNDS as u32 * (TASKS as u32 + 1);
    let done = format!("{all} failures were added to {circuit:?} by {} tasks", TASKS + 1);
    expect_failures(bench, &circuit, all, done).await
}

/// Adds as the driver does where there is no `bump`.
async fn swap_in(handle: &Handle, circuit: &str, update: &Update) -> Result<(), Breach> {
    let mut there = handle.load(circuit).await?.record;
    while let Some(bumped) = rewrite(update, there.as_ref(), update.own.since()) {
        let expected = there.as_ref().map_or(0, |there| there.version);
        let swap = handle.write(write(circuit, expected, &bumped.bytes)).await?;
        if swap.applied {
            break;
        }
        there = swap.stored.record;
    }
    Ok(())
}

async fn expect_failures(
    bench: &Bench,
    circuit: &str,
    failures: u32,
    done: String,
) -> Result<(), Breach> {
    let found = bench.here.load(circuit).await?.record;
    match found.as_ref().map(|found| Record::decode(&found.bytes)) {
        Some(Read::Known(record)) if record.circuit.failures() == failures => Ok(()),
        _ => {
            let wanted = format!("{failures} failures in a record");
            Err(Breach::new(Promise::Adding, done, wanted, shown(found.as_ref())))
        }
    }
}
