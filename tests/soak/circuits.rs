//! The circuits, their settings, and how often each is called.

use std::time::Duration;

use purgatory::Config;

use crate::dice::Dice;

/// How many there are.
pub(crate) const CIRCUITS: usize = 200;

/// From here on they are removed now and then. They are called rarely, so that now and then nobody holds them.
const TRANSIENT: usize = 180;

/// How long a probe has its place. An answer that is lost may have given one away, so that much is what a
/// circuit may need to recover.
pub(crate) const LEASE: Duration = Duration::from_secs(2);

/// Longer than a soak: where there is no storage, no place is ever lost.
const FOR_EVER: Duration = Duration::from_secs(20 * 3600);

/// The longest ttl.
pub(crate) const LONGEST_TTL: Duration = Duration::from_millis(350);

pub(crate) fn name(circuit: usize) -> String {
    format!("circuit-{circuit:03}")
}

/// The circuit of that name. There are others, one for each round.
pub(crate) fn number(name: &str) -> Option<usize> {
    name.strip_prefix("circuit-")?.parse().ok()
}

/// Where its record is.
pub(crate) fn key(name: &str) -> String {
    format!("cb:{{{name}}}")
}

/// One in ten is not shared.
pub(crate) fn is_local(circuit: usize) -> bool {
    circuit % 10 == 9
}

pub(crate) fn is_transient(circuit: usize) -> bool {
    circuit >= TRANSIENT
}

/// Whether calls of it are also closures, which do not say whether they were probes.
pub(crate) fn takes_closures(circuit: usize) -> bool {
    circuit.is_multiple_of(4)
}

pub(crate) fn config(circuit: usize) -> Config {
    let few = |most: usize| (circuit % most) as u32;
    let config = Config::new()
        .threshold(3 + few(5))
        .ttl(LONGEST_TTL - Duration::from_millis(50) * few(5))
        .half_open_probes(1 + few(3))
        .success_threshold(1 + few(2));
    if is_local(circuit) {
        config.shared(false).probe_lease(FOR_EVER)
    } else {
        config.probe_lease(LEASE)
    }
}

/// How often each circuit is called: the second half as often as the first, the third a third as often, and so
/// on (Zipf).
pub(crate) struct Popularity(Vec<u64>);

impl Popularity {
    pub(crate) fn new() -> Self {
        let shares = (1..=CIRCUITS as u64).map(|rank| 1_000_000 / rank);
        let sum = shares.scan(0, |sum, share| {
            *sum += share;
            Some(*sum)
        });
        Self(sum.collect())
    }

    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let drawn = dice.below(self.0[CIRCUITS - 1]);
        self.0.partition_point(|&sum| sum <= drawn)
    }
}
