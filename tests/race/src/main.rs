//! A thread writes, says so, and another writes over it.
//!
//! `race relaxed` says so too weakly, which is a data race; `race ordered` does it right.

use std::cell::UnsafeCell;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[derive(Default)]
struct Racy {
    value: UnsafeCell<u64>,
    ready: AtomicBool,
}

// SAFETY: it is not, which is what this program is for.
unsafe impl Sync for Racy {}

impl Racy {
    fn add(&self) {
        // SAFETY: none, see above.
        unsafe { *self.value.get() += 1 }
    }

    /// Writes, and says so.
    fn publish(&self, ordering: Ordering) {
        self.add();
        self.ready.store(true, ordering);
    }

    /// Waits, and writes over it.
    fn receive(&self, ordering: Ordering) {
        while !self.ready.load(ordering) {
            thread::yield_now();
        }
        self.add();
    }
}

fn main() {
    let racy = Racy::default();
    let (store, load) = match env::args().nth(1).as_deref() {
        Some("relaxed") => (Ordering::Relaxed, Ordering::Relaxed),
        Some("ordered") => (Ordering::Release, Ordering::Acquire),
        _ => panic!("usage: race relaxed|ordered"),
    };
    thread::scope(|threads| {
        // The one that waits comes first: what a thread did that has ended may be ordered by its end.
        threads.spawn(|| racy.receive(load));
        threads.spawn(|| racy.publish(store));
    });
    // SAFETY: the threads have ended.
    println!("{}", unsafe { *racy.value.get() });
}
