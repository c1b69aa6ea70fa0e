//! What was counted when the last handle goes. On tokio's paused time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use purgatory::storage::{Fault, Operation, OperationKind, StorageError};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, Event, FactoryBuilder,
    StorageOptions,
};
use purgatory_tests::{Log, in_time};
use tokio::time::{Instant, sleep, timeout};

use crate::{Shared, TTL, in_sync, millis, on, pass, patient, paused};

const CONFIG: Config = Config::new().threshold(1000).ttl(TTL);

fn started(builder: FactoryBuilder) -> (CircuitBreakerFactory, CircuitBreaker) {
    let factory = builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap();
    let breaker = factory.get_breaker_with("driven", CONFIG).unwrap();
    (factory, breaker)
}

fn fail(breaker: &CircuitBreaker) {
    breaker.acquire().unwrap().failure();
}

/// How many failures the record has.
fn recorded(shared: &Shared) -> u32 {
    let Some(record) = shared.storage.record("driven") else { return 0 };
    String::from_utf8(record.bytes).unwrap().split(' ').nth(5).unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_gathers_when_the_last_handle_goes_arrives() {
    for removed in [false, true] {
        let shared = Shared::new();
        let (factory, breaker) = started(shared.builder(StorageOptions::new()));
        sleep(millis(20)).await;
        fail(&breaker);
        sleep(millis(1)).await;
        assert_eq!(recorded(&shared), 1);
        // It waits for more.
        fail(&breaker);
        drop(breaker);
        if removed {
            // Refused, or forgotten only when it has arrived.
            let _ = factory.remove("driven");
            sleep(Duration::from_secs(2)).await;
            factory.remove("driven").ok();
        }
        drop(factory);
        sleep(Duration::from_secs(2)).await;
        assert_eq!(recorded(&shared), 2, "removed: {removed}");
    }
}

/// Without a poll, and with what nobody wakes it for.
#[tokio::test(start_paused = true)]
async fn a_driver_ends_within_a_second_of_the_last_handle() {
    let day = StorageOptions::new().poll(Duration::from_secs(86_400));
    for down in [false, true] {
        let shared = Shared::new();
        let fault = move |operation: &Operation<'_>| match operation.kind {
            OperationKind::Watch if down => Fault::Hang,
            _ => Fault::None,
        };
        let (tasks, task) = mpsc::channel();
        let spawn = move |driver| tasks.send(tokio::spawn(driver)).unwrap();
        let factory = shared.faulty(day, fault).driver(spawn).build().unwrap();
        let breaker = factory.get_breaker_with("driven", CONFIG).unwrap();
        // In an outage it would be kept for the storage.
        fail(&breaker);
        sleep(Duration::from_secs(6)).await;
        drop(factory);
        sleep(Duration::from_secs(6)).await;
        let task = task.recv().unwrap();
        assert!(!task.is_finished(), "down: {down}");
        drop(breaker);
        timeout(Duration::from_secs(2), task).await.unwrap().unwrap();
    }
}

/// And none, if it is down.
#[tokio::test(start_paused = true)]
async fn what_is_left_has_a_tenth_of_a_second_to_arrive() {
    for (hangs, time) in [(OperationKind::Bump, 100), (OperationKind::Watch, 0)] {
        let shared = Shared::new();
        let fault = move |operation: &Operation<'_>| match operation.kind {
            kind if kind == hangs => Fault::Hang,
            _ => Fault::None,
        };
        let (tasks, task) = mpsc::channel();
        let spawn = move |driver| tasks.send(tokio::spawn(driver)).unwrap();
        let builder = shared.faulty(patient(Consistency::Mirror), fault);
        let factory = builder.driver(spawn).build().unwrap();
        let breaker = factory.get_breaker_with("driven", CONFIG).unwrap();
        fail(&breaker);
        // Up, or between two attempts to connect.
        sleep(millis(5005)).await;
        drop((factory, breaker));
        let began = Instant::now();
        timeout(Duration::from_secs(2), task.recv().unwrap()).await.unwrap().unwrap();
        assert_eq!(began.elapsed(), millis(time), "{hangs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_while_the_record_is_read_arrives() {
    let shared = Shared::new();
    let slow = |operation: &Operation<'_>| match operation.kind {
        OperationKind::Load => Fault::DelayReply(millis(20)),
        _ => Fault::None,
    };
    let (factory, breaker) = started(shared.faulty(StorageOptions::new(), slow));
    sleep(millis(5)).await;
    fail(&breaker);
    drop((breaker, factory));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(recorded(&shared), 1);
}

#[test]
fn a_circuit_that_is_used_before_its_creation_is_told_is_shared() {
    in_time(|| {
        let (runtime, shared) = (paused().build().unwrap(), Shared::new());
        let hangs = Arc::new(AtomicBool::new(true));
        let fault = {
            let hangs = Arc::clone(&hangs);
            move |operation: &Operation<'_>| {
                let load = operation.kind == OperationKind::Load;
                if load && hangs.load(Ordering::Relaxed) { Fault::Hang } else { Fault::None }
            }
        };
        let (created, is_created) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel::<()>();
        let goes_on = std::sync::Mutex::new(goes_on);
        let listener = move |event: &Event| {
            if let Event::Created { .. } = event {
                created.send(()).unwrap();
                goes_on.lock().unwrap().recv().unwrap();
            }
        };
        let builder = shared.faulty(patient(Consistency::Mirror), fault).listener(listener);
        let factory = on(&runtime, builder);
        pass(&runtime, millis(20));
        thread::scope(|scope| {
            let creates = scope.spawn(|| factory.get_breaker_with("driven", CONFIG).unwrap());
            is_created.recv().unwrap();
            let breaker = factory.find("driven").unwrap();
            fail(&breaker);
            pass(&runtime, millis(20));
            shared.storage.disconnect(StorageError::Unavailable("test".to_owned()));
            hangs.store(false, Ordering::Relaxed);
            pass(&runtime, Duration::from_secs(1));
            go_on.send(()).unwrap();
            creates.join().unwrap();
            pass(&runtime, Duration::from_secs(1));
            assert!(in_sync(&breaker));
            assert_eq!(recorded(&shared), 1);
        });
    });
}

/// Also if it was removed.
#[tokio::test(start_paused = true)]
async fn what_a_circuit_that_is_cut_off_could_not_tell_is_told_at_the_end() {
    let (shared, log) = (Shared::new(), Log::default());
    let unusable = |operation: &Operation<'_>| match operation.kind {
        OperationKind::Bump => Fault::Error(StorageError::Unusable("a list".to_owned())),
        _ => Fault::None,
    };
    let builder = shared.faulty(StorageOptions::new(), unusable).listener(log.clone());
    let (factory, breaker) = started(builder);
    let removed = factory.get_breaker_with("removed", CONFIG).unwrap();
    sleep(millis(20)).await;
    (0..3).for_each(|_| fail(&breaker));
    (0..4).for_each(|_| fail(&removed));
    sleep(millis(20)).await;
    drop(removed);
    factory.remove("removed").unwrap();
    drop((breaker, factory));
    sleep(Duration::from_secs(2)).await;
    let last = log.take().pop();
    assert!(matches!(last, Some(Event::StorageClosed { discarded: 7, .. })), "{last:?}");
}
