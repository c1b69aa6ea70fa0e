//! What the driver has to do later.

use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

use tokio::time::{self, Instant};

use crate::locked::LockedCircuit;
use crate::mirror::Wait;

/// What the driver has to do later, the next first; at the same time, in the order of asking.
#[derive(Debug, Default)]
pub(super) struct Timers {
    timers: BTreeMap<Due, Timer>,
    asked: u64,
}

/// When, and in which order.
pub(super) type Due = (Instant, u64);

#[derive(Debug)]
pub(super) enum Timer {
    /// Try to reach the storage.
    Connect,
    /// Look after the circuits.
    Tick,
    /// See whether all handles are gone.
    Gone,
    /// Somebody waits for a flush no longer.
    Flush,
    /// Send what has gathered.
    Linger(Weak<LockedCircuit>),
    /// Calls have waited long enough.
    Wait(Weak<LockedCircuit>, Wait),
}

impl Timers {
    /// Returns when that will be.
    pub(super) fn after(&mut self, delay: Duration, timer: Timer) -> Due {
        // More than a century, in place of more than there is.
        let delay = delay.min(Duration::from_secs(u32::MAX.into()));
        self.asked += 1;
        let due = (Instant::now() + delay, self.asked);
        self.timers.insert(due, timer);
        due
    }

    pub(super) fn cancel(&mut self, due: Due) {
        self.timers.remove(&due);
    }

    /// Waits for the next; for ever, if there is none.
    pub(super) async fn next(&self) {
        match self.timers.first_key_value() {
            Some((&(at, _), _)) => time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Takes the next, if its time has come.
    pub(super) fn pop(&mut self) -> Option<Timer> {
        let next = self.timers.first_entry()?;
        (next.key().0 <= Instant::now()).then(|| next.remove())
    }
}
