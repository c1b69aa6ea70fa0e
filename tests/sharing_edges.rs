//! Shared circuits where sync and async meet, at their beginning and at their end.
//!
//! The drivers are on threads of their own, as in use. Time is the manual clock's, but for what a call may
//! wait.
#![cfg(not(any(loom, shuttle)))]

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use purgatory::storage::{Fault, Operation, OperationKind, StorageError};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, Event, FactoryBuilder, ManualClock,
    MemoryStorage, Reason, State, StorageOptions, circuit_breaker,
};
use purgatory_tests::{in_time, poll_once};
use tokio::runtime::{Builder, Runtime};

const TTL: Duration = Duration::from_secs(30);

/// For what has to happen, and does within milliseconds: a machine that runs tests may be busy.
const SOON: Duration = Duration::from_secs(10);

/// Longer than any test may take: what waits for it hangs.
const NEVER: Duration = Duration::from_secs(600);

/// A storage and a clock for some processes.
struct Shared {
    clock: ManualClock,
    storage: MemoryStorage,
}

/// One of them.
struct Process {
    factory: CircuitBreakerFactory,
    breaker: CircuitBreaker,
}

impl Shared {
    fn new() -> Self {
        let clock = ManualClock::new();
        clock.advance(TTL);
        let storage = MemoryStorage::new().with_clock(clock.clone());
        Self { clock, storage }
    }

    fn builder(&self) -> FactoryBuilder {
        CircuitBreakerFactory::builder().clock(self.clock.clone()).storage(self.storage.clone())
    }

    /// A process that has heard of the storage.
    fn process(&self, builder: FactoryBuilder, config: Config) -> Process {
        let (up, is_up) = mpsc::channel();
        let listener = move |event: &Event| {
            if let Event::StorageUp { .. } = event {
                // Told again when nobody waits any more.
                let _ = up.send(());
            }
        };
        let factory = builder.listener(listener).build().unwrap();
        is_up.recv_timeout(SOON).unwrap();
        let breaker = factory.get_breaker_with("edges", config.ttl(TTL)).unwrap();
        factory.flush(SOON).unwrap();
        Process { factory, breaker }
    }

    /// A process whose circuit admits probes from now on.
    fn after_ttl(&self, builder: FactoryBuilder) -> Process {
        let process = self.process(builder, Config::new().threshold(1).success_threshold(100));
        process.breaker.acquire().unwrap().failure();
        process.factory.flush(SOON).unwrap();
        self.clock.advance(TTL + Duration::from_millis(1));
        process
    }

    fn failures(&self) -> Option<u32> {
        let line = String::from_utf8(self.storage.record("edges")?.bytes).unwrap();
        line.split(' ').nth(5)?.parse().ok()
    }
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < SOON, "{what}");
        thread::yield_now();
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

/// Asks until the circuit admits the call: another one may be asking.
async fn probe(breaker: &CircuitBreaker) {
    let began = Instant::now();
    loop {
        match breaker.acquire_async().await {
            Ok(permit) => {
                assert!(permit.is_probe());
                return permit.ignore();
            }
            Err(rejected) => assert!(began.elapsed() < SOON, "{rejected:?}"),
        }
        thread::yield_now();
    }
}

#[test]
fn a_thread_of_a_runtime_may_wait_for_a_probe() {
    for runtime in [current_thread, multi_thread] {
        in_time(move || {
            let shared = Shared::new();
            let Process { breaker, factory } = shared.after_ttl(shared.builder());
            runtime().block_on(async {
                for _ in 0..3 {
                    // It blocks the only thread of the runtime, and also the next one is a probe.
                    let permit = breaker.acquire().unwrap();
                    assert!(permit.is_probe());
                    permit.ignore();
                    factory.flush(SOON).unwrap();
                }
                let called = breaker.call(|| Ok::<_, io::Error>(7));
                assert_eq!(called.unwrap(), 7);
            });
        });
    }
}

#[test]
fn all_threads_of_a_runtime_may_wait_at_once() {
    in_time(|| {
        let shared = Shared::new();
        let Process { breaker, .. } = shared.after_ttl(shared.builder());
        let runtime = multi_thread();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let breaker = breaker.clone();
                runtime.spawn(async move { breaker.acquire().map(|permit| permit.into_owned()) })
            })
            .collect();
        let answers = tasks.into_iter().map(|task| runtime.block_on(task).unwrap());
        let admitted: Vec<_> = answers.filter_map(Result::ok).collect();
        assert!(admitted.len() <= 1, "{admitted:?}");
        drop(admitted);
        runtime.block_on(probe(&breaker));
    });
}

