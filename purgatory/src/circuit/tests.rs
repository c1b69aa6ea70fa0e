//! Every cell of the table, and what lies between the cells.

mod generations;

use std::time::Duration;

use super::*;
use crate::config::Config;

const TTL: Duration = Duration::from_secs(30);
const NANOSECOND: Duration = Duration::from_nanos(1);

/// A circuit and the time it lives in.
struct Rig {
    circuit: Circuit,
    now: Timestamp,
}

impl Rig {
    fn new(config: Config) -> Self {
        Self { circuit: Circuit::new(config.resolve(), Timestamp::ORIGIN), now: Timestamp::ORIGIN }
    }

    /// Open since now.
    fn open(config: Config) -> Self {
        let mut rig = Self::new(config.threshold(1));
        let ticket = rig.admitted();
        rig.settle(ticket, Outcome::Failure);
        assert_eq!(rig.circuit.state(), State::Open);
        rig
    }

    /// Half-open, with the ticket of the first probe.
    fn half_open(config: Config) -> (Self, Ticket) {
        let mut rig = Self::open(config);
        rig.wait(TTL + NANOSECOND);
        let (ticket, change) = rig.acquire();
        assert_eq!(change.unwrap().to, State::HalfOpen);
        (rig, ticket.unwrap())
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now.saturating_add(duration);
    }

    fn acquire(&mut self) -> (Result<Ticket, Refusal>, Option<Change>) {
        self.circuit.acquire(self.now)
    }

    fn admitted(&mut self) -> Ticket {
        self.acquire().0.expect("a call is admitted")
    }

    fn refused(&mut self) -> Refusal {
        let (answer, change) = self.acquire();
        assert_eq!(change, None);
        answer.expect_err("a call is refused")
    }

    fn settle(&mut self, ticket: Ticket, outcome: Outcome) -> Settled {
        self.circuit.settle(ticket, outcome, || self.now)
    }

    /// Everything that an outcome could change.
    fn visible(&self) -> (View, u32, Timestamp, u64) {
        let circuit = &self.circuit;
        (circuit.view(), circuit.failures(), circuit.since(), circuit.generation())
    }
}

const NOTHING: Settled = Settled { effect: None, change: None };
const LATE: Settled = Settled { effect: Some(Effect::Late), change: None };

fn effect(effect: Effect) -> Settled {
    Settled { effect: Some(effect), change: None }
}

#[test]
fn closed_admits_without_end() {
    let mut rig = Rig::new(Config::new());
    for _ in 0..100 {
        let ticket = rig.admitted();
        assert_eq!(ticket, Ticket { generation: 0, probe: None });
    }
}

#[test]
fn closed_success_changes_nothing() {
    let mut rig = Rig::new(Config::new());
    let ticket = rig.admitted();
    assert_eq!(rig.settle(ticket, Outcome::Success), NOTHING);
    assert_eq!(rig.circuit.view(), View::Closed { generation: 0, clean: true });
}

#[test]
fn closed_success_after_failures_recovers() {
    let mut rig = Rig::new(Config::new().threshold(3));
    for failures in 1..=2 {
        let ticket = rig.admitted();
        assert_eq!(rig.settle(ticket, Outcome::Failure), effect(Effect::Failed(failures)));
        assert_eq!(rig.circuit.view(), View::Closed { generation: 0, clean: false });
    }
    let ticket = rig.admitted();
    assert_eq!(rig.settle(ticket, Outcome::Success), effect(Effect::Recovered));
    assert_eq!(rig.circuit.failures(), 0);
    let ticket = rig.admitted();
    assert_eq!(rig.settle(ticket, Outcome::Success), NOTHING);
}

#[test]
fn closed_failure_at_the_threshold_trips() {
    let mut rig = Rig::new(Config::new().threshold(2));
    let ticket = rig.admitted();
    rig.settle(ticket, Outcome::Failure);
    let ticket = rig.admitted();
    rig.wait(TTL);
    let change = Change {
        from: State::Closed,
        to: State::Open,
        generation: 1,
        opened_at: Some(rig.now),
        cause: Cause::Tripped { failures: 2, threshold: 2 },
    };
    let settled = Settled { effect: Some(Effect::Failed(2)), change: Some(change) };
    assert_eq!(rig.settle(ticket, Outcome::Failure), settled);
    assert_eq!(rig.circuit.opened_at(), Some(rig.now));
    assert_eq!(rig.circuit.failures(), 0);
}

#[test]
fn closed_ignored_changes_nothing() {
    let mut rig = Rig::new(Config::new());
    let ticket = rig.admitted();
    rig.settle(ticket, Outcome::Failure);
    let before = rig.visible();
    let ticket = rig.admitted();
    assert_eq!(rig.settle(ticket, Outcome::Ignored), NOTHING);
    assert_eq!(rig.visible(), before);
}

