//! The calls that a member makes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use purgatory::CircuitBreaker;
use serde_json::{Value, json};

use super::time_of_day;

/// Calls succeed.
pub(super) const OK: u64 = 0;
/// Calls fail. Any other mode is the milliseconds that they take before they fail.
pub(super) const FAIL: u64 = u64::MAX;

/// How many failures have their time in the report.
const FIRST: u64 = 5;

pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    breaker: CircuitBreaker,
    mode: AtomicU64,
    ended: AtomicBool,
    calls: AtomicU64,
    failures: AtomicU64,
    /// When the first ones were.
    failed_at: Mutex<Vec<f64>>,
    probes: AtomicU64,
    /// Nanoseconds in the breaker, at most, and left of the last rejection.
    longest: AtomicU64,
    retry_after: AtomicU64,
}

impl Load {
    pub(super) fn new(breaker: &CircuitBreaker) -> Self {
        let zero = AtomicU64::default;
        let shared = Shared {
            breaker: breaker.clone(),
            mode: AtomicU64::new(OK),
            ended: AtomicBool::new(false),
            calls: zero(),
            failures: zero(),
            failed_at: Mutex::default(),
            probes: zero(),
            longest: zero(),
            retry_after: zero(),
        };
        Self { shared: Arc::new(shared), threads: Vec::new() }
    }

    pub(super) fn begin(&mut self, threads: usize, rate: u32) -> Value {
        self.shared.ended.store(false, Ordering::Relaxed);
        self.threads.extend((0..threads).map(|_| {
            let shared = Arc::clone(&self.shared);
            thread::spawn(move || shared.run(rate))
        }));
        Value::Null
    }

    pub(super) fn end(&mut self) -> Value {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().expect("no call panics"));
        Value::Null
    }

    pub(super) fn mode(&self, mode: u64) -> Value {
        self.shared.mode.store(mode, Ordering::Relaxed);
        Value::Null
    }

    pub(super) fn call(&self, ok: bool) -> Value {
        json!(self.shared.call(if ok { OK } else { FAIL }))
    }

    pub(super) fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    pub(super) fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    pub(super) fn failed_at(&self) -> Vec<f64> {
        self.shared.failed_at.lock().unwrap().clone()
    }

    pub(super) fn probes(&self) -> u64 {
        self.shared.probes.load(Ordering::Relaxed)
    }

    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.shared.longest.load(Ordering::Relaxed))
    }

    pub(super) fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.shared.retry_after.load(Ordering::Relaxed))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn run(&self, rate: u32) {
        let began = Instant::now();
        let mut calls = 0;
        while !self.ended.load(Ordering::Relaxed) {
            self.call(self.mode.load(Ordering::Relaxed));
            calls += 1;
            if rate > 0 {
                // The pace of the load, not a wait for something to happen.
                let next = began + Duration::from_secs(1) / rate * calls;
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    }

    /// Makes a call, and returns what came of it.
    fn call(&self, mode: u64) -> &'static str {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let asked = Instant::now();
        let permit = match self.breaker.acquire() {
            Ok(permit) => permit,
            Err(rejected) => {
                self.took(asked);
                let left = rejected.retry_after().as_nanos() as u64;
                self.retry_after.store(left, Ordering::Relaxed);
                return "rejected";
            }
        };
        self.took(asked);
        if permit.is_probe() {
            self.probes.fetch_add(1, Ordering::Relaxed);
        }
        if !matches!(mode, OK | FAIL) {
            thread::sleep(Duration::from_millis(mode)); // The call takes this long.
        }
        let ended = Instant::now();
        if mode == OK {
            permit.success();
        } else {
            if self.failures.fetch_add(1, Ordering::Relaxed) < FIRST {
                self.failed_at.lock().unwrap().push(time_of_day());
            }
            permit.failure();
        }
        self.took(ended);
        if mode == OK { "ok" } else { "failed" }
    }

    fn took(&self, since: Instant) {
        self.longest.fetch_max(since.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}
