//! Processes whose drivers are a thread of shuttle, and whose storage pushes when others want it to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::storage::{
    Bump, Storage, StorageFuture, Stored, Swap, Versioned, Watcher, Watching, Write,
};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, ManualClock, MemoryStorage, Timestamp,
};
use shuttle::rand::Rng;
use shuttle::thread;
use tokio::runtime::{self, Runtime};
use tokio::task::yield_now;
use tokio::time;

pub(crate) const NAME: &str = "shuttle";

/// The factories' time at first. The storage is ahead by [`AHEAD`].
pub(crate) const START: Duration = Duration::from_secs(2000);
pub(crate) const AHEAD: Duration = Duration::from_secs(1000);

#[derive(Clone)]
struct Ahead(ManualClock);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.0.now().saturating_add(AHEAD)
    }
}

/// A storage in memory that tells nobody of anything by itself: what is to be told waits for
/// [`push`](Self::push). Between a request, what it does, and its answer, others get on.
pub(crate) struct Wire {
    pub(crate) memory: MemoryStorage,
    watchers: Mutex<Vec<Watcher>>,
    waiting: Mutex<Vec<Versioned>>,
    /// The most probes that a record ever had.
    most: Mutex<usize>,
}

impl Wire {
    fn wrote(&self, record: Option<&Versioned>) {
        let Some(record) = record else { return };
        let mut most = self.most.lock().unwrap();
        *most = (*most).max(probes(record));
        self.waiting.lock().unwrap().push(record.clone());
    }

    /// Tells of one record that waits, any of them, or of all at the end.
    pub(crate) fn push(&self, all: bool) {
        loop {
            let record = {
                let mut waiting = self.waiting.lock().unwrap();
                if waiting.is_empty() {
                    return;
                }
                let any = shuttle::rand::thread_rng().gen_range(0..waiting.len());
                waiting.swap_remove(any)
            };
            self.tell(&record);
            if !all {
                return;
            }
        }
    }

    pub(crate) fn tell(&self, record: &Versioned) {
        let watchers = self.watchers.lock().unwrap().clone();
        watchers.iter().for_each(|watcher| watcher.changed(NAME, record.clone()));
    }

    pub(crate) fn most_probes(&self) -> usize {
        *self.most.lock().unwrap()
    }

    pub(crate) fn record(&self) -> Option<String> {
        self.memory.record(NAME).map(|record| String::from_utf8(record.bytes).unwrap())
    }
}

/// How many probes a record has out.
pub(crate) fn probes(record: &Versioned) -> usize {
    let line = std::str::from_utf8(&record.bytes).unwrap();
    match line.split(' ').nth(8) {
        None | Some("-") => 0,
        Some(list) => list.split(',').count(),
    }
}

impl Storage for Wire {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        Box::pin(async move {
            yield_now().await;
            let stored = self.memory.load(circuit).await;
            yield_now().await;
            stored
        })
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        Box::pin(async move {
            yield_now().await;
            let swap = self.memory.compare_and_set(write).await?;
            if swap.applied {
                self.wrote(swap.stored.record.as_ref());
            }
            yield_now().await;
            Ok(swap)
        })
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        let added = self.memory.bump(bump)?;
        Some(Box::pin(async move {
            yield_now().await;
            let stored = added.await?;
            self.wrote(stored.record.as_ref());
            yield_now().await;
            Ok(stored)
        }))
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        Some(Box::pin(async move {
            self.watchers.lock().unwrap().push(watcher.clone());
            watcher.ready();
            std::future::pending().await
        }))
    }
}

/// Processes that share one circuit.
pub(crate) struct Fleet {
    pub(crate) wire: Arc<Wire>,
    pub(crate) clock: ManualClock,
    pub(crate) factories: Vec<CircuitBreakerFactory>,
    runtime: Arc<Runtime>,
    over: Arc<AtomicBool>,
}

impl Fleet {
    /// So many processes, up and with nothing to do.
    pub(crate) fn new(processes: u64, config: Config) -> Self {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_origin(START));
        let runtime =
            runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = Arc::new(runtime.unwrap());
        let wire = Arc::new(Wire {
            memory: MemoryStorage::new().with_clock(Ahead(clock.clone())),
            watchers: Mutex::default(),
            waiting: Mutex::default(),
            most: Mutex::default(),
        });
        let factories = (0..processes)
            .map(|seed| {
                let runtime = runtime.handle().clone();
                CircuitBreakerFactory::builder()
                    .clock(clock.clone())
                    .defaults(config)
                    .storage(Arc::clone(&wire))
                    .driver(move |driver| drop(runtime.spawn(driver)))
                    .seed(seed + 1)
                    .build()
                    .unwrap()
            })
            .collect();
        let fleet = Self { wire, clock, factories, runtime, over: Arc::default() };
        fleet.breakers();
        fleet.settle();
        fleet
    }

    pub(crate) fn breakers(&self) -> Vec<CircuitBreaker> {
        self.factories.iter().map(|factory| factory.get_breaker(NAME).unwrap()).collect()
    }

    /// Lets everything that is under way arrive. Nobody else may be at work.
    pub(crate) fn settle(&self) {
        for _ in 0..3 {
            self.wire.push(true);
            // In virtual time.
            self.runtime.block_on(async { time::sleep(Duration::from_millis(20)).await });
        }
    }

    /// The thread of the drivers. With a `step`, time goes on now and then, by that much.
    pub(crate) fn drive(&self, step: Option<Duration>) -> thread::JoinHandle<()> {
        let (runtime, over) = (Arc::clone(&self.runtime), Arc::clone(&self.over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let step = step.filter(|_| shuttle::rand::thread_rng().gen_ratio(1, 8));
                runtime.block_on(async {
                    if let Some(step) = step {
                        time::advance(step).await;
                    }
                    yield_now().await;
                });
                thread::yield_now();
            }
        })
    }

    /// The thread that pushes what was written.
    pub(crate) fn push(&self) -> thread::JoinHandle<()> {
        let (wire, over) = (Arc::clone(&self.wire), Arc::clone(&self.over));
        thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                wire.push(false);
                thread::yield_now();
            }
        })
    }

    /// After [`end`](Self::end), the threads can be started again.
    pub(crate) fn again(&self) {
        self.over.store(false, Ordering::Relaxed);
    }

    /// Ends the threads, after the callers, and lets everything arrive.
    pub(crate) fn end(
        &self,
        callers: Vec<thread::JoinHandle<()>>,
        threads: Vec<thread::JoinHandle<()>>,
    ) {
        callers.into_iter().for_each(|thread| thread.join().unwrap());
        self.over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.settle();
    }
}
