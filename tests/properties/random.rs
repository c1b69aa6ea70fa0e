//! Histories and settings at random.

use std::time::Duration;

use proptest::prelude::*;
use purgatory::{Config, Timestamp};

use crate::pair::{End, Op};

pub(crate) fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Failure),
        2 => Just(End::Success),
        1 => any::<bool>().prop_map(End::Settle),
        1 => Just(End::Ignore),
        1 => Just(End::Drop),
        1 => Just(End::Panic),
        1 => Just(End::Forget),
    ]
}

/// What leaves a circuit half-open that is so.
pub(crate) fn undecided() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Ignore), Just(End::Drop)]
}

/// While time passes as it should.
pub(crate) fn ordinary() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Acquire),
        4 => (any::<usize>(), end()).prop_map(|(which, end)| Op::End(which, end)),
        3 => (0..=9_u64).prop_map(Op::Forward),
        1 => Just(Op::Reset),
    ]
}

pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => ordinary(),
        1 => (0..=9_u64).prop_map(Op::Back),
        1 => prop_oneof![Just(Timestamp::MAX), Just(Timestamp::ORIGIN)].prop_map(Op::To),
    ]
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let lease = proptest::option::of(1..=12_u64);
    let threshold = prop_oneof![Just(1), 1..=5_u32];
    (threshold, 1..=8_u64, 1..=3_u32, 1..=4_u32, lease).prop_map(
        |(threshold, ttl, probes, successes, lease)| {
            let config = Config::new()
                .threshold(threshold)
                .ttl(Duration::from_nanos(ttl))
                .half_open_probes(probes)
                .success_threshold(successes);
            lease.map_or(config, |lease| config.probe_lease(Duration::from_nanos(lease)))
        },
    )
}
