//! Panics in the storage, and on the driver itself. On tokio's paused time.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

use purgatory::storage::{
    Bump, OperationKind, Storage, StorageError, StorageFuture, StorageOptions, Stored, Swap,
    Watcher, Watching, Write,
};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, Consistency, Event, ManualClock,
    MemoryStorage, State, Timestamp,
};
use purgatory_tests::{Log, in_time};
use tokio::time::{Instant, sleep};

use crate::{NEVER, Shared, is_on_its_own, millis, patient};

/// A storage that panics once, in that operation, before it does it or after.
struct Panics {
    memory: MemoryStorage,
    kind: OperationKind,
    late: bool,
    armed: Arc<AtomicBool>,
}

/// Without the hook, whose message would fill the output.
fn panic() -> ! {
    resume_unwind(Box::new(()))
}

impl Panics {
    fn strike(&self, kind: OperationKind, late: bool) {
        if kind == self.kind && late == self.late && self.armed.swap(false, Ordering::Relaxed) {
            panic();
        }
    }

    async fn around<T>(&self, kind: OperationKind, operation: impl Future<Output = T>) -> T {
        self.strike(kind, false);
        let answer = operation.await;
        self.strike(kind, true);
        answer
    }
}

impl Storage for Panics {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        Box::pin(self.around(OperationKind::Load, self.memory.load(circuit)))
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        Box::pin(self.around(OperationKind::CompareAndSet, self.memory.compare_and_set(write)))
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        // What replaces it is to be seen as well.
        let bumped = self.memory.bump(bump).filter(|_| self.kind == OperationKind::Bump)?;
        Some(Box::pin(self.around(OperationKind::Bump, bumped)))
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        // Not in the future: it panics here, or in the end.
        self.strike(OperationKind::Watch, false);
        let watching = self.memory.watch(watcher)?;
        Some(Box::pin(self.around(OperationKind::Watch, watching)))
    }
}

/// A process whose driver is a task of this one.
struct Process {
    factory: CircuitBreakerFactory,
    breaker: CircuitBreaker,
    log: Log,
}

fn process(clock: impl Clock, storage: impl Storage) -> Process {
    let log = Log::default();
    let builder = CircuitBreakerFactory::builder().clock(clock).storage(storage);
    let builder = builder.driver(|driver| drop(tokio::spawn(driver)));
    let factory = builder.listener(log.clone()).build().unwrap();
    let breaker = factory.get_breaker_with("counts", Config::new().threshold(1000)).unwrap();
    Process { factory, breaker, log }
}

impl Process {
    /// It is admitted, at once.
    async fn fail(&self) {
        let began = Instant::now();
        self.breaker.acquire_async().await.unwrap().failure();
        assert_eq!(began.elapsed(), Duration::ZERO);
    }

    /// What it was told of the storage.
    fn told(&self) -> Vec<String> {
        let events = self.log.take().into_iter();
        let told = events.filter_map(|event| match event {
            Event::StorageDown { cause, .. } => Some(format!("down: {cause}")),
            Event::StorageUp { discarded, .. } => Some(format!("up, {discarded} discarded")),
            _ => None,
        });
        told.collect()
    }

    /// Everything works, and what it counted is in the record once.
    async fn is_well(&self, shared: &Shared) {
        self.factory.flush_async(NEVER).await.unwrap();
        let snapshot = self.breaker.snapshot();
        let (failures, here) = (u64::from(snapshot.failures), snapshot.shared.unwrap());
        assert_eq!((here.recorded, here.discarded, here.in_sync), (failures, 0, true));
        let line = String::from_utf8(shared.storage.record("counts").unwrap().bytes).unwrap();
        assert_eq!(line.split(' ').nth(5), Some(&*failures.to_string()), "{line}");
        let there = process(shared.clock.clone(), shared.storage.clone());
        sleep(millis(20)).await;
        let config = Config::new().threshold(1);
        let breaker = |process: &Self| process.factory.get_breaker_with("trips", config).unwrap();
        let (here, there) = (breaker(self), breaker(&there));
        sleep(millis(20)).await;
        there.acquire().unwrap().failure();
        sleep(millis(20)).await;
        assert_eq!((here.state(), there.state()), (State::Open, State::Open));
    }
}

