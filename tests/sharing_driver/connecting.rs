//! How a driver comes to a connection, and to the next. On tokio's paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::storage::{
    Fault, Operation, OperationKind, Storage, StorageError, StorageFuture, Stored, Swap, Watcher,
    Watching, Write,
};
use purgatory::{CircuitBreaker, Consistency, Event, MemoryStorage, StorageOptions};
use purgatory_tests::Log;
use tokio::time::{Instant, sleep};

use crate::{Shared, TTL, breaker, in_sync, millis, patient};

/// How long a connection may take to begin.
const CONNECT: Duration = Duration::from_secs(5);

/// The first wait after the storage went down.
const FIRST_BACKOFF: Duration = millis(20);

const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// When the driver tried to connect.
type Attempts = Arc<Mutex<Vec<Instant>>>;

/// A process, of which each attempt to connect, from the first on, has that fault.
fn process(
    shared: &Shared,
    longest: Duration,
    fault: impl Fn(usize) -> Fault + Send + Sync + 'static,
) -> (CircuitBreaker, Attempts) {
    let attempts = Attempts::default();
    let noted = Arc::clone(&attempts);
    let faults = move |operation: &Operation<'_>| {
        if operation.kind != OperationKind::Watch {
            return Fault::None;
        }
        let mut attempts = noted.lock().unwrap();
        attempts.push(Instant::now());
        fault(attempts.len())
    };
    let builder = shared.faulty(StorageOptions::new().max_backoff(longest), faults);
    let factory = builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap();
    (breaker(&factory), attempts)
}

fn refused() -> StorageError {
    StorageError::Unavailable("test".to_owned())
}