#[test]
fn open_refuses_up_to_and_at_the_ttl() {
    let mut rig = Rig::open(Config::new().ttl(TTL));
    let refusal = Refusal { reason: Reason::Open, until: rig.now.saturating_add(TTL) };
    for wait in [Duration::ZERO, TTL / 2, TTL / 2] {
        rig.wait(wait);
        assert_eq!(rig.refused(), refusal);
    }
    assert_eq!(rig.now, refusal.until);
}

#[test]
fn open_after_the_ttl_turns_half_open_and_admits_a_probe() {
    let mut rig = Rig::open(Config::new().ttl(TTL));
    rig.wait(TTL + NANOSECOND);
    assert_eq!(rig.circuit.state(), State::Open, "time alone changes nothing");
    let (ticket, change) = rig.acquire();
    let expected = Change {
        from: State::Open,
        to: State::HalfOpen,
        generation: 2,
        opened_at: None,
        cause: Cause::TtlPassed,
    };
    assert_eq!(change, Some(expected));
    assert!(ticket.unwrap().probe.is_some());
    assert_eq!(rig.circuit.since(), rig.now);
}

/// I6: every late outcome, in every state that it can arrive in.
#[test]
fn late_outcomes_change_nothing() {
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Ignored];
    for outcome in outcomes {
        // Admitted closed, arriving open, half-open, and closed again.
        let mut rig = Rig::new(Config::new().threshold(1).ttl(TTL));
        let stale = rig.admitted();
        let ticket = rig.admitted();
        rig.settle(ticket, Outcome::Failure);
        rig.wait(TTL / 2);
        let check = |rig: &mut Rig, state, stale| {
            let before = rig.visible();
            assert_eq!(rig.circuit.state(), state);
            assert_eq!(rig.settle(stale, outcome), LATE, "{outcome:?} in {state}");
            assert_eq!(rig.visible(), before, "{outcome:?} in {state}");
        };
        check(&mut rig, State::Open, stale);
        rig.wait(TTL);
        let probe = rig.admitted();
        check(&mut rig, State::HalfOpen, stale);
        rig.settle(probe, Outcome::Success);
        check(&mut rig, State::Closed, stale);

        // A probe of a half-open generation, arriving in the next one.
        let (mut rig, first) = Rig::half_open(Config::new().ttl(TTL).half_open_probes(2));
        let second = rig.admitted();
        rig.settle(first, Outcome::Failure);
        check(&mut rig, State::Open, second);
        rig.wait(TTL + NANOSECOND);
        let next = [rig.admitted(), rig.admitted()];
        check(&mut rig, State::HalfOpen, second);
        assert_eq!(rig.refused().reason, Reason::ProbesBusy, "{next:?} keep their places");
    }
}

#[test]
fn half_open_admits_as_many_probes_as_configured() {
    let (mut rig, _) = Rig::half_open(Config::new().ttl(TTL).half_open_probes(3));
    assert_eq!(rig.circuit.view(), View::Probing);
    rig.admitted();
    rig.admitted();
    let until = rig.now.saturating_add(TTL);
    let refusal = Refusal { reason: Reason::ProbesBusy, until };
    assert_eq!(rig.circuit.view(), View::Refusing(refusal));
    assert_eq!(rig.refused(), refusal);
}

#[test]
fn half_open_success_closes() {
    let (mut rig, probe) = Rig::half_open(Config::new().ttl(TTL));
    rig.wait(TTL / 2);
    let change = Change {
        from: State::HalfOpen,
        to: State::Closed,
        generation: 3,
        opened_at: None,
        cause: Cause::ProbesSucceeded,
    };
    let settled = Settled { effect: Some(Effect::Recovered), change: Some(change) };
    assert_eq!(rig.settle(probe, Outcome::Success), settled);
    assert_eq!(rig.circuit.view(), View::Closed { generation: 3, clean: true });
    assert_eq!(rig.circuit.since(), rig.now);
}

/// I2 asks for a bound on the probes that are decided: there is one, on those that succeed. The number of
/// probes bounds those that are out at a time.
#[test]
fn half_open_success_makes_room_until_enough_succeeded() {
    let (mut rig, mut probe) = Rig::half_open(Config::new().ttl(TTL).success_threshold(3));
    for _ in 0..2 {
        assert_eq!(rig.settle(probe, Outcome::Success), NOTHING);
        assert_eq!(rig.circuit.state(), State::HalfOpen);
        probe = rig.admitted();
    }
    assert_eq!(rig.settle(probe, Outcome::Success).effect, Some(Effect::Recovered));
    assert_eq!(rig.circuit.state(), State::Closed);
}