/// A panic in that operation: the first, or one when all is well.
async fn one_panic(kind: OperationKind, late: bool, first: bool) {
    println!("{kind:?}, late: {late}, first: {first}");
    let shared = Shared::new();
    let armed = Arc::new(AtomicBool::new(first));
    let storage = Panics { memory: shared.storage.clone(), kind, late, armed: armed.clone() };
    let here = process(shared.clock.clone(), storage);
    if !first {
        here.fail().await;
        sleep(millis(20)).await;
        assert_eq!(here.told(), ["up, 0 discarded"]);
    }
    armed.store(true, Ordering::Relaxed);
    if kind == OperationKind::Watch {
        shared.storage.disconnect(StorageError::Unavailable("pulled the plug".to_owned()));
    }
    here.fail().await;
    // Until every circuit was looked at, and more.
    for _ in 0..40 {
        sleep(millis(1000)).await;
        here.fail().await;
    }
    assert!(!armed.load(Ordering::Relaxed), "nothing has panicked");
    let told = here.told();
    let downs: Vec<_> = told.iter().filter(|told| told.starts_with("down")).collect();
    let ([down], Some(up)) = (&downs[..], told.last()) else { panic!("{told:?}") };
    // Who has lost the connection has said so already.
    let why = if kind == OperationKind::Watch && !first && !late { "plug" } else { "panicked" };
    assert!(down.contains(why), "{down}");
    assert_eq!(up, "up, 0 discarded");
    here.is_well(&shared).await;
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_panics_is_down_and_comes_back_with_everything() {
    use OperationKind::{Bump, CompareAndSet, Load, Watch};
    for kind in [Load, Watch, Bump, CompareAndSet] {
        for (late, first) in [(false, false), (false, true), (true, false)] {
            one_panic(kind, late, first).await;
        }
    }
}

/// A clock that panics, which none may: it is for something that panics on the driver itself. It does so
/// where nobody else asks it, the n-th time and so many times after that.
#[derive(Clone)]
struct Falters {
    clock: ManualClock,
    driven: fn() -> bool,
    asked: Arc<AtomicU64>,
    n: u64,
    times: u64,
}

impl Clock for Falters {
    fn now(&self) -> Timestamp {
        if (self.driven)() {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            if (self.n..self.n + self.times).contains(&asked) {
                panic();
            }
        }
        self.clock.now()
    }
}

impl Falters {
    /// Where tests make no calls: in tasks.
    fn in_tasks(shared: &Shared, n: u64, times: u64) -> Self {
        let driven = || tokio::task::try_id().is_some();
        Self { clock: shared.clock.clone(), driven, asked: Arc::default(), n, times }
    }
}

/// A flush that ends, well or not, and does not wait for what will not come.
async fn flush(here: &Process) -> bool {
    let began = Instant::now();
    let flushed = here.factory.flush_async(NEVER).await;
    assert!(began.elapsed() < millis(2000), "{:?}", began.elapsed());
    flushed.is_ok()
}

#[tokio::test(start_paused = true)]
async fn wherever_a_driver_panics_another_one_goes_on() {
    let (mut causes, mut unflushed) = (Vec::new(), 0);
    for n in 1.. {
        let shared = Shared::new();
        let clock = Falters::in_tasks(&shared, n, 1);
        let asked = Arc::clone(&clock.asked);
        let here = process(clock, shared.storage.clone());
        for pause in [0, 20, 0, 1500, 20] {
            here.fail().await;
            unflushed += u64::from(!flush(&here).await);
            sleep(millis(pause)).await;
        }
        // From here on it does not.
        let panicked = asked.swap(1 << 60, Ordering::Relaxed) >= n;
        sleep(millis(3000)).await;
        let told = here.told();
        let downs: Vec<_> = told.iter().filter(|told| told.starts_with("down")).collect();
        assert_eq!(downs.len(), usize::from(panicked), "{n}: {told:?}");
        assert_eq!(told.last().map(String::as_str), Some("up, 0 discarded"), "{n}");
        causes.extend(downs.into_iter().cloned());
        here.is_well(&shared).await;
        if !panicked {
            break;
        }
    }
    let of = |whose: &str| causes.iter().filter(|cause| cause.contains(whose)).count();
    let (driver, storage) = (of("the driver panicked"), of("the storage panicked"));
    println!("{driver} panics of the driver, {storage} of requests, {unflushed} flushes failed");
    assert!(driver > 5 && storage > 5 && unflushed > 0, "{causes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_for_good_leaves_every_circuit_on_its_own() {
    let shared = Shared::new();
    // When the first answer is there, and when the circuits are told that the driver is no more.
    let here = process(Falters::in_tasks(&shared, 3, 2), shared.storage.clone());
    here.breaker.acquire().unwrap().failure();
    assert!(!flush(&here).await, "it was to panic");
    let told = here.told();
    assert!(told.len() == 1 && told[0].contains("the driver panicked"), "{told:?}");
    is_on_its_own(&shared, &crate::breaker(&here.factory));
    here.fail().await;
    assert!(!flush(&here).await);
    assert_eq!(here.factory.flush_async(NEVER).await.unwrap_err().failures, 2);
}

#[test]
fn a_call_that_waits_for_a_driver_that_panics_is_admitted() {
    in_time(|| {
        let shared = Shared::new();
        let clock = Falters {
            clock: shared.clock.clone(),
            driven: || thread::current().name() == Some("purgatory"),
            asked: Arc::default(),
            n: 1,
            times: 3,
        };
        let storage = shared.storage.clone().with_options(patient(Consistency::Strict));
        let builder = CircuitBreakerFactory::builder().clock(clock).storage(storage);
        let factory = builder.build().unwrap();
        // It waits for a reading, until there is nobody to read.
        crate::breaker(&factory).acquire().unwrap().success();
        is_on_its_own(&shared, &crate::breaker(&factory));
        crate::breaker(&factory).acquire().unwrap().failure();
        assert_eq!(factory.flush(NEVER).unwrap_err().failures, 1);
    });
}

/// Until another driver begins, which may be a long while.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_driver_after_one_that_panicked() {
    let shared = Shared::new();
    let options = StorageOptions::new().consistency(Consistency::Strict);
    let storage = shared.storage.clone().with_options(options.max_backoff(NEVER));
    let here = process(Falters::in_tasks(&shared, 3, 1), storage);
    sleep(millis(20)).await;
    assert_eq!(here.told(), ["down: unavailable: the driver panicked"]);
    // Of a strict circuit that is new, the storage is read first.
    let new = here.factory.get_breaker("new").unwrap();
    let began = Instant::now();
    new.acquire_async().await.unwrap().failure();
    here.fail().await;
    assert_eq!(here.factory.flush_async(millis(100)).await.unwrap_err().failures, 2);
    assert_eq!(began.elapsed(), Duration::ZERO);
    // And nothing was lost.
    sleep(NEVER).await;
    drop(new);
    here.is_well(&shared).await;
    here.factory.remove("new").unwrap();
    assert!(shared.storage.record("new").is_some());
}

/// Who waits is woken before the listeners are told.
#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_silences_no_circuit() {
    struct Panicking;

    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            panic();
        }
    }

    let (shared, log) = (Shared::new(), Log::default());
    let builder = shared.builder(StorageOptions::new()).listener(log.clone());
    let factory = builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap();
    let breaker = crate::breaker(&factory);
    sleep(millis(20)).await;
    breaker.acquire().unwrap().failure();
    sleep(millis(20)).await;
    shared.ttl_passes();
    log.take();
    let mut call = pin!(breaker.acquire_async());
    let waker = Waker::from(Arc::new(Panicking));
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    sleep(millis(20)).await;
    let told = log.take();
    assert!(told.iter().any(|event| matches!(event, Event::StateChanged { .. })), "{told:?}");
    breaker.reset();
    let told = log.take();
    assert!(told.iter().any(|event| matches!(event, Event::StateChanged { .. })), "{told:?}");
}
