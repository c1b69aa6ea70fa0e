//! Circuits without a driver: it was never run, or has ended.

use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;

use purgatory::storage::{Fault, Operation, OperationKind};
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Consistency, Event, State, StorageOptions};
use purgatory_tests::{in_time, poll_once, ready};
use tokio::runtime::{Builder, Runtime};

use crate::{NEVER, Shared, breaker, in_sync, is_on_its_own, millis, on, pass, patient, paused};

const MODES: [Consistency; 2] = [Consistency::Mirror, Consistency::Strict];

#[test]
fn a_driver_that_is_not_run_leaves_every_circuit_on_its_own() {
    for mode in MODES {
        in_time(move || {
            let shared = Shared::new();
            let alive = Arc::new(());
            let witness = Arc::clone(&alive);
            let listener = move |_: &Event| drop(Arc::clone(&witness));
            let builder = shared.builder(patient(mode)).listener(listener);
            let factory = builder.driver(drop).build().unwrap();
            let breaker = breaker(&factory);
            is_on_its_own(&shared, &breaker);
            breaker.acquire().unwrap().failure();
            assert_eq!(factory.flush(NEVER).unwrap_err().failures, 1);
            assert_eq!(ready(factory.flush_async(NEVER)).unwrap_err().failures, 1);
            drop(breaker);
            factory.remove("driven").unwrap();
            // Another one, which is closed and counts by itself.
            let breaker = crate::breaker(&factory);
            is_on_its_own(&shared, &breaker);
            breaker.acquire().unwrap().failure();
            drop((breaker, factory));
            assert_eq!(Arc::strong_count(&alive), 1, "what lists a circuit keeps it");
        });
    }
}

/// A process that has heard of the storage; which from when `hangs` is set only says that it was asked.
struct Synced {
    shared: Shared,
    runtime: Runtime,
    factory: CircuitBreakerFactory,
    breaker: CircuitBreaker,
    hangs: Arc<AtomicBool>,
    asked: mpsc::Receiver<OperationKind>,
}

fn synced(mode: Consistency, runtime: Runtime) -> Synced {
    let (shared, hangs) = (Shared::new(), Arc::new(AtomicBool::new(false)));
    let (ask, asked) = mpsc::channel();
    let fault = {
        let hangs = Arc::clone(&hangs);
        move |operation: &Operation<'_>| {
            if !hangs.load(Ordering::Relaxed) {
                return Fault::None;
            }
            // Most tests do not listen.
            let _ = ask.send(operation.kind);
            Fault::Hang
        }
    };
    let factory = on(&runtime, shared.faulty(patient(mode), fault));
    let breaker = breaker(&factory);
    while !in_sync(&breaker) {
        pass(&runtime, millis(1));
    }
    Synced { shared, runtime, factory, breaker, hangs, asked }
}

fn end(runtime: Runtime) {
    // It may have a thread, to be waited for.
    runtime.shutdown_timeout(millis(5000));
}

#[test]
fn a_driver_that_ends_with_its_runtime_leaves_every_circuit_on_its_own() {
    for mode in MODES {
        in_time(move || {
            let Synced { shared, runtime, factory, breaker, .. } =
                synced(mode, paused().build().unwrap());
            end(runtime);
            assert!(!in_sync(&breaker));
            is_on_its_own(&shared, &breaker);
            breaker.acquire().unwrap().failure();
            assert_eq!(factory.flush(NEVER).unwrap_err().failures, 1);
            assert_eq!(ready(factory.flush_async(NEVER)).unwrap_err().failures, 1);
            // Also one that is new.
            let new = factory.get_breaker_with("new", breaker.settings().into()).unwrap();
            is_on_its_own(&shared, &new);
        });
    }
}

#[test]
fn a_circuit_that_is_open_when_its_driver_ends_recovers() {
    for mode in MODES {
        in_time(move || {
            let Synced { shared, runtime, factory, breaker, .. } =
                synced(mode, paused().build().unwrap());
            runtime.block_on(breaker.acquire_async()).unwrap().failure();
            runtime.block_on(factory.flush_async(NEVER)).unwrap();
            assert_eq!((breaker.state(), in_sync(&breaker)), (State::Open, true));
            end(runtime);
            shared.ttl_passes();
            let permit = breaker.acquire().unwrap();
            assert!(permit.is_probe());
            permit.success();
            is_on_its_own(&shared, &breaker);
        });
    }
}

/// Polls a call once, and again when the driver has ended.
fn ends_while_it_waits<F: Future>(
    runtime: Runtime,
    hangs: &AtomicBool,
    mut call: Pin<&mut F>,
) -> F::Output {
    hangs.store(true, Ordering::Relaxed);
    assert!(poll_once(call.as_mut()).is_pending());
    // The storage is asked.
    pass(&runtime, millis(20));
    assert!(poll_once(call.as_mut()).is_pending());
    end(runtime);
    match poll_once(call) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits for a driver that is gone"),
    }
}

#[test]
fn a_task_that_waits_when_the_driver_ends_gets_an_answer() {
    in_time(|| {
        // For a reading.
        let runtime = paused().build().unwrap();
        let Synced { runtime, breaker, hangs, .. } = synced(Consistency::Strict, runtime);
        let asking = pin!(breaker.acquire_async());
        ends_while_it_waits(runtime, &hangs, asking).unwrap().success();
        // For leave to probe.
        let runtime = paused().build().unwrap();
        let Synced { shared, runtime, factory, breaker, hangs, .. } =
            synced(Consistency::Mirror, runtime);
        breaker.acquire().unwrap().failure();
        runtime.block_on(factory.flush_async(NEVER)).unwrap();
        shared.ttl_passes();
        let asking = pin!(breaker.acquire_async());
        // Whoever knows of nothing further rejects it, and the next one probes.
        ends_while_it_waits(runtime, &hangs, asking).map(|permit| permit.ignore()).ok();
        breaker.acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
    });
}

#[test]
fn a_thread_that_waits_when_the_driver_ends_gets_an_answer() {
    in_time(|| {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let runtime = runtime.unwrap();
        let Synced { runtime, breaker, hangs, asked, .. } = synced(Consistency::Strict, runtime);
        hangs.store(true, Ordering::Relaxed);
        thread::scope(|scope| {
            let call = scope.spawn(|| breaker.acquire().map(|permit| permit.success()));
            asked.recv().unwrap();
            end(runtime);
            call.join().unwrap().unwrap();
        });
    });
}

/// What the driver is given to is for its user to stop.
#[test]
fn a_driver_that_is_aborted_does_not_go_on() {
    in_time(|| {
        let (runtime, shared) = (paused().build().unwrap(), Shared::new());
        let (started, abort) = mpsc::channel();
        let handle = runtime.handle().clone();
        let builder = shared.builder(StorageOptions::new());
        let spawn = move |driver| started.send(handle.spawn(driver).abort_handle()).unwrap();
        let factory = builder.driver(spawn).build().unwrap();
        let breaker = breaker(&factory);
        pass(&runtime, millis(20));
        assert!(in_sync(&breaker));
        abort.recv().unwrap().abort();
        pass(&runtime, millis(5000));
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
        is_on_its_own(&shared, &breaker);
    });
}