/// The time between each attempt and the next.
fn gaps(attempts: &Attempts) -> Vec<Duration> {
    attempts.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Waits are drawn, so that those who lost a storage together do not come back together.
fn is_drawn_from(wait: Duration, backoff: Duration) -> bool {
    // The runtime counts in milliseconds.
    (backoff / 2..=backoff + millis(1)).contains(&wait)
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_take_its_time() {
    let shared = Shared::new();
    let (breaker, attempts) = process(&shared, MAX_BACKOFF, |attempt| match attempt {
        // So that the time of one is not that of the next.
        1 => Fault::Error(refused()),
        _ => Fault::Delay(CONNECT - millis(1)),
    });
    sleep(CONNECT * 2).await;
    assert_eq!((in_sync(&breaker), attempts.lock().unwrap().len()), (true, 2));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_does_not_begin_is_given_up() {
    let shared = Shared::new();
    let (breaker, attempts) = process(&shared, MAX_BACKOFF, |attempt| match attempt {
        1 | 2 => Fault::Hang,
        _ => Fault::None,
    });
    sleep(CONNECT * 3).await;
    let gaps = gaps(&attempts);
    assert!(is_drawn_from(gaps[0] - CONNECT, FIRST_BACKOFF), "{gaps:?}");
    assert!(is_drawn_from(gaps[1] - CONNECT, FIRST_BACKOFF * 2), "{gaps:?}");
    assert_eq!((in_sync(&breaker), gaps.len()), (true, 2));
}

/// Each once, though some are read again meanwhile.
#[tokio::test(start_paused = true)]
async fn a_storage_is_up_when_every_circuit_has_been_read() {
    let (shared, log) = (Shared::new(), Log::default());
    let faults = |operation: &Operation<'_>| match (operation.kind, operation.circuit) {
        (OperationKind::Load, "slow") => Fault::Delay(Duration::from_secs(70)),
        _ => Fault::None,
    };
    let builder = shared.faulty(patient(Consistency::Mirror), faults).listener(log.clone());
    let factory = builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap();
    let slow = factory.get_breaker("slow").unwrap();
    let other = factory.get_breaker("other").unwrap();
    let is_up = || log.take().iter().any(|event| matches!(event, Event::StorageUp { .. }));
    // Twice as long as it takes until a circuit has its turn to be read again.
    sleep(Duration::from_secs(65)).await;
    assert_eq!((in_sync(&other), in_sync(&slow), is_up()), (true, false, false));
    sleep(Duration::from_secs(10)).await;
    assert_eq!((in_sync(&slow), is_up()), (true, true));
}

#[tokio::test(start_paused = true)]
async fn no_wait_is_longer_than_the_longest() {
    let longest = millis(4);
    let (_breaker, attempts) = process(&Shared::new(), longest, |_| Fault::Error(refused()));
    sleep(MAX_BACKOFF).await;
    let gaps = gaps(&attempts);
    assert!(gaps.len() > 100 && gaps.iter().all(|&gap| is_drawn_from(gap, longest)), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn waits_double_until_a_connection_has_held() {
    let shared = Shared::new();
    let (breaker, attempts) = process(&shared, MAX_BACKOFF, |attempt| match attempt {
        ..20 => Fault::Error(refused()),
        _ => Fault::None,
    });
    sleep(MAX_BACKOFF * 20).await;
    let mut backoff = FIRST_BACKOFF;
    for wait in gaps(&attempts) {
        assert!(is_drawn_from(wait, backoff), "{wait:?} of {backoff:?}");
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
    assert!(in_sync(&breaker));
    // That one has held, and the next does not: those after them wait from the beginning, and go on.
    for (held, backoff) in [(MAX_BACKOFF, FIRST_BACKOFF), (millis(50), FIRST_BACKOFF * 2)] {
        sleep(held).await;
        let lost = Instant::now();
        shared.storage.disconnect(refused());
        sleep(MAX_BACKOFF / 10).await;
        let last = *attempts.lock().unwrap().last().unwrap();
        assert!(is_drawn_from(last - lost, backoff), "{:?} of {backoff:?}", last - lost);
    }
}

/// Not when as many answers have come.
#[tokio::test(start_paused = true)]
async fn a_circuit_that_is_new_is_not_taken_for_one_that_is_waited_for() {
    let (shared, log) = (Shared::new(), Log::default());
    let faults = |operation: &Operation<'_>| match (operation.kind, operation.circuit) {
        (OperationKind::Load, "slow") => Fault::Delay(Duration::from_secs(70)),
        // It is asked for again and again.
        (OperationKind::Load, "away") => Fault::Error(StorageError::Unreachable("test".to_owned())),
        _ => Fault::None,
    };
    let builder = shared.faulty(patient(Consistency::Mirror), faults).listener(log.clone());
    let factory = builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap();
    let _circuits = ["slow", "away", "gone"].map(|name| factory.get_breaker(name).unwrap());
    let is_up = || log.take().iter().any(|event| matches!(event, Event::StorageUp { .. }));
    sleep(Duration::from_secs(5)).await;
    let _new = factory.get_breaker("new").unwrap();
    sleep(Duration::from_secs(60)).await;
    assert!(!is_up());
    sleep(Duration::from_secs(10)).await;
    assert!(is_up());
}

/// They are looked for every second, and each holds its place as long as it may.
#[tokio::test(start_paused = true)]
async fn circuits_that_hang_are_not_in_the_way_of_the_others() {
    let shared = Shared::new();
    let here = shared.builder(StorageOptions::new());
    let Shared { storage, clock } = &shared;
    let storage = HalfAway(storage.clone());
    let builder = here.storage(storage).driver(|driver| drop(tokio::spawn(driver)));
    let factory = builder.build().unwrap();
    let breaker = breaker(&factory);
    let _away: Vec<_> =
        (0..3000).map(|index| factory.get_breaker(&format!("away {index}")).unwrap()).collect();
    sleep(Duration::from_secs(10)).await;
    for _ in 0..20 {
        breaker.acquire().unwrap().failure();
        factory.flush_async(millis(20)).await.unwrap();
        clock.advance(TTL + millis(1));
        let permit = breaker.acquire_async().await.unwrap();
        assert!(permit.is_probe());
        permit.success();
        sleep(millis(123)).await; // At another time of the second.
    }
}

/// A storage of two nodes, of which one does not answer.
struct HalfAway(MemoryStorage);

impl Storage for HalfAway {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        Box::pin(async move {
            if circuit.starts_with("away") {
                sleep(millis(225)).await;
                return Err(StorageError::Unreachable("test".to_owned()));
            }
            self.0.load(circuit).await
        })
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        self.0.compare_and_set(write)
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        self.0.watch(watcher)
    }
}
