//! A fleet in miniature: factories that share circuits in memory, all on one thread and in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use purgatory::storage::{Fault, StorageError};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, MemoryStorage, State, Timestamp,
};
use purgatory_tests::Log;

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The time of tokio, which a test can stop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokioClock(tokio::time::Instant);

impl TokioClock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        // Not at the origin: clocks of real machines are not there either.
        Timestamp::from_origin(Duration::from_secs(1000) + self.0.elapsed())
    }
}

/// Processes that share a storage.
pub(crate) struct Fleet {
    pub(crate) storage: MemoryStorage,
    down: Arc<AtomicBool>,
}

/// One of them.
pub(crate) struct Process {
    pub(crate) factory: CircuitBreakerFactory,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) log: Log,
}

impl Process {
    pub(crate) fn state(&self) -> State {
        self.breaker.state()
    }
}

impl Fleet {
    pub(crate) fn new() -> Self {
        let down = Arc::new(AtomicBool::new(false));
        let is_down = Arc::clone(&down);
        let storage = MemoryStorage::new().with_clock(TokioClock::new()).with_faults(move |_| {
            if is_down.load(Ordering::Relaxed) {
                Fault::Error(StorageError::Unavailable("down".to_owned()))
            } else {
                Fault::Delay(Duration::from_micros(300))
            }
        });
        Self { storage, down }
    }

    pub(crate) fn down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    pub(crate) fn processes<const N: usize>(&self, config: Config) -> [Process; N] {
        std::array::from_fn(|seed| {
            let log = Log::default();
            let factory = CircuitBreakerFactory::builder()
                .clock(TokioClock::new())
                .listener(log.clone())
                .storage(self.storage.clone())
                .driver(|driver| drop(tokio::spawn(driver)))
                .seed(seed as u64 + 1)
                .build()
                .unwrap();
            let breaker = factory.get_breaker_with("payments", config).unwrap();
            Process { factory, breaker, log }
        })
    }
}

pub(crate) async fn settled(factory: &CircuitBreakerFactory) -> bool {
    factory.flush_async(millis(5000)).await.is_ok()
}
