//! A storage that is right but for one flaw.

mod adding;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory::storage::{
    Bump, Storage, StorageError, StorageFuture, StorageOptions, Stored, Swap, Versioned, Watcher,
    Watching, Write,
};
use tokio::time::{self, Instant};

use super::flaw::Flaw;

/// In bytes.
const LONGEST_NAME: usize = purgatory::Name::MAX_LEN;

/// A storage in memory, on tokio's time. Clones are other handles of it.
pub(crate) struct Flawed {
    flaw: Flaw,
    shared: Arc<Mutex<Shared>>,
    /// Which handle it is.
    handle: usize,
    cache: Mutex<HashMap<String, Stored>>,
    writes: tokio::sync::Mutex<()>,
}

struct Shared {
    records: HashMap<String, Record>,
    version: u64,
    watchers: Vec<(usize, Watcher)>,
    /// Of everything that was done.
    count: u64,
    stuck: bool,
    bumps: Arc<tokio::sync::Mutex<()>>,
    /// How many writes have begun since one went on.
    writing: usize,
    watches: usize,
    origin: Instant,
}

#[derive(Clone)]
struct Record {
    versioned: Versioned,
    expires_at: Duration,
}

impl Flawed {
    pub(crate) fn new(flaw: Flaw) -> Self {
        let shared = Shared {
            records: HashMap::new(),
            version: 0,
            watchers: Vec::new(),
            count: 0,
            stuck: false,
            bumps: Arc::default(),
            writing: 0,
            watches: 0,
            origin: Instant::now(),
        };
        Self {
            flaw,
            shared: Arc::new(Mutex::new(shared)),
            handle: 0,
            cache: Mutex::default(),
            writes: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn other(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        Self { shared, handle: self.handle + 1, ..Self::new(self.flaw) }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// What goes before every operation.
    async fn begin(&self) -> Result<(), StorageError> {
        let count = {
            let mut shared = self.lock();
            shared.count += 1;
            shared.count
        };
        if self.is(Flaw::Hangs) && count == 20 {
            std::future::pending::<()>().await;
        }
        if self.is(Flaw::Fails) && count == 20 {
            return Err(StorageError::Refused("test".to_owned()));
        }
        if self.is(Flaw::StuckWhenDropped) {
            while std::mem::replace(&mut self.lock().stuck, true) {
                time::sleep(Duration::from_micros(10)).await;
            }
        }
        time::sleep(Duration::from_micros(100)).await;
        self.lock().stuck = false;
        Ok(())
    }

    fn key(&self, circuit: &str) -> String {
        assert!(circuit.len() <= LONGEST_NAME, "{circuit}");
        let clean = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        match self.flaw {
            Flaw::LowerCase => circuit.to_lowercase(),
            Flaw::CleansNames => circuit.chars().map(clean).collect(),
            Flaw::TrimsNames => circuit.trim().to_owned(),
            Flaw::CutsNames => circuit.chars().take(LONGEST_NAME - 2).collect(),
            Flaw::ComposesNames => circuit.replace("n\u{303}", "ñ"),
            _ => circuit.to_owned(),
        }
    }

    fn elapsed(&self, shared: &Shared) -> Duration {
        shared.origin.elapsed()
    }

    fn now(&self, shared: &Shared) -> Option<SystemTime> {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000) + self.elapsed(shared);
        match self.flaw {
            Flaw::TimeNowAndThen if shared.count % 8 == 7 => None,
            Flaw::TimeRunsBack if shared.count % 8 == 7 => Some(now - Duration::from_millis(100)),
            _ => Some(now),
        }
    }

    fn read(&self, shared: &Shared, circuit: &str) -> Option<Versioned> {
        let record = shared.records.get(&self.key(circuit))?;
        (self.elapsed(shared) < record.expires_at).then(|| record.versioned.clone())
    }

    fn stored(&self, shared: &Shared, record: Option<Versioned>) -> Stored {
        Stored { record, now: self.now(shared) }
    }

    fn expires_at(&self, shared: &Shared, circuit: &str, expires_in: Duration) -> Duration {
        let now = self.elapsed(shared);
        let first = shared.records.get(&self.key(circuit)).filter(|there| now < there.expires_at);
        match (self.flaw, first) {
            (Flaw::WholeSeconds, _) => now + Duration::from_secs(expires_in.as_secs()),
            (Flaw::FirstExpiryStays, Some(there)) => there.expires_at,
            (Flaw::NothingExpires, _) => Duration::MAX,
            (Flaw::ExpiryWrapsAround, _) => {
                let millis = expires_in.as_millis() as i32;
                now + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
            }
            _ => now + expires_in,
        }
    }

    fn put(
        &self,
        shared: &mut Shared,
        circuit: &str,
        bytes: &[u8],
        expires: Duration,
    ) -> Versioned {
        let record = self.next(shared, circuit, bytes);
        self.keep(shared, circuit, &record, expires);
        record
    }

    fn next(&self, shared: &mut Shared, circuit: &str, bytes: &[u8]) -> Versioned {
        let there = self.read(shared, circuit);
        shared.version += 1;
        let version = match (self.flaw, &there) {
            (Flaw::FirstVersionIsZero, None) => 0,
            (Flaw::SameBytesSameVersion, Some(there)) if there.bytes == bytes => there.version,
            (Flaw::VersionsShrink, _) => u64::MAX / 2 - shared.version,
            (Flaw::VersionsStartAgain, None) => 1,
            (Flaw::VersionsStartAgain, Some(there)) => there.version + 1,
            _ => shared.version,
        };
        Versioned { version, bytes: bytes.to_vec() }
    }

    fn keep(&self, shared: &mut Shared, circuit: &str, record: &Versioned, expires: Duration) {
        let mut versioned = record.clone();
        match self.flaw {
            Flaw::CutsRecords => versioned.bytes.truncate(8192),
            Flaw::TrimsRecords => versioned.bytes = record.bytes.trim_ascii().to_vec(),
            _ => {}
        }
        let expires_at = self.expires_at(shared, circuit, expires);
        shared.records.insert(self.key(circuit), Record { versioned, expires_at });
    }

    fn announce(&self, circuit: &str, record: &Versioned) {
        let (mut circuit, mut record) = (circuit.to_owned(), record.clone());
        let watchers = self.lock().watchers.clone();
        match self.flaw {
            Flaw::ForgetsOne if record.version % 7 == 0 => return,
            Flaw::AnnouncesAnotherVersion => record.version -= 1,
            Flaw::AnnouncesInLowerCase => circuit = circuit.to_lowercase(),
            Flaw::AnnouncesShortRecords => record.bytes.truncate(8000),
            Flaw::AnnouncesTooLate => {
                tokio::spawn(async move {
                    time::sleep(Duration::from_secs(3)).await;
                    watchers.iter().for_each(|(_, w)| w.changed(&circuit, record.clone()));
                });
                return;
            }
            _ => {}
        }
        for (handle, watcher) in watchers {
            if handle == self.handle || !self.is(Flaw::HearsOwnWritesOnly) {
                watcher.changed(&circuit, record.clone());
            }
        }
    }

    fn compare(&self, there: Option<&Versioned>, expected: u64) -> bool {
        let version = there.map_or(0, |there| there.version);
        match self.flaw {
            Flaw::OverwritesStale => expected > 0 && version > 0 || expected == version,
            Flaw::OverwritesAtFirst => expected == 0 || expected == version,
            Flaw::OverwritesNewer => expected == version || there.is_some() && expected > version,
            Flaw::AbsentMatchesAny => there.is_none() || expected == version,
            Flaw::RefusesAll => false,
            _ => expected == version,
        }
    }

    async fn swap(&self, write: Write<'_>) -> Result<Swap, StorageError> {
        let alone = self.is(Flaw::LocksOnlyItself);
        let _alone = if alone { Some(self.writes.lock().await) } else { None };
        self.lock().writing += 1;
        self.begin().await?;
        let circuit = write.circuit;
        let crowd = std::mem::take(&mut self.lock().writing) > 4;
        let apart = match self.flaw {
            Flaw::ReadsThenWrites | Flaw::LocksOnlyItself => true,
            Flaw::ReadsThenOverwrites => write.expected > 0,
            Flaw::AnnouncesFirst => write.announce,
            _ => false,
        };
        if apart {
            let there = self.read(&self.lock(), circuit);
            if self.compare(there.as_ref(), write.expected) {
                let record = self.next(&mut self.lock(), circuit, write.bytes);
                if self.is(Flaw::AnnouncesFirst) {
                    self.announce(circuit, &record);
                }
                time::sleep(Duration::from_millis(5)).await;
                let mut shared = self.lock();
                self.keep(&mut shared, circuit, &record, write.expires_in);
                let stored = self.stored(&shared, Some(record));
                return Ok(Swap { applied: true, stored });
            }
        }
        let mut shared = self.lock();
        let there = self.read(&shared, circuit);
        if !self.compare(there.as_ref(), write.expected) || crowd && self.is(Flaw::RefusesInACrowd)
        {
            let record = match self.flaw {
                Flaw::ConflictWithoutRecord => None,
                Flaw::ConflictWithOwnRecord => {
                    there.map(|there| Versioned { bytes: write.bytes.to_vec(), ..there })
                }
                _ => there,
            };
            let stored = self.stored(&shared, record);
            drop(shared);
            if self.is(Flaw::AnnouncesInVain) && write.announce {
                self.announce(circuit, &Versioned { version: 7, bytes: write.bytes.to_vec() });
            }
            return Ok(Swap { applied: false, stored });
        }
        let record = self.put(&mut shared, circuit, write.bytes, write.expires_in);
        let answer = Some(record.clone()).filter(|_| !self.is(Flaw::AnswersWithoutRecord));
        let stored = self.stored(&shared, answer);
        drop(shared);
        if write.announce {
            self.announce(circuit, &record);
        }
        Ok(Swap { applied: true, stored })
    }

    async fn watched(&self, watcher: Watcher) -> StorageError {
        let watches = {
            let mut shared = self.lock();
            shared.watches += 1;
            shared.watches
        };
        let never = self.is(Flaw::NeverReady) || self.is(Flaw::WatchesOnce) && watches > 2;
        if self.is(Flaw::ReadyTooEarly) {
            watcher.ready();
            time::sleep(Duration::from_millis(5)).await;
        }
        self.lock().watchers.push((self.handle, watcher.clone()));
        if !never {
            watcher.ready();
        }
        if self.is(Flaw::EndsWatch) {
            time::sleep(Duration::from_millis(5)).await;
            return StorageError::Unavailable("test".to_owned());
        }
        std::future::pending().await
    }
}

impl Storage for Flawed {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        Box::pin(async move {
            self.begin().await?;
            let shared = self.lock();
            let mut stored = self.stored(&shared, self.read(&shared, circuit));
            if self.is(Flaw::InventsRecords) && stored.record.is_none() {
                stored.record = Some(Versioned { version: 1, bytes: Vec::new() });
            }
            if self.is(Flaw::ReadsAreOld) && stored.record.is_some() {
                let mut cache = self.cache.lock().unwrap();
                let Stored { record, .. } =
                    cache.entry(circuit.to_owned()).or_insert_with(|| stored.clone());
                stored.record = record.clone();
            }
            Ok(stored)
        })
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        Box::pin(self.swap(write))
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        Some(Box::pin(self.add(bump)))
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        Some(Box::pin(self.watched(watcher)))
    }

    fn options(&self) -> StorageOptions {
        let timeout =
            if self.is(Flaw::NoTimeouts) { Duration::ZERO } else { Duration::from_millis(250) };
        StorageOptions::new().operation_timeout(timeout)
    }
}
