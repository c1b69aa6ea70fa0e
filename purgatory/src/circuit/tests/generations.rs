//! I7: generations, by which calls from before a change are told.

use super::*;

/// The last generation of every width: were they counted in so many bits, the next would be one that was.
fn last_of_each_width() -> impl Iterator<Item = u64> {
    (0..62).map(|bits| (1 << bits) - 1)
}

/// A circuit in that generation, and a call that has been out since the first one.
fn at(generation: u64, config: Config) -> (Rig, Ticket) {
    let mut rig = Rig::new(config.ttl(TTL));
    let stale = rig.admitted();
    rig.circuit.generation = generation;
    (rig, stale)
}

#[test]
fn no_change_of_state_starts_a_generation_that_was_there() {
    for generation in last_of_each_width() {
        let (mut rig, stale) = at(generation, Config::new().threshold(1));
        let ticket = rig.admitted();
        let opened = rig.settle(ticket, Outcome::Failure).change.unwrap();
        rig.wait(TTL + NANOSECOND);
        let turned = rig.acquire().1.unwrap();
        let seen = [opened.generation, turned.generation, rig.circuit.generation()];
        assert_eq!(seen, [generation + 1, generation + 2, generation + 2]);
        assert_eq!(rig.settle(stale, Outcome::Failure), LATE);
        assert_eq!(rig.settle(ticket, Outcome::Failure), LATE);
    }
}

#[test]
fn no_reset_starts_a_generation_that_was_there() {
    for generation in last_of_each_width() {
        let (mut rig, stale) = at(generation, Config::new());
        let ticket = rig.admitted();
        rig.circuit.reset(rig.now);
        assert_eq!(rig.circuit.generation(), generation + 1);
        assert_eq!(rig.settle(stale, Outcome::Failure), LATE);
        assert_eq!(rig.settle(ticket, Outcome::Failure), LATE);
    }
}
