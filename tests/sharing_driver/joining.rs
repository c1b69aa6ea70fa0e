//! A strict process that knows nothing of the storage yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use purgatory::storage::{Fault, Operation, StorageError, StorageFuture, Stored, Swap, Write};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, Event, FactoryBuilder,
    MemoryStorage, Reason, Storage, StorageOptions,
};
use purgatory_tests::in_time;
use tokio::time::{self, sleep};

use crate::{NEVER, Shared, breaker, millis, patient};

const TIMEOUT: Duration = Duration::from_millis(250);

fn strict() -> StorageOptions {
    StorageOptions::new().consistency(Consistency::Strict).operation_timeout(TIMEOUT)
}

fn slow(_: &Operation<'_>) -> Fault {
    Fault::DelayReply(millis(20))
}

fn spawned(builder: FactoryBuilder) -> CircuitBreakerFactory {
    builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap()
}

/// How long a call takes that is admitted.
async fn admitted(breaker: &CircuitBreaker) -> Duration {
    let began = time::Instant::now();
    breaker.acquire_async().await.unwrap().success();
    began.elapsed()
}

#[test]
fn a_strict_process_that_begins_reads_first() {
    in_time(|| {
        let shared = Shared::new();
        let there = shared.builder(StorageOptions::new()).build().unwrap();
        breaker(&there).acquire().unwrap().failure();
        there.flush(NEVER).unwrap();
        // A thread, with the driver on another.
        let here = shared.faulty(patient(Consistency::Strict), slow).build().unwrap();
        let rejected = breaker(&here).acquire().unwrap_err();
        assert_eq!(rejected.reason(), Reason::Open);
        let here = shared.faulty(patient(Consistency::Strict), slow).build().unwrap();
        let first = breaker(&here);
        let rejected = futures_executor::block_on(first.acquire_async()).unwrap_err();
        assert_eq!(rejected.reason(), Reason::Open);
    });
}

#[tokio::test(start_paused = true)]
async fn a_strict_task_that_begins_reads_first() {
    let shared = Shared::new();
    let there = spawned(shared.builder(StorageOptions::new()));
    breaker(&there).acquire().unwrap().failure();
    there.flush_async(NEVER).await.unwrap();
    let here = spawned(shared.faulty(strict(), slow));
    let first = breaker(&here);
    assert_eq!(first.acquire_async().await.unwrap_err().reason(), Reason::Open);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_hangs_from_the_beginning_is_waited_for_once() {
    let here = spawned(Shared::new().faulty(strict(), |_| Fault::Hang));
    let breaker = breaker(&here);
    let first = admitted(&breaker).await;
    // Timers have a resolution of a millisecond.
    assert!(first >= TIMEOUT && first <= TIMEOUT + millis(2), "{first:?}");
    for _ in 0..1000 {
        assert_eq!(admitted(&breaker).await, Duration::ZERO);
        sleep(millis(10)).await; // As calls come, while the driver tries again.
    }
}

fn down(_: &Operation<'_>) -> Fault {
    Fault::Error(StorageError::Unavailable("test".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_new_while_the_storage_is_down_does_not_wait() {
    let here = spawned(Shared::new().faulty(strict(), down));
    for _ in 0..100 {
        // It has noticed, and tries again now and then.
        sleep(millis(17)).await;
        let name = format!("new at {:?}", time::Instant::now());
        let breaker = here.get_breaker(&name).unwrap();
        assert_eq!(admitted(&breaker).await, Duration::ZERO);
    }
}

/// Each try to reach it takes five seconds.
#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_new_while_the_storage_hangs_does_not_wait() {
    let here = spawned(Shared::new().faulty(strict(), |_| Fault::Hang));
    sleep(Duration::from_secs(6)).await;
    let breaker = here.get_breaker("new").unwrap();
    assert_eq!(admitted(&breaker).await, Duration::ZERO);
}

#[test]
fn a_thread_does_not_wait_while_the_storage_is_down() {
    in_time(|| {
        let here = Shared::new().faulty(patient(Consistency::Strict), down).build().unwrap();
        for index in 0..100 {
            let began = Instant::now();
            let breaker = here.get_breaker(&format!("new {index}")).unwrap();
            breaker.acquire().unwrap().success();
            assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        }
    });
}

#[test]
fn who_asks_for_a_circuit_that_is_shared_otherwise_is_told() {
    let conflicts = |builder: FactoryBuilder, first: bool, then: Config| {
        let told = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&told);
        let listener = move |event: &Event| {
            if let Event::ConfigConflict { .. } = event {
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let factory = builder.listener(listener).build().unwrap();
        factory.get_breaker_with("new", Config::new().shared(first)).unwrap();
        factory.get_breaker_with("new", then).unwrap();
        told.load(Ordering::Relaxed)
    };
    let shared = Shared::new();
    let with = || shared.builder(StorageOptions::new()).driver(drop);
    for first in [false, true] {
        for then in [false, true] {
            let then = Config::new().shared(then);
            let differ = usize::from(then != Config::new().shared(first));
            assert_eq!(conflicts(with(), first, then), differ, "{first}, {then:?}");
            // Without a storage it is all the same.
            assert_eq!(conflicts(CircuitBreakerFactory::builder(), first, then), 0);
        }
        assert_eq!(conflicts(with(), first, Config::new()), 0, "anything will do");
    }
}

/// A storage that counts how often it is asked for its options.
struct Counted(MemoryStorage, Arc<AtomicUsize>);

impl Storage for Counted {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.0.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        self.0.compare_and_set(write)
    }

    fn options(&self) -> StorageOptions {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.options()
    }
}

#[test]
fn options_are_taken_up_to_their_bounds() {
    type Set = fn(StorageOptions, Duration) -> StorageOptions;
    let options: [(&str, Set, &str, u64); 5] = [
        ("operation_timeout", StorageOptions::operation_timeout, "a day", 1),
        ("probe_wait", StorageOptions::probe_wait, "a day", 1),
        ("max_backoff", StorageOptions::max_backoff, "a day", 1),
        ("poll", StorageOptions::poll, "a day", 1),
        ("expiry", StorageOptions::expiry, "366 days", 366),
    ];
    let nano = Duration::from_nanos(1);
    for (name, set, limit, days) in options {
        let build = |time| {
            let storage = MemoryStorage::new().with_options(set(StorageOptions::new(), time));
            CircuitBreakerFactory::builder().storage(storage).driver(drop).build()
        };
        let longest = Duration::from_secs(days * 86_400);
        for time in [nano, longest] {
            build(time).unwrap();
        }
        for time in [Duration::ZERO, longest + nano, Duration::MAX] {
            let error = build(time).unwrap_err();
            let rule = format!("{name} must be more than zero and at most {limit}");
            assert_eq!(error.to_string(), format!("{rule}, not {time:?}"));
        }
    }
}

/// They may be others the next time.
#[test]
fn the_options_that_are_used_are_those_that_were_checked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let storage = Counted(MemoryStorage::new(), Arc::clone(&asked));
    let factory = CircuitBreakerFactory::builder().storage(storage).build().unwrap();
    factory.get_breaker("new").unwrap().acquire().unwrap().failure();
    factory.flush(NEVER).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}
