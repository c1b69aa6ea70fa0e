//! What a driver hears of a storage, and tells of it. On tokio's paused time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use purgatory::storage::{
    Fault, Operation, OperationKind, Storage, StorageError, StorageFuture, Stored, Swap, Versioned,
    Watcher, Watching, Write,
};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Event, FactoryBuilder, MemoryStorage, State,
    StorageOptions,
};
use purgatory_tests::{Log, in_time};
use tokio::time::sleep;

use crate::{NEVER, Shared, TTL, millis};

const SECOND: Duration = Duration::from_secs(1);

/// A storage whose watchers anybody may call.
#[derive(Clone)]
struct Overheard {
    storage: MemoryStorage,
    watchers: Arc<Mutex<Vec<Watcher>>>,
    loads: Arc<AtomicU64>,
}

impl Storage for Overheard {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.storage.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        self.storage.compare_and_set(write)
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        self.watchers.lock().unwrap().push(watcher.clone());
        self.storage.watch(watcher)
    }
}

impl Overheard {
    fn new(shared: &Shared) -> Self {
        let storage = shared.storage.clone();
        Self { storage, watchers: Arc::default(), loads: Arc::default() }
    }

    fn watcher(&self, of: usize) -> Watcher {
        self.watchers.lock().unwrap()[of].clone()
    }

    /// How often the record is read in ten seconds.
    async fn loads(&self) -> u64 {
        let before = self.loads.load(Ordering::Relaxed);
        sleep(SECOND * 10).await;
        self.loads.load(Ordering::Relaxed) - before
    }
}

async fn started(builder: FactoryBuilder) -> (CircuitBreaker, Log) {
    let log = Log::default();
    let builder = builder.driver(|driver| drop(tokio::spawn(driver))).listener(log.clone());
    let config = Config::new().threshold(3).ttl(TTL);
    let breaker = builder.build().unwrap().get_breaker_with("driven", config).unwrap();
    sleep(millis(20)).await;
    log.take();
    (breaker, log)
}

