//! Who waits until everything has arrived. On tokio's paused time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use allocation_counter::measure;
use purgatory::storage::{Fault, Operation, OperationKind, StorageError};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, FactoryBuilder, StorageOptions,
};
use tokio::time::{Instant, sleep, timeout};

use crate::{Shared, TTL, millis, on, pass, patient, paused};

const SECOND: Duration = Duration::from_secs(1);

const CONFIG: Config = Config::new().threshold(u32::MAX).ttl(TTL);

fn started(builder: FactoryBuilder) -> (CircuitBreakerFactory, CircuitBreaker) {
    let factory = builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap();
    let breaker = factory.get_breaker_with("driven", CONFIG).unwrap();
    (factory, breaker)
}

fn fail(breaker: &CircuitBreaker) {
    breaker.acquire().unwrap().failure();
}

#[tokio::test(start_paused = true)]
async fn a_flush_ends_though_failures_go_on() {
    let shared = Shared::new();
    let slow = |_: &Operation<'_>| Fault::DelayReply(millis(20));
    let (factory, breaker) = started(shared.faulty(StorageOptions::new(), slow));
    let failing = breaker.clone();
    tokio::spawn(async move {
        loop {
            fail(&failing);
            sleep(millis(1)).await; // It fails as fast as that.
        }
    });
    sleep(millis(500)).await;
    for _ in 0..10 {
        let (before, began) = (breaker.snapshot().failures, Instant::now());
        factory.flush_async(SECOND).await.unwrap();
        println!("flushed in {:?}", began.elapsed());
        // What was under way when it began, and what was counted meanwhile.
        assert!(began.elapsed() <= millis(50), "{:?}", began.elapsed());
        let shared = breaker.snapshot().shared.unwrap();
        assert!(shared.recorded >= u64::from(before), "{before} before, {shared:?}");
    }
}

/// For five milliseconds after an update.
#[tokio::test(start_paused = true)]
async fn what_gathers_is_sent_at_once_by_a_flush_and_by_nothing_else() {
    let (shared, sent) = (Shared::new(), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&sent);
    let count = move |operation: &Operation<'_>| {
        counted.fetch_add(u64::from(operation.kind == OperationKind::Bump), Ordering::Relaxed);
        Fault::None
    };
    let (factory, breaker) = started(shared.faulty(StorageOptions::new(), count));
    sleep(millis(20)).await;
    for _ in 0..20 {
        fail(&breaker);
        sleep(millis(1)).await;
    }
    let updates = sent.load(Ordering::Relaxed);
    assert!((2..=5).contains(&updates), "{updates}");
    fail(&breaker);
    let began = Instant::now();
    factory.flush_async(SECOND).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(breaker.snapshot().shared.unwrap().recorded, 21);
}

/// At the same time.
#[tokio::test(start_paused = true)]
async fn what_gathers_of_several_circuits_arrives() {
    let shared = Shared::new();
    let (factory, one) = started(shared.builder(StorageOptions::new()));
    let all = [one, factory.get_breaker("another").unwrap(), factory.get_breaker("third").unwrap()];
    sleep(millis(20)).await;
    for _ in 0..2 {
        all.iter().for_each(fail);
        sleep(millis(1)).await;
    }
    sleep(millis(20)).await;
    for breaker in &all {
        assert_eq!(breaker.snapshot().shared.unwrap().recorded, 2, "{}", breaker.name());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_takes_no_longer_than_it_may() {
    let hangs = |operation: &Operation<'_>| match operation.kind {
        OperationKind::Bump => Fault::Hang,
        _ => Fault::None,
    };
    let (factory, breaker) = started(Shared::new().faulty(patient(Consistency::Mirror), hangs));
    fail(&breaker);
    let began = Instant::now();
    assert_eq!(factory.flush_async(SECOND / 4).await.unwrap_err().failures, 1);
    assert_eq!(began.elapsed(), SECOND / 4);
}

/// Flushes a circuit that is cut off, and says how many failures have not arrived.
async fn refused(builder: FactoryBuilder) -> u64 {
    let (factory, breaker) = started(builder);
    sleep(millis(20)).await;
    fail(&breaker);
    // The storage is read again within a second.
    sleep(SECOND * 2).await;
    fail(&breaker);
    let began = Instant::now();
    let unflushed = factory.flush_async(SECOND).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO);
    unflushed.failures
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_a_circuit_that_is_cut_off_is_an_error() {
    let shared = Shared::new();
    let unusable = |operation: &Operation<'_>| match operation.kind {
        OperationKind::Bump | OperationKind::CompareAndSet => {
            Fault::Error(StorageError::Unusable("a list".to_owned()))
        }
        _ => Fault::None,
    };
    assert_eq!(refused(shared.faulty(StorageOptions::new(), unusable)).await, 2);
    // Of a version that is not known: nothing is sent.
    shared.storage.replace("driven", Some(b"2 C 0 30000000 0 what else there is"));
    assert_eq!(refused(shared.builder(StorageOptions::new())).await, 2);
}

/// It may become so while somebody waits.
#[tokio::test(start_paused = true)]
async fn a_flush_that_waits_for_a_circuit_that_is_cut_off_ends() {
    let shared = Shared::new();
    let unusable = |operation: &Operation<'_>| match operation.kind {
        OperationKind::Bump => Fault::Error(StorageError::Unusable("a list".to_owned())),
        _ => Fault::Delay(millis(20)),
    };
    let (factory, breaker) = started(shared.faulty(StorageOptions::new(), unusable));
    fail(&breaker);
    let began = Instant::now();
    assert_eq!(factory.flush_async(SECOND).await.unwrap_err().failures, 1);
    assert!(began.elapsed() <= millis(100), "{:?}", began.elapsed());
}

fn hangs(_: &Operation<'_>) -> Fault {
    Fault::Hang
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_was_given_up_keeps_no_driver() {
    let (tasks, task) = mpsc::channel();
    let spawn = move |driver| tasks.send(tokio::spawn(driver)).unwrap();
    let builder = Shared::new().faulty(StorageOptions::new().poll(SECOND * 86_400), hangs);
    let factory = builder.driver(spawn).build().unwrap();
    let breaker = factory.get_breaker_with("driven", CONFIG).unwrap();
    fail(&breaker);
    timeout(SECOND * 6, factory.flush_async(Duration::MAX)).await.unwrap_err();
    drop((breaker, factory));
    timeout(SECOND * 2, task.recv().unwrap()).await.unwrap().unwrap();
}

/// Neither those that everything arrives for, nor those that nobody waits for any more.
#[test]
fn flushes_leave_nothing_behind() {
    for hangs in [false, true] {
        let (runtime, shared) = (paused().build().unwrap(), Shared::new());
        let fault = move |_: &Operation<'_>| if hangs { Fault::Hang } else { Fault::None };
        let factory = on(&runtime, shared.faulty(patient(Consistency::Mirror), fault));
        let breaker = factory.get_breaker_with("driven", CONFIG).unwrap();
        pass(&runtime, millis(20));
        let flushes = |times| {
            measure(|| {
                for _ in 0..times {
                    fail(&breaker);
                    let flush = factory.flush_async(Duration::MAX);
                    let flushed = runtime.block_on(async { timeout(millis(20), flush).await });
                    assert_eq!(flushed.is_err(), hangs);
                    pass(&runtime, millis(20));
                }
            })
            .bytes_current
        };
        flushes(100);
        let left = flushes(1000);
        assert!(left < 10_000, "{left} bytes, hangs: {hangs}");
    }
}
