//! The thread of a driver. A test binary of its own: the threads of the process are counted.
#![cfg(all(target_os = "linux", not(any(loom, shuttle))))]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use purgatory::{CircuitBreakerFactory, Config, MemoryStorage};

/// How many threads of this process are drivers.
fn drivers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    // A thread may end while it is looked at.
    names.filter_map(Result::ok).filter(|name| name.trim_end() == "purgatory").count()
}

#[test]
fn the_last_handle_sends_what_is_left_and_ends_the_thread() {
    let storage = MemoryStorage::new();
    assert_eq!(drivers(), 0);
    let factory = CircuitBreakerFactory::builder().storage(storage.clone()).build().unwrap();
    let without = CircuitBreakerFactory::new();
    let breaker = factory.get_breaker_with("thread", Config::new().threshold(1000)).unwrap();
    without.get_breaker("thread").unwrap();
    factory.flush(Duration::from_secs(10)).unwrap();
    assert_eq!(drivers(), 1, "one for a factory with a storage");

    (0..7).for_each(|_| breaker.acquire().unwrap().failure());
    drop(factory);
    // It would have ended by then.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(drivers(), 1, "a breaker is left");
    (0..7).for_each(|_| breaker.acquire().unwrap().failure());
    drop(breaker);
    let dropped = Instant::now();
    while drivers() > 0 {
        // It looks every second at the longest.
        assert!(dropped.elapsed() < Duration::from_secs(3), "the thread goes on");
        thread::sleep(Duration::from_millis(1)); // As often as it is worth to look.
    }
    let line = String::from_utf8(storage.record("thread").unwrap().bytes).unwrap();
    assert_eq!(line.split(' ').nth(5), Some("14"), "{line}");
}
