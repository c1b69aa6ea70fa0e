//! What the contract works with: two handles of a storage, and circuits that nobody else has.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time;

use super::breach::{Breach, Promise};
use crate::error::ConfigError;
use crate::storage::{Bump, Storage, StorageError, Stored, Swap, Versioned, Write};

/// Two handles of a storage, and circuits that nobody else has.
pub(super) struct Bench {
    pub(super) here: Handle,
    pub(super) there: Handle,
    /// What makes the names of this run its own.
    run: String,
}

/// One handle, which checks what holds for every answer.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) storage: Arc<dyn Storage>,
    times: Arc<Mutex<Times>>,
}

/// What the answers told of the time.
#[derive(Debug, Default)]
struct Times {
    told: Option<bool>,
    latest: Option<SystemTime>,
}

/// For how long records are kept, unless it matters: nothing is left of a run after that.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// Longer than an operation may take in use: what is looked for here is one that never ends, and machines
/// that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// By how much the time may run backwards: as much as the clocks of several servers may differ.
pub(super) const SLACK: Duration = Duration::from_millis(50);

impl Bench {
    pub(super) fn new(storage: Arc<dyn Storage>, other: Arc<dyn Storage>) -> Self {
        let times = Arc::default();
        let here = Handle { storage, times: Arc::clone(&times) };
        let there = Handle { storage: other, times };
        Self { here, there, run: format!("purgatory contract {:x}", draw()) }
    }

    /// A circuit of this run.
    pub(super) fn circuit(&self, name: &str) -> String {
        format!("{} {name}", self.run)
    }

    pub(super) fn check_options(&self) -> Result<(), Breach> {
        let breach = |error: ConfigError| {
            let done = "the storage was asked for its options";
            Breach::new(Promise::Options, done, "options within their limits", error.to_string())
        };
        self.here.storage.options().check().map_err(breach)?;
        self.there.storage.options().check().map_err(breach)
    }

    /// What the storage has must be `record`, through either handle.
    pub(super) async fn expect(
        &self,
        promise: Promise,
        circuit: &str,
        record: Option<&Versioned>,
        after: &str,
    ) -> Result<(), Breach> {
        for (handle, which) in [(&self.here, ""), (&self.there, " through the other handle")] {
            let found = handle.load(circuit).await?.record;
            if found.as_ref() != record {
                let done = format!("{circuit:?} was read{which} {after}");
                return Err(Breach::new(promise, done, shown(record), shown(found.as_ref())));
            }
        }
        Ok(())
    }
}

impl Handle {
    pub(super) async fn load(&self, circuit: &str) -> Result<Stored, Breach> {
        self.answer(self.storage.load(circuit), &|| format!("{circuit:?} was read")).await
    }

    /// Tries to write, and checks what the answer says.
    pub(super) async fn write(&self, write: Write<'_>) -> Result<Swap, Breach> {
        let swap = self.attempt(write).await?;
        let Write { circuit, expected, .. } = write;
        let record = swap.stored.record.as_ref();
        let version = record.map_or(0, |record| record.version);
        let (promise, wanted) = match swap.applied {
            true if version <= expected => {
                (Promise::Growing, format!("a version of more than {expected}"))
            }
            false if version == expected => {
                (Promise::Comparing, "it to be applied, or another version there".to_owned())
            }
            _ => return Ok(swap),
        };
        let done = format!("{circuit:?} was written over version {expected}");
        Err(Breach::new(promise, done, wanted, shown(record)))
    }

    /// Tries to write what perhaps must not be.
    pub(super) async fn attempt(&self, write: Write<'_>) -> Result<Swap, Breach> {
        let Write { circuit, expected, .. } = write;
        let done = || format!("{circuit:?} was written over version {expected}");
        let swap = self.answer(self.storage.compare_and_set(write), &done).await?;
        let record = swap.stored.record.as_ref();
        if swap.applied && record.is_none_or(|record| record.bytes != write.bytes) {
            let wanted = format!("{} as the new record", shown_bytes(write.bytes));
            return Err(Breach::new(Promise::Reporting, done(), wanted, shown(record)));
        }
        Ok(swap)
    }