#[circuit_breaker("edges")]
fn work() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[circuit_breaker("edges")]
async fn work_async(waits: bool) -> io::Result<()> {
    if waits {
        tokio::task::yield_now().await;
    }
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn functions_count_alike_on_every_executor() {
    in_time(|| {
        let shared = Shared::new();
        let Process { factory, breaker } =
            shared.process(shared.builder(), Config::new().threshold(1000));
        let tasks = |waits| {
            let factory = factory.clone();
            async move {
                for _ in 0..25 {
                    factory.scope_async(work_async(waits)).await.unwrap_err();
                }
            }
        };
        thread::scope(|scope| {
            scope.spawn(|| factory.scope(|| (0..25).for_each(|_| drop(work().unwrap_err()))));
            scope.spawn(|| current_thread().block_on(tasks(true)));
            scope.spawn(|| {
                multi_thread().block_on(async { tokio::spawn(tasks(true)).await.unwrap() })
            });
            scope.spawn(|| futures_executor::block_on(tasks(false)));
        });
        assert_eq!(breaker.snapshot().failures, 100);
        factory.flush(SOON).unwrap();
        assert_eq!(shared.failures(), Some(100));
    });
}

#[test]
fn probes_are_granted_on_every_executor() {
    in_time(|| {
        let shared = Shared::new();
        let Process { breaker, .. } = shared.after_ttl(shared.builder());
        current_thread().block_on(probe(&breaker));
        multi_thread().block_on(probe(&breaker));
        futures_executor::block_on(probe(&breaker));
    });
}

#[test]
fn a_call_that_is_dropped_while_it_asks_leaves_its_place() {
    in_time(|| {
        let shared = Shared::new();
        // The storage gives leave, and says so when the call is gone.
        let late = |operation: &Operation<'_>| match operation.kind {
            OperationKind::CompareAndSet => Fault::DelayReply(Duration::from_millis(20)),
            _ => Fault::None,
        };
        let builder = shared.builder().storage(shared.storage.clone().with_faults(late));
        let Process { breaker, .. } = shared.after_ttl(builder);
        for _ in 0..3 {
            eventually("it is asked", || poll_once(pin!(breaker.acquire_async())).is_pending());
            futures_executor::block_on(probe(&breaker));
        }
    });
}

#[test]
fn probe_wait_bounds_what_a_thread_waits() {
    in_time(|| {
        let shared = Shared::new();
        let hangs = Arc::new(AtomicBool::new(false));
        let fault = {
            let hangs = Arc::clone(&hangs);
            move |_: &Operation<'_>| match hangs.load(Ordering::Relaxed) {
                true => Fault::Hang,
                false => Fault::None,
            }
        };
        let wait = Duration::from_millis(50);
        let options = StorageOptions::new().probe_wait(wait).operation_timeout(NEVER);
        let storage = shared.storage.clone().with_faults(fault).with_options(options);
        let builder = shared.builder().storage(storage);
        let Process { breaker, .. } = shared.after_ttl(builder);
        hangs.store(true, Ordering::Relaxed);
        let began = Instant::now();
        let rejected = breaker.acquire().unwrap_err();
        let waited = began.elapsed();
        assert_eq!(rejected.state(), State::Open);
        // Whoever is scheduled late is late. Without the bound it would be ten minutes.
        assert!(waited < Duration::from_secs(5), "{waited:?}");
        // Timers have a resolution of a millisecond.
        assert!(waited >= wait - Duration::from_millis(2), "{waited:?}");
    });
}

#[test]
fn a_strict_call_sees_what_was_stored_before_it() {
    in_time(|| {
        let shared = Shared::new();
        let deaf = |operation: &Operation<'_>| match operation.kind {
            OperationKind::Push => Fault::LoseReply,
            _ => Fault::None,
        };
        let storage = shared.storage.clone().with_faults(deaf);
        let options =
            StorageOptions::new().consistency(Consistency::Strict).operation_timeout(SOON);
        let config = Config::new().threshold(1);
        let builder = |options| shared.builder().storage(storage.clone().with_options(options));
        let here = shared.process(builder(options), config);
        let there = shared.process(builder(StorageOptions::new()), config);
        here.breaker.acquire().unwrap().success();
        there.breaker.acquire().unwrap().failure();
        there.factory.flush(SOON).unwrap();
        assert_eq!(here.breaker.acquire().unwrap_err().reason(), Reason::Open);
        let asked = futures_executor::block_on(here.breaker.acquire_async());
        assert_eq!(asked.unwrap_err().reason(), Reason::Open);
        there.breaker.reset();
        there.factory.flush(SOON).unwrap();
        here.breaker.acquire().unwrap().success();
    });
}

