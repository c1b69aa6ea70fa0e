//! Answers that come late, and what comes meanwhile. On tokio's paused time.
#![cfg(not(any(loom, shuttle)))]

use std::pin::pin;
use std::time::Duration;

use purgatory::storage::{Fault, Operation, OperationKind};
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
