//! What a guarded call costs: `cargo bench -p purgatory`.
//!
//! Beside purgatory stand a bare call, the floor (the call between two loads of an atomic word), and
//! three other crates, all in one run: the ratios are what counts, as absolute figures move with the
//! machine. The table at the end has the medians.

mod futures;
mod peers;
mod sync;
mod table;

use std::path::Path;
use std::time::Duration;

use criterion::Criterion;

fn main() {
    let results = Path::new(env!("CARGO_TARGET_TMPDIR")).join("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .without_plots()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    sync::closed(&mut criterion);
    sync::two_threads(&mut criterion);
    sync::rejected(&mut criterion);
    sync::alternating(&mut criterion);
    sync::look_up(&mut criterion);
    futures::closed(&mut criterion);
    futures::rejected(&mut criterion);
    criterion.final_summary();
    table::print(&results);
}

/// The error of the calls: as large as those of real ones, and with nothing to drop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed(#[allow(dead_code)] u64); // Only its size matters.

impl From<purgatory::Rejected> for Failed {
    fn from(_: purgatory::Rejected) -> Self {
        Self(0)
    }
}

/// The call that is guarded. Not inlined, as a call that leaves the process would not be.
#[inline(never)]
pub(crate) fn work(input: u64) -> Result<u64, Failed> {
    if input == u64::MAX { Err(Failed(input)) } else { Ok(input) }
}
