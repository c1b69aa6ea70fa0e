//! What those who watch are told.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{self, Instant};

use super::breach::{Breach, Promise};
use super::bumps;
use super::handle::{Bench, Handle, MINUTE, draw, shown, write};
use crate::bump::Bump;
use crate::storage::{StorageError, Versioned, Watcher, Write};

/// How long a watch may take to begin.
const BEGIN: Duration = Duration::from_secs(5);

/// How often a watch is begun again.
const AGAIN: usize = 3;

/// A watch, which ends when this is dropped.
struct Watching {
    task: JoinSet<StorageError>,
    _follower: JoinSet<()>,
    heard: Arc<Heard>,
    /// Something was heard.
    news: mpsc::UnboundedReceiver<()>,
}

#[derive(Default)]
struct Heard(Mutex<Told>);

#[derive(Default)]
struct Told {
    ready: bool,
    records: Vec<(String, Versioned)>,
    /// The first record that was told before it was there.
    early: Option<Breach>,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was written here, and so may be told.
#[derive(Default)]
struct Written {
    records: HashSet<(String, u64, Vec<u8>)>,
}

pub(super) async fn check(bench: &Bench) -> Result<(), Breach> {
    let Some(mut here) = Watching::begin(&bench.here).await? else { return Ok(()) };
    let mut written = Written::default();
    let Some(mut there) = Watching::begin(&bench.there).await? else {
        return Err(broken("both handles were watched", "a watch of each", "that of one"));
    };
    one_by_one(bench, [&mut here, &mut there], &mut written).await?;
    all_at_once(bench, [&mut here, &mut there], &mut written).await?;
    for watching in [&mut here, &mut there] {
        watching.goes_on("two handles were watched")?;
        nothing_else(bench, watching, &written)?;
    }
    drop((here, there));
    for round in 0..AGAIN {
        let done = "a handle was watched again";
        let Some(mut again) = Watching::begin(&bench.there).await? else {
            return Err(broken(done, "a watch, as before", "none"));
        };
        // At once: from `ready` on nothing is missed.
        let circuit = bench.circuit(&format!("watched again {round}"));
        let record = announced(&bench.here, &circuit, 0, b"again", &mut written).await?;
        again.hears(bench, &circuit, &record).await?;
    }
    Ok(())
}

fn broken(done: &str, expected: &str, found: impl Into<String>) -> Breach {
    Breach::new(Promise::Watching, done, expected, found)
}

/// A watch that has ended, though nothing was wrong.
fn ended(end: Result<StorageError, JoinError>, done: &str) -> Breach {
    match end.map_err(JoinError::try_into_panic) {
        Ok(cause) => broken(done, "the watch to go on", format!("its end: {cause}")),
        Err(Ok(panic)) => std::panic::resume_unwind(panic),
        Err(Err(_)) => unreachable!("nobody has ended the watch"),
    }
}

impl Watching {
    /// Begins a watch, and waits until it is ready.
    async fn begin(handle: &Handle) -> Result<Option<Self>, Breach> {
        let heard: Arc<Heard> = Arc::default();
        let (told, news) = mpsc::unbounded_channel();
        let (followed, follow) = mpsc::unbounded_channel();
        let watcher = {
            let (heard, ready, at_ready) = (Arc::clone(&heard), told.clone(), Arc::clone(&heard));
            Watcher::of(
                move || {
                    at_ready.lock().ready = true;
                    // Nobody listens any more if this fails.
                    let _ = ready.send(());
                },
                move |circuit, record| {
                    let _ = followed.send((circuit.to_owned(), record.version));
                    heard.lock().records.push((circuit.to_owned(), record));
                    let _ = told.send(());
                },
            )
        };
        if handle.storage.watch(watcher.clone()).is_none() {
            return Ok(None);
        }
        let storage = Arc::clone(&handle.storage);
        let mut task = JoinSet::new();
        task.spawn(async move {
            match storage.watch(watcher) {
                Some(watching) => watching.await,
                None => StorageError::Unavailable("there is no watch any more".to_owned()),
            }
        });
        let mut follower = JoinSet::new();
        follower.spawn(follow_up(handle.clone(), follow, Arc::clone(&heard)));
        let mut watching = Self { task, _follower: follower, heard, news };
        let until = Instant::now() + BEGIN;
        while !watching.heard.lock().ready {
            if !watching.listen(until, "a storage was watched").await? {
                let found = format!("nothing within {BEGIN:?}");
                return Err(broken("a storage was watched", "`ready` to be called", found));
            }
        }
        Ok(Some(watching))
    }

    /// Waits until something is heard; `false` if nothing is by then.
    async fn listen(&mut self, until: Instant, done: &str) -> Result<bool, Breach> {
        tokio::select! {
            biased;
            _ = self.news.recv() => Ok(true),
            Some(end) = self.task.join_next() => Err(ended(end, done)),
            () = time::sleep_until(until) => Ok(false),
        }
    }

    fn goes_on(&mut self, done: &str) -> Result<(), Breach> {
        self.task.try_join_next().map_or(Ok(()), |end| Err(ended(end, done)))
    }

