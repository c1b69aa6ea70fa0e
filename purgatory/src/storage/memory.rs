//! A storage in memory.

mod fault;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::broadcast;
use tokio::time;

pub use self::fault::{Fault, Operation, OperationKind};
use super::{
    Bump, Storage, StorageError, StorageFuture, StorageOptions, Stored, Swap, Versioned, Watcher,
    Watching, Write,
};
use crate::clock::Clock;

/// A storage in memory, for the factories of one process: a fleet in miniature, for tests.
///
/// Clones are the same storage. It does all that a storage can do, and, if asked, what one should not:
/// see [`with_faults`](Self::with_faults).
///
/// ```
/// use std::time::Duration;
/// use purgatory::{CircuitBreakerFactory, Config, MemoryStorage, State};
///
/// let storage = MemoryStorage::new();
/// let here = CircuitBreakerFactory::builder().threshold(1).storage(storage.clone()).build()?;
/// let there = CircuitBreakerFactory::builder().threshold(1).storage(storage).build()?;
/// let (here, elsewhere) = (here.get_breaker("payments")?, there.get_breaker("payments")?);
///
/// here.acquire()?.failure();
/// # let began = std::time::Instant::now();
/// while elsewhere.state() != State::Open {
///     std::thread::yield_now(); // for about a millisecond
/// #   assert!(began.elapsed() < Duration::from_secs(20));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryStorage {
    shared: Arc<Mutex<Shared>>,
    clock: Option<Arc<dyn Clock>>,
    faults: Option<Arc<Faults>>,
    options: StorageOptions,
    disconnect: broadcast::Sender<StorageError>,
}

