//! The atomics and locks of the crate: those of `std`, or those of a model checker.
//!
//! What decides about calls and events is built from here, so that loom and shuttle see it. What is in a
//! `static`, and what only one thread at a time gets to, is not.

#[cfg(loom)]
pub(crate) use self::modelled::AtomicU64;
#[cfg(loom)]
use loom::sync as checked;
#[cfg(shuttle)]
use shuttle::sync as checked;
#[cfg(not(any(loom, shuttle)))]
use std::sync as checked;

use std::sync::PoisonError;
pub(crate) use std::sync::atomic::Ordering;

#[cfg(not(loom))]
pub(crate) use checked::atomic::AtomicU64;
pub(crate) use checked::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(all(feature = "storage", shuttle))]
pub(crate) use shuttle::thread;
#[cfg(all(feature = "storage", not(shuttle)))]
pub(crate) use std::thread;

// No code of a user runs under one of these locks, and nothing under one panics half way: a
// poisoned lock still guards what is right.

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(loom)]
mod modelled {
    use std::env;
    use std::sync::LazyLock;
    use std::sync::atomic::Ordering;

    /// Whether loads are failing exchanges (`PURGATORY_LOOM_EXCHANGES`).
    ///
    /// loom 0.7 explores too little around a plain load (tokio-rs/loom#166, #392), and sees no stale
    /// reads around an exchange: the models run in both modes.
    static EXCHANGES: LazyLock<bool> = LazyLock::new(|| {
        let exchanges = env::var_os("PURGATORY_LOOM_EXCHANGES").is_some();
        println!("loads are {}", if exchanges { "exchanges" } else { "plain" });
        exchanges
    });

    /// loom's atomic, with loads in one of two modes.
    #[derive(Debug)]
    pub(crate) struct AtomicU64(loom::sync::atomic::AtomicU64);

    impl AtomicU64 {
        pub(crate) fn new(value: u64) -> Self {
            Self(loom::sync::atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> u64 {
            if !*EXCHANGES {
                return self.0.load(order);
            }
            // No word, count or flag of the crate ever is u64::MAX.
            match self.0.compare_exchange(u64::MAX, u64::MAX, Ordering::Relaxed, order) {
                Ok(value) | Err(value) => value,
            }
        }

        pub(crate) fn store(&self, value: u64, order: Ordering) {
            self.0.store(value, order);
        }

        pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.0.fetch_add(value, order)
        }
    }
}