    /// Waits until this record of a circuit is heard. Everything that is heard has to be there already.
    async fn hears(
        &mut self,
        bench: &Bench,
        circuit: &str,
        record: &Versioned,
    ) -> Result<(), Breach> {
        let done = format!("{circuit:?} was written and announced as {}", shown(Some(record)));
        // As long as an operation may take, and more: machines that run tests are busy.
        let patience = bench.there.storage.options().operation_timeout * 4;
        let until = Instant::now() + patience;
        while !self.heard.lock().records.iter().any(|(name, r)| name == circuit && r == record) {
            if !self.listen(until, &done).await? {
                let wanted = format!("to hear of it within {patience:?}");
                let heard = self.heard.lock();
                let last = heard.records.iter().rev().find(|(name, _)| name == circuit);
                let found = last.map_or_else(
                    || "nothing of the circuit".to_owned(),
                    |(_, last)| format!("at last {}", shown(Some(last))),
                );
                return Err(Breach::new(Promise::Announcing, done, wanted, found));
            }
        }
        Ok(())
    }
}

/// Looks at once for what was told: it has to be there, or something later.
async fn follow_up(
    handle: Handle,
    mut told: mpsc::UnboundedReceiver<(String, u64)>,
    heard: Arc<Heard>,
) {
    while let Some((circuit, version)) = told.recv().await {
        // Of circuits of others all may be true.
        if !circuit.starts_with("purgatory contract ") {
            continue;
        }
        let Ok(stored) = handle.load(&circuit).await else { continue };
        let found = stored.record.as_ref();
        if found.is_none_or(|found| found.version < version) {
            let done = format!("{circuit:?} was read when version {version} was told");
            let breach =
                Breach::new(Promise::Truth, done, "that version, or a later", shown(found));
            heard.lock().early.get_or_insert(breach);
        }
    }
}

/// Writes and announces.
async fn announced(
    handle: &Handle,
    circuit: &str,
    expected: u64,
    bytes: &[u8],
    written: &mut Written,
) -> Result<Versioned, Breach> {
    let write = Write { announce: true, ..write(circuit, expected, bytes) };
    let record = handle.put(write).await?;
    written.add(circuit, &record);
    Ok(record)
}

impl Written {
    fn add(&mut self, circuit: &str, record: &Versioned) {
        self.records.insert((circuit.to_owned(), record.version, record.bytes.clone()));
    }
}

/// One write after the other, each heard before the next, of which some are not to be heard.
async fn one_by_one(
    bench: &Bench,
    watching: [&mut Watching; 2],
    written: &mut Written,
) -> Result<(), Breach> {
    let [here, there] = watching;
    let long = "long ".repeat(6_000);
    let texts = ["first", "second", "  {\"third\": [null, 'x']}\\n ", &long];
    let circuit = bench.circuit("watched: {É/🦀%20}");
    let mut version = 0;
    for (index, text) in texts.into_iter().enumerate() {
        let writer = if index % 2 == 0 { &bench.here } else { &bench.there };
        // A write that is not applied is not to be told of, though it asks for it.
        let vain = Write { announce: true, ..write(&circuit, version + 1, b"vain") };
        if writer.attempt(vain).await?.applied {
            let done = format!("{circuit:?} was written over version {}", version + 1);
            let wanted = format!("it not to be applied over version {version}");
            return Err(Breach::new(Promise::Comparing, done, wanted, "it was applied"));
        }
        let record = announced(writer, &circuit, version, text.as_bytes(), written).await?;
        version = record.version;
        there.hears(bench, &circuit, &record).await?;
        here.hears(bench, &circuit, &record).await?;
    }
    let record = bench.here.put(write(&circuit, version, b"in silence")).await?;
    written.add(&circuit, &record);
    tripped(bench, there, written).await
}

/// What is added is announced as well, if the circuit opens.
async fn tripped(bench: &Bench, there: &mut Watching, written: &mut Written) -> Result<(), Breach> {
    let circuit = bench.circuit("watched and added to");
    let update = bumps::update(draw(), 1, "FFF");
    let Some(stored) = bench.here.bump(&Bump::new(&circuit, MINUTE, &update)).await else {
        return Ok(());
    };
    let Some(record) = stored?.record else { return Ok(()) };
    written.add(&circuit, &record);
    there.hears(bench, &circuit, &record).await
}

/// Many circuits, as when a dependency of them all goes down.
async fn all_at_once(
    bench: &Bench,
    watching: [&mut Watching; 2],
    written: &mut Written,
) -> Result<(), Breach> {
    let mut records = Vec::new();
    for index in 0..32 {
        let circuit = bench.circuit(&format!("watched {index}"));
        let bytes = format!("record {index}");
        let record = announced(&bench.here, &circuit, 0, bytes.as_bytes(), written).await?;
        records.push((circuit, record));
    }
    for watching in watching {
        for (circuit, record) in &records {
            watching.hears(bench, circuit, record).await?;
        }
    }
    Ok(())
}

/// All that was heard was written.
fn nothing_else(bench: &Bench, watching: &Watching, written: &Written) -> Result<(), Breach> {
    let ours = bench.circuit("watched");
    if let Some(early) = watching.heard.lock().early.take() {
        return Err(early);
    }
    for (circuit, record) in &watching.heard.lock().records {
        let told = (circuit.clone(), record.version, record.bytes.clone());
        if circuit.starts_with(&ours) && !written.records.contains(&told) {
            let done = format!("{circuit:?} was watched");
            let found = shown(Some(record));
            return Err(Breach::new(Promise::Truth, done, "to hear of what was written", found));
        }
    }
    Ok(())
}