type Faults = dyn Fn(&Operation<'_>) -> Fault + Send + Sync;

#[derive(Default)]
struct Shared {
    records: BTreeMap<String, Entry>,
    /// The newest version of all circuits: those to come are larger.
    version: u64,
    watchers: BTreeMap<u64, Watcher>,
    /// Of watchers and operations.
    count: u64,
}

struct Entry {
    record: Versioned,
    expires_at: SystemTime,
}

impl MemoryStorage {
    /// A storage with nothing in it, by the clock of the system.
    ///
    /// ```
    /// # use purgatory::MemoryStorage;
    /// let storage = MemoryStorage::new();
    /// ```
    pub fn new() -> Self {
        Self {
            shared: Arc::default(),
            clock: None,
            faults: None,
            options: StorageOptions::new(),
            disconnect: broadcast::Sender::new(1),
        }
    }

    /// The same storage by another clock, whose origin counts as 1970. It is read while the storage is
    /// locked, so it must not use the storage.
    ///
    /// ```
    /// # use purgatory::{ManualClock, MemoryStorage};
    /// let storage = MemoryStorage::new().with_clock(ManualClock::new());
    /// ```
    #[must_use = "the clock belongs to the storage that is returned"]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// The same storage for a factory that uses it in another way.
    ///
    /// ```
    /// # use purgatory::{Consistency, MemoryStorage, StorageOptions};
    /// let strict = StorageOptions::new().consistency(Consistency::Strict);
    /// let storage = MemoryStorage::new().with_options(strict);
    /// ```
    #[must_use = "the options belong to the storage that is returned"]
    pub fn with_options(mut self, options: StorageOptions) -> Self {
        self.options = options;
        self
    }

    /// The same storage for somebody who has bad luck: `faults` is asked before every operation what is to
    /// go wrong with it.
    ///
    /// ```
    /// use purgatory::storage::{Fault, MemoryStorage, OperationKind};
    ///
    /// // A storage that does what it is told, and does not answer.
    /// let storage = MemoryStorage::new().with_faults(|operation| match operation.kind {
    ///     OperationKind::CompareAndSet => Fault::LoseReply,
    ///     _ => Fault::None,
    /// });
    /// ```
    #[must_use = "the faults belong to the storage that is returned"]
    pub fn with_faults(
        mut self,
        faults: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static,
    ) -> Self {
        self.faults = Some(Arc::new(faults));
        self
    }

    /// Ends every watch, as a connection that breaks does.
    ///
    /// ```
    /// # use purgatory::storage::{MemoryStorage, StorageError};
    /// let cause = StorageError::Unavailable("pulled the plug".to_owned());
    /// MemoryStorage::new().disconnect(cause);
    /// ```
    pub fn disconnect(&self, cause: StorageError) {
        // Nobody need be watching.
        let _ = self.disconnect.send(cause);
    }

    /// The record of a circuit, if there is one.
    ///
    /// ```
    /// # use purgatory::MemoryStorage;
    /// assert_eq!(MemoryStorage::new().record("payments"), None);
    /// ```
    pub fn record(&self, circuit: &str) -> Option<Versioned> {
        self.read(&self.lock(), circuit)
    }

    /// Puts something in the place of a circuit's record, or takes it away, without telling anybody.
    ///
    /// ```
    /// # use purgatory::MemoryStorage;
    /// let storage = MemoryStorage::new();
    /// storage.replace("payments", Some(b"not a record"));
    /// assert_eq!(storage.record("payments").unwrap().bytes, b"not a record");
    /// ```
    pub fn replace(&self, circuit: &str, bytes: Option<&[u8]>) {
        let mut shared = self.lock();
        match bytes {
            None => drop(shared.records.remove(circuit)),
            Some(bytes) => {
                self.put(&mut shared, circuit, bytes, Duration::from_secs(3600));
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SystemTime {
        match &self.clock {
            None => SystemTime::now(),
            Some(clock) => UNIX_EPOCH + clock.now().since_origin(),
        }
    }

    fn read(&self, shared: &Shared, circuit: &str) -> Option<Versioned> {
        let entry = shared.records.get(circuit)?;
        (self.now() < entry.expires_at).then(|| entry.record.clone())
    }

    fn stored(&self, shared: &Shared, circuit: &str) -> Stored {
        Stored { record: self.read(shared, circuit), now: Some(self.now()) }
    }

    fn put(
        &self,
        shared: &mut Shared,
        circuit: &str,
        bytes: &[u8],
        expires_in: Duration,
    ) -> Versioned {
        let now = self.now();
        let micros = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
        shared.version = micros.max(shared.version + 1);
        let record = Versioned { version: shared.version, bytes: bytes.to_vec() };
        let entry = Entry { record: record.clone(), expires_at: now + expires_in };
        shared.records.insert(circuit.to_owned(), entry);
        record
    }

    /// Goes through with an operation, or not, as the faults will have it.
    async fn operate<T>(
        &self,
        kind: OperationKind,
        circuit: &str,
        operation: impl FnOnce() -> T,
    ) -> Result<T, StorageError> {
        match self.fault(kind, circuit) {
            Fault::None => Ok(operation()),
            Fault::Delay(delay) => {
                time::sleep(delay).await;
                Ok(operation())
            }
            Fault::DelayReply(delay) => {
                let answer = operation();
                time::sleep(delay).await;
                Ok(answer)
            }
            Fault::Error(error) => Err(error),
            Fault::LoseReply => {
                operation();
                Err(StorageError::Unavailable("the reply was lost".to_owned()))
            }
            Fault::Hang => std::future::pending().await,
        }
    }

    fn fault(&self, kind: OperationKind, circuit: &str) -> Fault {
        let Some(faults) = &self.faults else { return Fault::None };
        let number = {
            let mut shared = self.lock();
            shared.count += 1;
            shared.count
        };
        faults(&Operation { kind, circuit, number })
    }

    /// Tells the watchers, each in its turn and without a lock.
    fn announce(&self, circuit: &str, record: &Versioned) {
        let watchers: Vec<_> = self.lock().watchers.values().cloned().collect();
        for watcher in watchers {
            let (circuit, record) = (circuit.to_owned(), record.clone());
            match self.fault(OperationKind::Push, &circuit) {
                Fault::None => watcher.changed(&circuit, record),
                Fault::Delay(delay) | Fault::DelayReply(delay) => {
                    tokio::spawn(async move {
                        time::sleep(delay).await;
                        watcher.changed(&circuit, record);
                    });
                }
                Fault::Error(_) | Fault::LoseReply | Fault::Hang => {}
            }
        }
    }
}

impl Storage for MemoryStorage {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        let load = || self.stored(&self.lock(), circuit);
        Box::pin(self.operate(OperationKind::Load, circuit, load))
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        let circuit = write.circuit;
        let swap = move || {
            let mut shared = self.lock();
            let there = self.read(&shared, circuit).map_or(0, |record| record.version);
            let applied = there == write.expected;
            if !applied {
                return Swap { applied, stored: self.stored(&shared, circuit) };
            }
            let record = self.put(&mut shared, circuit, write.bytes, write.expires_in);
            drop(shared);
            if write.announce {
                self.announce(circuit, &record);
            }
            Swap { applied, stored: Stored { record: Some(record), now: Some(self.now()) } }
        };
        Box::pin(self.operate(OperationKind::CompareAndSet, circuit, swap))
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        let circuit = bump.circuit();
        let add = move || {
            let mut shared = self.lock();
            let current = self.read(&shared, circuit);
            let Some(bumped) = bump.apply(current.as_ref(), self.now()) else {
                return Stored { record: current, now: Some(self.now()) };
            };
            let record = self.put(&mut shared, circuit, &bumped.bytes, bump.expires_in());
            drop(shared);
            if bumped.announce {
                self.announce(circuit, &record);
            }
            Stored { record: Some(record), now: Some(self.now()) }
        };
        Some(Box::pin(self.operate(OperationKind::Bump, circuit, add)))
    }

    fn options(&self) -> StorageOptions {
        self.options
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        Some(Box::pin(async move {
            let mut disconnected = self.disconnect.subscribe();
            let begin = || {
                let mut shared = self.lock();
                shared.count += 1;
                let id = shared.count;
                shared.watchers.insert(id, watcher.clone());
                Registered { storage: self, id }
            };
            let _registered = match self.operate(OperationKind::Watch, "", begin).await {
                Ok(registered) => registered,
                Err(error) => return error,
            };
            watcher.ready();
            loop {
                // Of several causes only the last is kept, and comes after an error that says so.
                if let Ok(cause) = disconnected.recv().await {
                    return cause;
                }
            }
        }))
    }
}

/// A watcher that hears of changes, until this is dropped.
struct Registered<'a> {
    storage: &'a MemoryStorage,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.storage.lock().watchers.remove(&self.id);
    }
}

impl Default for MemoryStorage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.lock().records.len();
        f.debug_struct("MemoryStorage").field("records", &records).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn records_last_as_long_as_they_are_told_to_and_have_versions_of_their_own() {
        let clock = ManualClock::new();
        let storage = MemoryStorage::new().with_clock(clock.clone());
        let put = || {
            storage.replace("payments", Some(b"one"));
            storage.record("payments").unwrap().version
        };
        assert!(put() < put(), "at the same time");
        clock.advance(Duration::from_secs(3600) - Duration::from_nanos(1));
        assert!(storage.record("payments").is_some());
        clock.advance(Duration::from_nanos(1));
        assert_eq!(storage.record("payments"), None);
    }

    #[tokio::test]
    async fn who_is_disconnected_twice_is_told_why() {
        let storage = MemoryStorage::new();
        let why = |cause: &str| StorageError::Unavailable(cause.to_owned());
        let watching = storage.watch(Watcher::of(|| {}, |_, _| {})).unwrap();
        let (end, ()) = tokio::join!(watching, async {
            storage.disconnect(why("one"));
            storage.disconnect(why("two"));
        });
        assert_eq!(end, why("two"));
    }
}