#[test]
fn a_circuit_that_is_not_shared_is_not_stored() {
    in_time(|| {
        let shared = Shared::new();
        let alone = shared.process(shared.builder(), Config::new().threshold(1).shared(false));
        let other = shared.process(shared.builder(), Config::new().threshold(1));
        alone.breaker.acquire().unwrap().failure();
        alone.factory.flush(SOON).unwrap();
        assert_eq!([alone.breaker.state(), other.breaker.state()], [State::Open, State::Closed]);
        assert_eq!(shared.storage.record("edges"), None);
        other.breaker.acquire().unwrap().failure();
        other.factory.flush(SOON).unwrap();
        alone.breaker.reset();
        assert_eq!([alone.breaker.state(), other.breaker.state()], [State::Closed, State::Open]);
    });
}

#[test]
fn a_breaker_goes_on_sharing_without_its_factory() {
    in_time(|| {
        let shared = Shared::new();
        let config = Config::new().threshold(1);
        let Process { factory, breaker } = shared.process(shared.builder(), config);
        let other = shared.process(shared.builder(), config);
        drop(factory);
        breaker.acquire().unwrap().failure();
        eventually("the trip arrives", || other.breaker.state() == State::Open);
        other.breaker.reset();
        eventually("the reset comes back", || breaker.state() == State::Closed);
    });
}

#[test]
fn a_flush_says_what_has_not_arrived() {
    in_time(|| {
        let down = |_: &Operation<'_>| Fault::Error(StorageError::Unavailable("test".to_owned()));
        let storage = MemoryStorage::new().with_faults(down);
        let factory = CircuitBreakerFactory::builder().storage(storage).build().unwrap();
        let breaker = factory.get_breaker("edges").unwrap();
        (0..3).for_each(|_| breaker.acquire().unwrap().failure());
        let short = Duration::from_millis(20);
        assert_eq!(factory.flush(short).unwrap_err().failures, 3);
        let flushed = futures_executor::block_on(factory.flush_async(short));
        assert_eq!(flushed.unwrap_err().failures, 3);
    });
}

/// What a listener does on the thread of the driver, which cannot wait for itself.
#[test]
fn a_listener_may_use_the_factory_on_the_drivers_thread() {
    in_time(|| {
        let shared = Shared::new();
        let handle: Arc<OnceLock<CircuitBreakerFactory>> = Arc::default();
        let (sender, seen) = mpsc::channel();
        let listener = {
            let handle = Arc::clone(&handle);
            move |event: &Event| {
                let Event::StateChanged { change, .. } = event else { return };
                let Some(factory) = handle.get() else { return };
                let breaker = factory.find("edges").unwrap();
                // Nobody can give leave now but the driver, and this is its thread.
                let asked = breaker.acquire().map(|permit| permit.ignore()).is_ok();
                let flushed = factory.flush(Duration::from_millis(20)).is_ok();
                factory.get_breaker("another").unwrap().acquire().unwrap().success();
                let thread = thread::current().name().map(str::to_owned);
                let _ = sender.send((thread, change.to, breaker.snapshot().state, asked, flushed));
            }
        };
        let config = Config::new().threshold(1);
        let here = shared.process(shared.builder().listener(listener), config);
        let there = shared.process(shared.builder(), config);
        handle.set(here.factory.clone()).unwrap();
        there.breaker.acquire().unwrap().failure();
        let (thread, to, state, asked, _) = seen.recv_timeout(SOON).unwrap();
        assert_eq!(thread.as_deref(), Some("purgatory"));
        assert_eq!((to, state, asked), (State::Open, State::Open, false));
        there.factory.flush(SOON).unwrap();
        // A probe of the other process, told here while the ttl has passed.
        shared.clock.advance(TTL + Duration::from_millis(1));
        let permit = there.breaker.acquire().unwrap();
        let (_, to, ..) = seen.recv_timeout(SOON).unwrap();
        assert_eq!(to, State::HalfOpen);
        permit.success();
        let (_, to, state, asked, _) = seen.recv_timeout(SOON).unwrap();
        assert_eq!((to, state, asked), (State::Closed, State::Closed, true));
        here.factory.flush(SOON).unwrap();
        assert!(here.factory.find("another").is_some());
    });
}

/// The futures are those of any executor.
#[test]
fn what_waits_can_be_sent() {
    fn is_send(_: impl Future + Send) {}
    let factory = CircuitBreakerFactory::new();
    let breaker = factory.get_breaker("edges").unwrap();
    is_send(breaker.acquire_async());
    is_send(breaker.call_async(async || Ok::<_, io::Error>(())));
    is_send(factory.flush_async(SOON));
}