fn fail(breaker: &CircuitBreaker) {
    breaker.acquire().unwrap().failure();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_announced_is_asked_for() {
    let shared = Shared::new();
    let storage = Overheard::new(&shared);
    let builder = CircuitBreakerFactory::builder().clock(shared.clock.clone());
    let (breaker, log) = started(builder.storage(storage.clone())).await;
    // It has its turn every half minute.
    assert!(storage.loads().await <= 1);
    storage.watcher(0).unannounced("no right to");
    assert!((9..=11).contains(&storage.loads().await));
    let told = log.take();
    let [Event::StorageRefused { circuit: None, cause, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(*cause, StorageError::Refused("no right to".to_owned()));
    storage.watcher(0).ready();
    // And once, as changes may have been missed.
    assert!((1..=2).contains(&storage.loads().await));
    assert!(storage.loads().await <= 1);
    // Of what is open, news are not waited for.
    (0..3).for_each(|_| fail(&breaker));
    assert!((9..=11).contains(&storage.loads().await));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_ended_is_not_heard() {
    let shared = Shared::new();
    let storage = Overheard::new(&shared);
    let builder = CircuitBreakerFactory::builder().clock(shared.clock.clone());
    let (breaker, _) = started(builder.storage(storage.clone())).await;
    shared.storage.disconnect(StorageError::Unavailable("test".to_owned()));
    sleep(SECOND).await;
    let open = b"1 O 7 30000000 30000000 0 3:30000000:1:1:30000000 0 - 1:1".to_vec();
    let open = Versioned { version: u64::MAX / 2, bytes: open };
    for (connection, state) in [(0, State::Closed), (1, State::Open)] {
        storage.watcher(connection).changed("driven", open.clone());
        assert_eq!(breaker.state(), state, "connection {connection}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_the_memory_that_was_dropped_hears_nothing() {
    let shared = Shared::new();
    let (breaker, _) = started(shared.builder(StorageOptions::new())).await;
    let heard = Arc::new(AtomicU64::new(0));
    let watcher = {
        let heard = Arc::clone(&heard);
        let hear = move |_: &str, _| {
            heard.fetch_add(1, Ordering::Relaxed);
        };
        Watcher::of(|| (), hear)
    };
    let storage = shared.storage.clone();
    let watching = tokio::spawn(async move { storage.watch(watcher).unwrap().await });
    sleep(millis(20)).await;
    (0..3).for_each(|_| fail(&breaker));
    sleep(millis(20)).await;
    let before = heard.load(Ordering::Relaxed);
    assert!(before >= 1);
    watching.abort();
    sleep(millis(20)).await;
    breaker.reset();
    sleep(millis(20)).await;
    assert_eq!(heard.load(Ordering::Relaxed), before);
}

#[tokio::test(start_paused = true)]
async fn every_operation_has_its_number() {
    let numbers = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&numbers);
    let storage = MemoryStorage::new().with_faults(move |operation| {
        noted.lock().unwrap().push(operation.number);
        Fault::None
    });
    for _ in 0..3 {
        storage.load("driven").await.unwrap();
    }
    assert_eq!(*numbers.lock().unwrap(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_came_of_an_outage_is_told_after_it() {
    for (tripped, told) in [(false, (2, 0)), (true, (0, 2))] {
        let (shared, down) = (Shared::new(), Arc::new(AtomicBool::new(false)));
        let fault = {
            let down = Arc::clone(&down);
            move |operation: &Operation<'_>| match operation.kind {
                OperationKind::Watch if down.load(Ordering::Relaxed) => Fault::Hang,
                _ => Fault::None,
            }
        };
        let (here, log) = started(shared.faulty(StorageOptions::new(), fault)).await;
        let (there, _) = started(shared.builder(StorageOptions::new())).await;
        down.store(true, Ordering::Relaxed);
        shared.storage.disconnect(StorageError::Unavailable("test".to_owned()));
        sleep(SECOND).await;
        (0..2).for_each(|_| fail(&here));
        if tripped {
            (0..3).for_each(|_| fail(&there));
        }
        down.store(false, Ordering::Relaxed);
        sleep(SECOND * 10).await;
        let ups = log.take().into_iter().filter_map(|event| match event {
            Event::StorageUp { merged, discarded, .. } => Some((merged, discarded)),
            _ => None,
        });
        assert_eq!(ups.collect::<Vec<_>>(), [told], "tripped: {tripped}");
    }
}

/// A storage that finds out that nothing is announced before its connection is ready, as a cluster does.
struct Mute(Overheard);

impl Storage for Mute {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.0.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        self.0.compare_and_set(write)
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        Some(Box::pin(async move {
            watcher.unannounced("no right to");
            sleep(millis(20)).await; // There is more to ask for.
            self.0.watch(watcher).unwrap().await
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_from_the_beginning_is_known() {
    let shared = Shared::new();
    let storage = Overheard::new(&shared);
    let builder = CircuitBreakerFactory::builder().clock(shared.clock.clone());
    let (_breaker, _) = started(builder.storage(Mute(storage.clone()))).await;
    sleep(SECOND).await;
    assert!((9..=11).contains(&storage.loads().await));
    // And is not known of the next connection.
    storage.watcher(0).ready();
    shared.storage.disconnect(StorageError::Unavailable("test".to_owned()));
    sleep(SECOND).await;
    assert!((9..=11).contains(&storage.loads().await));
}

#[test]
fn calls_that_wait_are_told_before_listeners() {
    in_time(|| {
        let shared = Shared::new();
        let listener = |event: &Event| {
            let drives = thread::current().name() == Some("purgatory");
            if drives && matches!(event, Event::StateChanged { .. }) {
                loop {
                    thread::park();
                }
            }
        };
        let factory = shared.builder(StorageOptions::new()).listener(listener).build().unwrap();
        let breaker = crate::breaker(&factory);
        breaker.acquire().unwrap().failure();
        factory.flush(NEVER).unwrap();
        shared.ttl_passes();
        // The driver's thread does not come back from the listener.
        let permit = futures_executor::block_on(breaker.acquire_async()).unwrap();
        assert!(permit.is_probe());
    });
}
