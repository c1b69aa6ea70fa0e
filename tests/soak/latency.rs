//! How long calls were in the breaker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Sixteen bins for each power of two, so that a bin is wrong by a sixteenth at most.
const FINE: u32 = 4;
const BINS: usize = (64 - FINE as usize) << FINE;

/// How long calls were in the breaker.
pub(crate) struct Latency(Vec<AtomicU64>);

impl Latency {
    pub(crate) fn new() -> Self {
        Self((0..BINS).map(|_| AtomicU64::new(0)).collect())
    }

    pub(crate) fn took(&self, time: Duration) {
        let nanos = (time.as_nanos() as u64).max(1 << FINE);
        let power = nanos.ilog2() - FINE;
        let bin = ((power as usize) << FINE) + ((nanos >> power) as usize - (1 << FINE));
        self.0[bin].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|bin| bin.load(Ordering::Relaxed)).sum()
    }

    /// What so many of a thousand calls did not exceed.
    pub(crate) fn permille(&self, share: f64) -> Duration {
        let most = (self.count() as f64 * share / 1000.0).ceil() as u64;
        let mut seen = 0;
        for (bin, count) in self.0.iter().enumerate() {
            seen += count.load(Ordering::Relaxed);
            if seen >= most {
                let (power, rest) = (bin >> FINE, bin % (1 << FINE));
                // Its upper end.
                return Duration::from_nanos((((1 << FINE) + rest as u64 + 1) << power) - 1);
            }
        }
        Duration::ZERO
    }
}
