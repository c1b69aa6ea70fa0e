//! Answers that come late, and what comes meanwhile. On tokio's paused time.
#![cfg(not(any(loom, shuttle)))]

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use purgatory::storage::{
    Fault, Operation, OperationKind, Storage, StorageFuture, Stored, Swap, Watcher, Watching, Write,
};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, ManualClock, MemoryStorage, Reason,
    State, StorageOptions,
};
use purgatory_tests::poll_once;

const TTL: Duration = Duration::from_secs(30);

/// Two processes on one thread, of which one gets its answers late by so many milliseconds.
fn late(
    kind: OperationKind,
    millis: u64,
    options: StorageOptions,
    clock: &ManualClock,
) -> [CircuitBreaker; 2] {
    clock.advance(TTL);
    let storage = MemoryStorage::new().with_clock(clock.clone());
    let fault = move |operation: &Operation<'_>| match operation.kind {
        found if found == kind => Fault::DelayReply(Duration::from_millis(millis)),
        _ => Fault::None,
    };
    let storages = [storage.clone().with_faults(fault), storage];
    let options = [options, StorageOptions::new()];
    std::array::from_fn(|index| {
        let factory = CircuitBreakerFactory::builder()
            .clock(clock.clone())
            .storage(storages[index].clone().with_options(options[index]))
            .driver(|driver| drop(tokio::spawn(driver)))
            .seed(index as u64 + 1)
            .build()
            .unwrap();
        factory.get_breaker_with("late", Config::new().threshold(2).ttl(TTL)).unwrap()
    })
}

async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn a_push_that_overtakes_an_answer_is_not_lost() {
    let [here, there] = late(OperationKind::Bump, 50, StorageOptions::new(), &ManualClock::new());
    pause(20).await;
    here.acquire().unwrap().failure();
    pause(20).await;
    // On top of that failure, whose answer is still on its way.
    there.acquire().unwrap().failure();
    pause(100).await;
    assert_eq!([here.state(), there.state()], [State::Open; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_asks_has_a_deadline_of_its_own() {
    let clock = ManualClock::new();
    // It asks until 50 ms, when the next one, which asks from 42 ms on, has not got its answer.
    let [here, _] = late(OperationKind::CompareAndSet, 20, StorageOptions::new(), &clock);
    pause(20).await;
    (0..2).for_each(|_| here.acquire().unwrap().failure());
    pause(100).await;
    clock.advance(TTL + Duration::from_millis(1));
    here.acquire_async().await.unwrap().ignore();
    pause(22).await;
    assert!(here.acquire_async().await.unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn leave_that_nobody_takes_is_given_back() {
    let clock = ManualClock::new();
    let [here, there] = late(OperationKind::Watch, 0, StorageOptions::new(), &clock);
    pause(20).await;
    (0..2).for_each(|_| here.acquire().unwrap().failure());
    pause(20).await;
    clock.advance(TTL + Duration::from_millis(1));
    let mut asking = Box::pin(here.acquire_async());
    assert!(poll_once(asking.as_mut()).is_pending());
    // It has leave, and has not seen that.
    pause(20).await;
    assert_eq!(there.acquire_async().await.unwrap_err().reason(), Reason::ProbesBusy);
    drop(asking);
    pause(20).await;
    assert!(there.acquire_async().await.unwrap().is_probe());
}

#[tokio::test(start_paused = true)]
async fn a_probe_whose_place_has_gone_to_another_is_late() {
    let clock = ManualClock::new();
    let [here, there] = late(OperationKind::Watch, 0, StorageOptions::new(), &clock);
    pause(20).await;
    (0..2).for_each(|_| here.acquire().unwrap().failure());
    pause(20).await;
    clock.advance(TTL + Duration::from_millis(1));
    let late = here.acquire_async().await.unwrap();
    clock.advance(TTL + Duration::from_millis(1));
    let probe = there.acquire_async().await.unwrap();
    late.success();
    pause(20).await;
    assert_eq!([here.state(), there.state()], [State::HalfOpen; 2]);
    assert_eq!([here.snapshot().late, there.snapshot().late], [1, 0]);
    probe.success();
    pause(20).await;
    assert_eq!([here.state(), there.state()], [State::Closed; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_reading_that_a_push_overtakes_is_not_followed() {
    let options = StorageOptions::new().consistency(Consistency::Strict);
    let [here, there] = late(OperationKind::Load, 50, options, &ManualClock::new());
    pause(20).await;
    there.acquire().unwrap().failure();
    pause(100).await;
    let mut asking = pin!(here.acquire_async());
    assert!(poll_once(asking.as_mut()).is_pending());
    pause(20).await;
    there.acquire().unwrap().failure();
    assert_eq!(asking.await.unwrap_err().reason(), Reason::Open);
}

/// A storage in which somebody else is always faster than who writes that a circuit is half-open.
struct Contended {
    storage: MemoryStorage,
    conflicts: Arc<AtomicU32>,
}

impl Storage for Contended {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.storage.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        if !write.bytes.starts_with(b"1 H ") {
            return self.storage.compare_and_set(write);
        }
        self.conflicts.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            pause(1).await;
            let stored = self.storage.load(write.circuit).await?;
            Ok(Swap { applied: false, stored })
        })
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        self.storage.watch(watcher)
    }
}

#[tokio::test(start_paused = true)]
async fn leave_that_cannot_be_had_is_not_asked_for_for_ever() {
    let clock = ManualClock::new();
    clock.advance(TTL);
    let conflicts = Arc::<AtomicU32>::default();
    let storage = MemoryStorage::new().with_clock(clock.clone());
    let factory = CircuitBreakerFactory::builder()
        .clock(clock.clone())
        .storage(Contended { storage, conflicts: Arc::clone(&conflicts) })
        .driver(|driver| drop(tokio::spawn(driver)))
        .seed(1)
        .build()
        .unwrap();
    let breaker = factory.get_breaker_with("late", Config::new().threshold(1).ttl(TTL)).unwrap();
    pause(20).await;
    breaker.acquire().unwrap().failure();
    pause(100).await;
    clock.advance(TTL + Duration::from_millis(1));
    assert_eq!(breaker.acquire_async().await.unwrap_err().reason(), Reason::Open);
    pause(10_000).await;
    // In the 50 ms that the call has waited, with pauses between.
    let conflicts = conflicts.load(Ordering::Relaxed);
    assert!((2..20).contains(&conflicts), "{conflicts} conflicts");
}
