//! Writers of the same record. On tokio's paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::storage::{Storage, StorageFuture, Stored, Swap, Watcher, Watching, Write};
use purgatory::{CircuitBreakerFactory, Config, MemoryStorage};
use tokio::time::{Instant, sleep};

use crate::{Shared, TTL, millis};

/// How long an operation takes.
const OPERATION: Duration = millis(4);

/// A storage in which others write over the first record before this process does, so many times.
struct Contended {
    storage: MemoryStorage,
    conflicts: usize,
    /// When each write began.
    writes: Writes,
}

type Writes = Arc<Mutex<Vec<Instant>>>;

impl Storage for Contended {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.storage.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        Box::pin(async move {
            let writes = {
                let mut writes = self.writes.lock().unwrap();
                writes.push(Instant::now());
                writes.len()
            };
            sleep(OPERATION).await;
            let there = self.storage.record(write.circuit).filter(|_| writes <= 1 + self.conflicts);
            if let Some(there) = there {
                self.storage.replace(write.circuit, Some(&there.bytes));
            }
            self.storage.compare_and_set(write).await
        })
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        self.storage.watch(watcher)
    }
}

/// When the writes after the first began, of a process that fails all the time and has so many conflicts then.
async fn writes(conflicts: usize) -> Vec<Duration> {
    let (shared, writes) = (Shared::new(), Writes::default());
    let storage = Contended { storage: shared.storage, conflicts, writes: Arc::clone(&writes) };
    let factory = CircuitBreakerFactory::builder()
        .clock(shared.clock)
        .storage(storage)
        .seed(1)
        .driver(|driver| drop(tokio::spawn(driver)))
        .build()
        .unwrap();
    let config = Config::new().threshold(u32::MAX).ttl(TTL);
    let breaker = factory.get_breaker_with("contended", config).unwrap();
    sleep(millis(20)).await;
    for _ in 0..1000 {
        breaker.acquire().unwrap().failure();
        sleep(millis(1)).await;
    }
    let writes = writes.lock().unwrap();
    writes[1..].iter().map(|&at| at - writes[1]).collect()
}

#[tokio::test(start_paused = true)]
async fn one_conflict_is_settled_at_once() {
    let writes = writes(1).await;
    assert_eq!(writes[1], OPERATION);
    // Outcomes gather as after a write without one.
    let lingers = writes[2] - writes[1] - OPERATION;
    assert_eq!(lingers, writes[3] - writes[2] - OPERATION, "{writes:?}");
    assert!((millis(5)..=millis(6)).contains(&lingers), "{lingers:?}");
}

#[tokio::test(start_paused = true)]
async fn who_had_to_contend_waits_and_leaves_the_others_twice_that_time() {
    let writes = writes(5).await;
    // Longer from one to the next, but for what is drawn.
    for (conflicts, pair) in writes.windows(2).take(5).enumerate() {
        let waited = pair[1] - pair[0] - OPERATION;
        let longest = Duration::from_micros(500) * (2 << conflicts);
        let limit = if conflicts == 0 { Duration::ZERO } else { longest + millis(1) };
        assert!(waited <= limit, "{waited:?} after {} conflicts", conflicts + 1);
    }
    let waited = writes[5] - OPERATION * 5;
    assert!(waited > millis(5), "{waited:?} in all");
    let contended = writes[5] + OPERATION;
    let lingers = writes[6] - contended;
    assert!((contended * 2..=contended * 2 + millis(1)).contains(&lingers), "{writes:?}");
    let lingers = writes[7] - writes[6] - OPERATION;
    assert!((millis(5)..=millis(6)).contains(&lingers), "{lingers:?}");
}
