//! Many writers at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Waker};

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::breach::{Breach, Promise};
use super::handle::{Bench, Handle, joined, shown, write};
use crate::storage::Versioned;

/// How many tasks write at a time.
pub(super) const TASKS: usize = 8;

/// How often each of them adds one.
const ROUNDS: usize = 64;

pub(super) async fn check(bench: &Bench) -> Result<(), Breach> {
    for round in 0..8 {
        one_first(bench, round).await?;
    }
    none_lost(bench).await?;
    dropped(bench).await
}

/// One half of the tasks through each handle.
pub(super) fn handle(bench: &Bench, task: usize) -> Handle {
    [&bench.here, &bench.there][task % 2].clone()
}

/// All at the same time write over the same version: one of them does.
async fn one_first(bench: &Bench, round: usize) -> Result<(), Breach> {
    let circuit: Arc<str> = bench.circuit(&format!("race {round}")).into();
    let start = Arc::new(Barrier::new(TASKS));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (handle, circuit, start) =
            (handle(bench, task), Arc::clone(&circuit), Arc::clone(&start));
        tasks.spawn(async move {
            start.wait().await;
            handle.write(write(&circuit, 0, format!("task {task}").as_bytes())).await
        });
    }
    let swaps = joined(tasks).await?;
    let done = format!("{circuit:?} was written by {TASKS} tasks for the first time");
    let applied: Vec<_> = swaps.iter().filter(|swap| swap.applied).collect();
    let [winner] = applied.as_slice() else {
        let found = format!("{} were applied", applied.len());
        return Err(Breach::new(Promise::Excluding, done, "one to be applied", found));
    };
    let record = winner.stored.record.as_ref();
    if let Some(swap) = swaps.iter().find(|swap| swap.stored.record.as_ref() != record) {
        let wanted = format!("all to see {}", shown(record));
        let found = shown(swap.stored.record.as_ref());
        return Err(Breach::new(Promise::Reporting, done, wanted, found));
    }
    bench.expect(Promise::Excluding, &circuit, record, "after a race").await
}

/// All add to one number, over and over.
async fn none_lost(bench: &Bench) -> Result<(), Breach> {
    let circuit: Arc<str> = bench.circuit("count").into();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (handle, circuit) = (handle(bench, task), Arc::clone(&circuit));
        tasks.spawn(async move { count(&handle, &circuit).await });
    }
    let mut counted = BTreeMap::new();
    for (count, version) in joined(tasks).await?.into_iter().flatten() {
        if let Some(other) = counted.insert(count, version) {
            let done = format!("{TASKS} tasks added to the number in {circuit:?}");
            let found = format!("{count} twice, as versions {other} and {version}");
            return Err(Breach::new(Promise::Excluding, done, "every number once", found));
        }
    }
    let versions: Vec<_> = counted.values().copied().collect();
    if let Some(pair) = versions.windows(2).find(|pair| pair[0] >= pair[1]) {
        let done = format!("{TASKS} tasks wrote {circuit:?}");
        let found = format!("{} after {}", pair[1], pair[0]);
        return Err(Breach::new(Promise::Growing, done, "versions that grow", found));
    }
    let last = counted
        .last_key_value()
        .map(|(count, &version)| Versioned { version, bytes: count.to_string().into_bytes() });
    let after = format!("after {TASKS} tasks added {ROUNDS} each");
    bench.expect(Promise::Excluding, &circuit, last.as_ref(), &after).await
}

/// The numbers that this task wrote, and their versions.
async fn count(handle: &Handle, circuit: &str) -> Result<Vec<(usize, u64)>, Breach> {
    let mut counted = Vec::new();
    let mut there = handle.load(circuit).await?.record;
    while counted.len() < ROUNDS {
        let next = 1 + number(circuit, there.as_ref())?;
        let bytes = next.to_string();
        let expected = there.as_ref().map_or(0, |record| record.version);
        let swap = handle.write(write(circuit, expected, bytes.as_bytes())).await?;
        if swap.applied {
            counted.extend(swap.stored.record.as_ref().map(|record| (next, record.version)));
        }
        there = swap.stored.record;
    }
    Ok(counted)
}

fn number(circuit: &str, record: Option<&Versioned>) -> Result<usize, Breach> {
    let Some(record) = record else { return Ok(0) };
    let text = std::str::from_utf8(&record.bytes).ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        let done = format!("numbers were written to {circuit:?}");
        Breach::new(Promise::Bytes, done, "a number", shown(Some(record)))
    })
}

/// The driver drops what takes too long.
async fn dropped(bench: &Bench) -> Result<(), Breach> {
    let circuit = bench.circuit("dropped");
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..4 {
        let mut load = bench.here.storage.load(&circuit);
        let _ = load.as_mut().poll(&mut context).is_ready();
        let mut swap = bench.here.storage.compare_and_set(write(&circuit, 0, b"dropped"));
        let _ = swap.as_mut().poll(&mut context).is_ready();
    }
    let mut expected = 0;
    for _ in 0..16 {
        let swap =
            bench.there.write(write(&circuit, expected, b"whole")).await.map_err(|breach| {
                let done = format!("{} after others had been dropped", breach.done);
                Breach { promise: Promise::Dropping, done, ..breach }
            })?;
        let record = swap.stored.record;
        if swap.applied {
            return bench.expect(Promise::Reading, &circuit, record.as_ref(), "then").await;
        }
        if record.as_ref().is_some_and(|record| record.bytes != b"dropped") {
            let done = format!("{circuit:?} was read after its writes had been dropped");
            let (wanted, found) = ("all of one, or nothing", shown(record.as_ref()));
            return Err(Breach::new(Promise::Dropping, done, wanted, found));
        }
        expected = record.map_or(0, |record| record.version);
    }
    let done = format!("{circuit:?} was written after others had been dropped");
    let found = "that the record changed, over and over";
    Err(Breach::new(Promise::Dropping, done, "it to be applied", found))
}
