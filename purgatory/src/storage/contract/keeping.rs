//! How long records are kept, and what comes after.

use std::time::Duration;

use tokio::time::{self, Instant};

use super::breach::{Breach, Promise};
use super::bumps;
use super::handle::{Bench, draw, shown, write};
use crate::bump::Bump;
use crate::config::Config;
use crate::storage::{Versioned, Write};

/// Not a number of seconds: some storages count in those.
const KEPT: Duration = Duration::from_millis(1900);

const LOOKED_AT: Duration = Duration::from_millis(1750);

const FLEETING: Duration = Duration::from_millis(50);

/// For how long an expiry is waited for, which need not come.
const EXPIRED: Duration = Duration::from_millis(1500);

/// A record that was written, and until when it has to be there.
struct Kept {
    circuit: String,
    record: Versioned,
    until: Instant,
}

pub(super) async fn check(bench: &Bench) -> Result<(), Breach> {
    tokio::try_join!(kept(bench), growing(bench)).map(|((), ())| ())
}

async fn kept(bench: &Bench) -> Result<(), Breach> {
    // The longest that a factory asks for. A storage that has no room for it may wrap around.
    let longest = Config::MAX_TTL * 10;
    let began = Instant::now();
    let mut all = vec![
        keep(bench, "written once", &[KEPT]).await?,
        keep(bench, "written again", &[FLEETING, KEPT]).await?,
        keep(bench, "kept for centuries", &[longest]).await?,
    ];
    all.extend(keep_bumped(bench).await?);
    time::sleep_until(began + LOOKED_AT).await;
    for Kept { circuit, record, until } in &all {
        let found = bench.there.load(circuit).await?.record;
        if found.as_ref() != Some(record) && Instant::now() < *until {
            let done = format!("{circuit:?} was read {LOOKED_AT:?} later");
            let (wanted, found) = (shown(Some(record)), shown(found.as_ref()));
            return Err(Breach::new(Promise::Keeping, done, wanted, found));
        }
    }
    // Nothing is left behind for centuries.
    let Kept { circuit, record, .. } = &all[2];
    bench.here.put(write(circuit, record.version, b"short")).await.map(drop)
}

/// Writes a circuit, to be kept for the last of these times.
async fn keep(bench: &Bench, name: &str, times: &[Duration]) -> Result<Kept, Breach> {
    let circuit = bench.circuit(name);
    let mut there = 0;
    let mut last = None;
    for (index, &expires_in) in times.iter().enumerate() {
        let bytes = format!("{name} {index}");
        loop {
            let until = Instant::now() + expires_in;
            let write = Write { expires_in, ..write(&circuit, there, bytes.as_bytes()) };
            let swap = bench.here.write(write).await?;
            // If not, the one before it has expired already.
            there = swap.stored.record.as_ref().map_or(0, |record| record.version);
            if swap.applied {
                last = swap.stored.record.map(|record| (record, until));
                break;
            }
        }
    }
    let (record, until) = last.expect("a write that was applied has a record");
    Ok(Kept { circuit, record, until })
}

/// The same with an addition, where there is one.
async fn keep_bumped(bench: &Bench) -> Result<Option<Kept>, Breach> {
    let circuit = bench.circuit("added to");
    let first = write(&circuit, 0, b"not a record");
    bench.here.put(Write { expires_in: FLEETING, ..first }).await?;
    let update = bumps::update(draw(), 1, "F");
    let until = Instant::now() + KEPT;
    let Some(stored) = bench.here.bump(&Bump::new(&circuit, KEPT, &update)).await else {
        return Ok(None);
    };
    Ok(stored?.record.map(|record| Kept { circuit, record, until }))
}

/// Versions go on from where they were.
async fn growing(bench: &Bench) -> Result<(), Breach> {
    let circuit = bench.circuit("fleeting");
    let first = Write { expires_in: FLEETING, ..write(&circuit, 0, b"first") };
    let first = bench.here.put(first).await?;
    let began = Instant::now();
    while bench.there.load(&circuit).await?.record.is_some() {
        if began.elapsed() > EXPIRED {
            return Ok(());
        }
        time::sleep(FLEETING).await;
    }
    let swap = bench.here.attempt(write(&circuit, first.version, b"late")).await?;
    if swap.applied {
        let done = format!("{circuit:?} was written over version {}, expired", first.version);
        let wanted = "it not to be applied, as there is no record";
        return Err(Breach::new(Promise::Comparing, done, wanted, "it was applied"));
    }
    let second = bench.here.put(write(&circuit, 0, b"second")).await?;
    if second.version <= first.version {
        let done = format!("{circuit:?} was written again after it had expired");
        let wanted = format!("a version of more than {}", first.version);
        return Err(Breach::new(Promise::Growing, done, wanted, second.version.to_string()));
    }
    Ok(())
}
