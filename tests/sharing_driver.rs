//! The driver of shared circuits: what it costs, what is without one, and who waits for it.
#![cfg(not(any(loom, shuttle)))]

#[path = "sharing_driver/connecting.rs"]
mod connecting;
#[path = "sharing_driver/contending.rs"]
mod contending;
#[path = "sharing_driver/endings.rs"]
mod endings;
#[path = "sharing_driver/flushes.rs"]
mod flushes;
#[path = "sharing_driver/hearing.rs"]
mod hearing;
#[path = "sharing_driver/joining.rs"]
mod joining;
#[path = "sharing_driver/leaving.rs"]
mod leaving;
#[path = "sharing_driver/looks.rs"]
mod looks;
#[path = "sharing_driver/panics.rs"]
mod panics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use allocation_counter::measure;
use purgatory::storage::{Fault, Operation};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, FactoryBuilder, ManualClock,
    MemoryStorage, Permit, Rejected, State, StorageOptions,
};
use purgatory_tests::ready;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

const TTL: Duration = Duration::from_secs(30);

/// Longer than any test may take: what waits for it hangs.
const NEVER: Duration = Duration::from_secs(600);

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Calls wait for ever, if they wait.
fn patient(consistency: Consistency) -> StorageOptions {
    StorageOptions::new().consistency(consistency).operation_timeout(NEVER).probe_wait(NEVER)
}

/// A storage and a clock for some processes.
struct Shared {
    clock: ManualClock,
    storage: MemoryStorage,
}

impl Shared {
    fn new() -> Self {
        let clock = ManualClock::new();
        clock.advance(TTL);
        let storage = MemoryStorage::new().with_clock(clock.clone());
        Self { clock, storage }
    }

    fn builder(&self, options: StorageOptions) -> FactoryBuilder {
        self.faulty(options, |_| Fault::None)
    }

    /// One for a process that has bad luck.
    fn faulty(
        &self,
        options: StorageOptions,
        faults: impl Fn(&Operation<'_>) -> Fault + Send + Sync + 'static,
    ) -> FactoryBuilder {
        let storage = self.storage.clone().with_faults(faults).with_options(options);
        CircuitBreakerFactory::builder().clock(self.clock.clone()).storage(storage)
    }

    fn ttl_passes(&self) {
        self.clock.advance(TTL + millis(1));
    }
}

fn on(runtime: &Runtime, builder: FactoryBuilder) -> CircuitBreakerFactory {
    let handle = runtime.handle().clone();
    builder.driver(move |driver| drop(handle.spawn(driver))).build().unwrap()
}

fn breaker(factory: &CircuitBreakerFactory) -> CircuitBreaker {
    let config = Config::new().threshold(1).ttl(TTL);
    factory.get_breaker_with("driven", config).unwrap()
}

fn in_sync(breaker: &CircuitBreaker) -> bool {
    breaker.snapshot().shared.unwrap().in_sync
}

/// A runtime whose time passes when it has nothing to do.
fn paused() -> Builder {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true);
    builder
}

/// Lets the tasks of a runtime go on for so long.
fn pass(runtime: &Runtime, time: Duration) {
    runtime.block_on(async { sleep(time).await });
}

/// A call in a thread, and one in a task, which has to be answered at once.
type Acquire = fn(&CircuitBreaker) -> Result<Permit, Rejected>;
const BOTH: [Acquire; 2] = [
    |breaker| breaker.acquire().map(|permit| permit.into_owned()),
    |breaker| ready(breaker.acquire_async()).map(|permit| permit.into_owned()),
];

/// A circuit that does without the storage what one does that is not shared.
fn is_on_its_own(shared: &Shared, breaker: &CircuitBreaker) {
    for acquire in BOTH {
        acquire(breaker).unwrap().success();
        acquire(breaker).unwrap().failure();
        assert_eq!(breaker.state(), State::Open);
        acquire(breaker).unwrap_err();
        // Processes that are alone probe up to a quarter of the time later.
        shared.clock.advance(TTL * 5 / 4 + millis(1));
        let permit = acquire(breaker).unwrap();
        assert!(permit.is_probe());
        permit.success();
        assert_eq!((breaker.state(), in_sync(breaker)), (State::Closed, false));
    }
}

/// The driver has a task within its task, so it is the runtime that says how often something runs, and the
/// allocations that say how much.
#[test]
fn a_breaker_without_its_factory_costs_next_to_nothing() {
    let wakes = Arc::new(AtomicU64::new(0));
    let parked = Arc::clone(&wakes);
    let count = move || {
        parked.fetch_add(1, Ordering::Relaxed);
    };
    let runtime = paused().on_thread_park(count).build().unwrap();
    let shared = Shared::new();
    let factory = on(&runtime, shared.builder(StorageOptions::new()));
    let breaker = breaker(&factory);
    pass(&runtime, millis(20));
    drop(factory);
    let minutes: Vec<_> = (0..10)
        .map(|_| {
            let before = wakes.load(Ordering::Relaxed);
            let work = measure(|| pass(&runtime, Duration::from_secs(60))).count_total;
            (wakes.load(Ordering::Relaxed) - before, work)
        })
        .collect();
    println!("wakes and allocations in each minute: {minutes:?}");
    for &(wakes, work) in &minutes {
        // Two timers a second, and for each some steps of tokio's.
        assert!(wakes < 60 * 10, "{minutes:?}");
        assert!(work < minutes[0].1 * 3 / 2, "{minutes:?}");
    }
    // It shares all the same.
    let other = on(&runtime, shared.builder(StorageOptions::new()));
    let there = crate::breaker(&other);
    pass(&runtime, millis(20));
    there.acquire().unwrap().failure();
    pass(&runtime, millis(20));
    assert_eq!([breaker.state(), there.state()], [State::Open; 2]);
    breaker.reset();
    pass(&runtime, millis(20));
    assert_eq!([breaker.state(), there.state()], [State::Closed; 2]);
    // And it ends with the last handle.
    drop((other, there, breaker));
    pass(&runtime, Duration::from_secs(2));
    assert_eq!(runtime.metrics().num_alive_tasks(), 0);
}
