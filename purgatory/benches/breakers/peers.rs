//! The other crates, each with settings as near to ours as it has.

use std::time::Duration;

use failsafe::failure_policy::ConsecutiveFailures;
use failsafe::{StateMachine, backoff, failure_policy};
use recloser::Recloser;
use tower_resilience_circuitbreaker::{CircuitBreakerHandle, CircuitBreakerLayer};

const OPEN: Duration = Duration::from_secs(3600);

pub(crate) type Failsafe = StateMachine<ConsecutiveFailures<backoff::Constant>, ()>;

pub(crate) fn failsafe(threshold: u32) -> Failsafe {
    let policy = failure_policy::consecutive_failures(threshold, backoff::constant(OPEN));
    failsafe::Config::new().failure_policy(policy).build()
}

/// It counts rates over a ring of calls.
pub(crate) fn recloser(closed_len: usize, error_rate: f32) -> Recloser {
    Recloser::custom().error_rate(error_rate).closed_len(closed_len).open_wait(OPEN).build()
}

/// It counts rates over a window of calls, and is async only.
pub(crate) fn tower() -> (CircuitBreakerLayer, CircuitBreakerHandle) {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .wait_duration_in_open(OPEN)
        .build_with_handle()
        .expect("the settings are in range")
}