#[test]
fn half_open_failure_opens_again_and_forgets_successes() {
    let (mut rig, probe) = Rig::half_open(Config::new().ttl(TTL).success_threshold(2));
    rig.settle(probe, Outcome::Success);
    let probe = rig.admitted();
    rig.wait(TTL / 2);
    let change = Change {
        from: State::HalfOpen,
        to: State::Open,
        generation: 3,
        opened_at: Some(rig.now),
        cause: Cause::ProbeFailed,
    };
    let settled = Settled { effect: None, change: Some(change) };
    assert_eq!(rig.settle(probe, Outcome::Failure), settled);
    assert_eq!(rig.refused().until, rig.now.saturating_add(TTL));

    rig.wait(TTL + NANOSECOND);
    let probe = rig.admitted();
    rig.settle(probe, Outcome::Success);
    assert_eq!(rig.circuit.state(), State::HalfOpen, "one success of two");
}

#[test]
fn half_open_ignored_gives_the_place_back() {
    let (mut rig, probe) = Rig::half_open(Config::new().ttl(TTL));
    rig.refused();
    assert_eq!(rig.settle(probe, Outcome::Ignored), NOTHING);
    assert_eq!(rig.circuit.view(), View::Probing);
    rig.admitted();
}

#[test]
fn a_probe_holds_its_place_until_its_lease_has_passed() {
    let lease = TTL * 2;
    let (mut rig, lost) = Rig::half_open(Config::new().ttl(TTL).probe_lease(lease));
    let until = rig.now.saturating_add(lease);
    rig.wait(lease);
    assert_eq!(rig.refused(), Refusal { reason: Reason::ProbesBusy, until });
    rig.wait(NANOSECOND);
    let next = rig.admitted();
    assert_ne!(next, lost);

    // What the first gives back is not the place of the second.
    assert_eq!(rig.settle(lost, Outcome::Ignored), NOTHING);
    assert_eq!(rig.refused().reason, Reason::ProbesBusy);
    assert_eq!(rig.settle(next, Outcome::Ignored), NOTHING);
    rig.admitted();
}

#[test]
fn a_probe_past_its_lease_still_counts() {
    for (outcome, state) in [(Outcome::Success, State::Closed), (Outcome::Failure, State::Open)] {
        let (mut rig, slow) = Rig::half_open(Config::new().ttl(TTL));
        rig.wait(TTL + NANOSECOND);
        rig.admitted();
        rig.settle(slow, outcome);
        assert_eq!(rig.circuit.state(), state);
    }
}

#[test]
fn reset_closes_from_every_state() {
    let change = |from, generation| Change {
        from,
        to: State::Closed,
        generation,
        opened_at: None,
        cause: Cause::Reset,
    };
    let mut rig = Rig::open(Config::new().ttl(TTL));
    assert_eq!(rig.circuit.reset(rig.now), Some(change(State::Open, 2)));
    let (mut rig, probe) = Rig::half_open(Config::new().ttl(TTL));
    assert_eq!(rig.circuit.reset(rig.now), Some(change(State::HalfOpen, 3)));
    assert_eq!(rig.settle(probe, Outcome::Failure), LATE);

    // A closed circuit forgets its failures; calls from before are late.
    let mut rig = Rig::new(Config::new().threshold(2));
    let (first, second) = (rig.admitted(), rig.admitted());
    rig.settle(first, Outcome::Failure);
    assert_eq!(rig.circuit.reset(rig.now), None);
    assert_eq!(rig.circuit.view(), View::Closed { generation: 1, clean: true });
    assert_eq!(rig.settle(second, Outcome::Failure), LATE);
}

/// I20.
#[test]
fn a_clock_that_goes_back_keeps_the_circuit_open_for_longer() {
    let mut rig = Rig::new(Config::new().threshold(1).ttl(TTL));
    rig.wait(TTL * 10);
    let ticket = rig.admitted();
    rig.settle(ticket, Outcome::Failure);
    let until = rig.now.saturating_add(TTL);
    rig.now = Timestamp::ORIGIN;
    rig.wait(TTL * 2);
    assert_eq!(rig.refused().until, until);
    rig.now = until;
    rig.refused();
    rig.wait(NANOSECOND);
    assert!(rig.admitted().probe.is_some());
}

/// I20.
#[test]
fn the_end_of_time_is_not_passed() {
    let mut rig = Rig::new(Config::new().threshold(1).ttl(Config::MAX_TTL));
    rig.now = Timestamp::MAX;
    let ticket = rig.admitted();
    rig.settle(ticket, Outcome::Failure);
    rig.wait(Duration::MAX);
    assert_eq!(rig.refused().until, Timestamp::MAX);
}
