//! One test process at a time.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

use super::folder::cache;

/// The right to change the cache, which other test processes use too.
#[derive(Debug)]
pub(super) struct Lock {
    /// Closing it gives the right back, even if the process is killed.
    _file: File,
}

impl Lock {
    /// Waits until nobody else has it.
    pub(super) fn take() -> Self {
        let file = File::create(cache().join("lock")).expect("the cache can be written");
        flock(&file, FlockOperation::LockExclusive).expect("a local file can be locked");
        Self { _file: file }
    }
}
