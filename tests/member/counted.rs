//! What a member asks of its storage.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use purgatory::RedisStorage;
use purgatory::storage::{
    Bump, Storage, StorageFuture, StorageOptions, Stored, Swap, Watcher, Watching, Write,
};

/// How often a member asked its storage for what.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) loads: AtomicU64,
    pub(super) bumps: AtomicU64,
    pub(super) swaps: AtomicU64,
    /// Swaps that came too late.
    pub(super) conflicts: AtomicU64,
}

/// A storage that counts, and if it is told to cannot add, as one of a user may be.
pub(super) struct Counted {
    storage: RedisStorage,
    bumps: bool,
    counts: Arc<Counts>,
}

impl Counted {
    pub(super) fn new(storage: RedisStorage, bumps: bool, counts: &Arc<Counts>) -> Self {
        Self { storage, bumps, counts: Arc::clone(counts) }
    }
}

impl Storage for Counted {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        self.counts.loads.fetch_add(1, Ordering::Relaxed);
        self.storage.load(circuit)
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        self.counts.swaps.fetch_add(1, Ordering::Relaxed);
        let swap = self.storage.compare_and_set(write);
        Box::pin(async move {
            let swap = swap.await;
            if swap.as_ref().is_ok_and(|swap| !swap.applied) {
                self.counts.conflicts.fetch_add(1, Ordering::Relaxed);
            }
            swap
        })
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        if !self.bumps {
            return None;
        }
        self.counts.bumps.fetch_add(1, Ordering::Relaxed);
        self.storage.bump(bump)
    }

    fn watch(&self, watcher: Watcher) -> Option<Watching<'_>> {
        self.storage.watch(watcher)
    }

    fn options(&self) -> StorageOptions {
        self.storage.options()
    }
}