    /// Writes what has to be applied.
    pub(super) async fn put(&self, write: Write<'_>) -> Result<Versioned, Breach> {
        let swap = self.write(write).await?;
        match (swap.applied, swap.stored.record) {
            (true, Some(record)) => Ok(record),
            (_, record) => {
                let Write { circuit, expected, .. } = write;
                let done = format!("{circuit:?} was written over version {expected}");
                let found = format!("it was not, and {} in the way", shown(record.as_ref()));
                Err(Breach::new(Promise::Comparing, done, "it to be applied", found))
            }
        }
    }

    /// Adds outcomes, if the storage can.
    pub(super) async fn bump(&self, bump: &Bump<'_>) -> Option<Result<Stored, Breach>> {
        let done = || format!("outcomes were added to {:?}", bump.circuit());
        Some(self.answer(self.storage.bump(bump)?, &done).await)
    }

    /// Waits for an answer, which has to come.
    async fn answer<T: Told>(
        &self,
        answer: impl Future<Output = Result<T, StorageError>>,
        done: &impl Fn() -> String,
    ) -> Result<T, Breach> {
        let before = self.lock().latest;
        let silence = |found| Breach::new(Promise::Answering, done(), "an answer", found);
        let answer = time::timeout(PATIENCE, answer)
            .await
            .map_err(|_| silence(format!("nothing within {PATIENCE:?}")))?
            .map_err(|error| silence(format!("an error: {error}")))?;
        self.check_time(answer.now(), before, done)?;
        Ok(answer)
    }

    /// `before` is what answers told that came before this one was asked for.
    fn check_time(
        &self,
        now: Option<SystemTime>,
        before: Option<SystemTime>,
        done: &impl Fn() -> String,
    ) -> Result<(), Breach> {
        let mut times = self.lock();
        let shown = |told| if told { "the time" } else { "no time" };
        let told = *times.told.get_or_insert_with(|| now.is_some());
        if told != now.is_some() {
            let wanted = format!("{}, as with the first answer", shown(told));
            return Err(Breach::new(Promise::Telling, done(), wanted, shown(!told)));
        }
        let back = before.zip(now).and_then(|(before, now)| before.duration_since(now).ok());
        if let Some(back) = back.filter(|&back| back > SLACK) {
            let found = format!("one that was {back:?} before that of an earlier answer");
            return Err(Breach::new(Promise::Telling, done(), "a later time", found));
        }
        times.latest = times.latest.max(now);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that may tell the time.
trait Told {
    fn now(&self) -> Option<SystemTime>;
}

impl Told for Stored {
    fn now(&self) -> Option<SystemTime> {
        self.now
    }
}

impl Told for Swap {
    fn now(&self) -> Option<SystemTime> {
        self.stored.now
    }
}

/// A write that nobody is told of.
pub(super) fn write<'a>(circuit: &'a str, expected: u64, bytes: &'a [u8]) -> Write<'a> {
    Write { circuit, expected, bytes, expires_in: MINUTE, announce: false }
}

/// What all tasks come to; the first breach, if there is one.
pub(super) async fn joined<T: 'static>(
    mut tasks: JoinSet<Result<T, Breach>>,
) -> Result<Vec<T>, Breach> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(ended) => all.push(ended?),
            // A storage that panics is seen as such.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => unreachable!("nobody has ended the tasks"),
            },
        }
    }
    Ok(all)
}

/// A number that no other run has, as good as certain.
pub(super) fn draw() -> u64 {
    RandomState::new().hash_one(SystemTime::now())
}

pub(super) fn shown(record: Option<&Versioned>) -> String {
    match record {
        None => "no record".to_owned(),
        Some(Versioned { version, bytes }) => format!("version {version}, {}", shown_bytes(bytes)),
    }
}

/// Enough of some bytes to know them by.
pub(super) fn shown_bytes(bytes: &[u8]) -> String {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
    let dots = if bytes.len() > 80 { ".." } else { "" };
    format!("{} bytes {head:?}{dots}", bytes.len())
}
