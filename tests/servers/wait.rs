//! Waiting for other processes.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until something holds, and looks often: `what` is to be read after "waited for".
///
/// # Panics
///
/// If it does not hold within the limit.
#[track_caller]
pub fn wait_until(what: &str, limit: Duration, holds: impl FnMut() -> bool) {
    assert!(holds_within(limit, holds), "waited {limit:?} for {what}");
}

/// The same, and says whether it holds.
pub(super) fn holds_within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if begun.elapsed() >= limit {
            return false;
        }
        thread::sleep(BETWEEN_LOOKS);
    }
}

/// Rare enough to leave the processor to those who are waited for.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
