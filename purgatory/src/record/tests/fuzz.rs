//! What holds of any bytes in a storage.

use super::*;
use crate::circuit::View;
use crate::state::State;

/// The bytes are a record, or not.
pub(crate) fn check(bytes: &[u8]) {
    let field = |number| {
        let text = std::str::from_utf8(bytes).ok()?;
        text.split(' ').nth(number)
    };
    match Record::decode(bytes) {
        Read::Known(record) => {
            assert_eq!(field(0), Some("1"));
            let state = match field(1) {
                Some("C") => State::Closed,
                Some("O") => State::Open,
                Some("H") => State::HalfOpen,
                other => panic!("{other:?} is no state"),
            };
            assert_eq!(record.circuit.state(), state);
            is_read_back(&record);
            goes_on(&record.circuit);
        }
        Read::Newer(circuit) => {
            assert!(field(0).is_some_and(|format| format != "1"));
            // Only what says so is closed.
            let state = if field(1) == Some("C") { State::Closed } else { State::Open };
            assert_eq!(circuit.state(), state);
            goes_on(&circuit);
        }
        Read::Garbled => {}
    }
}

fn is_read_back(record: &Record) {
    let line = record.encode();
    let Read::Known(again) = decode(&line) else { panic!("{line}") };
    assert_eq!(again.encode(), line);
    // Times after the end of all time are that end, which is no whole microsecond.
    let ends = |circuit: &Circuit| match circuit.phase() {
        Phase::Closed { .. } => false,
        Phase::Open { until } => *until == Timestamp::MAX,
        Phase::HalfOpen(probes) => probes.out().iter().any(|lease| lease.end == Timestamp::MAX),
    };
    if record.circuit.since() < Timestamp::MAX && !ends(&record.circuit) {
        assert_eq!(again, *record);
    }
}

/// Nothing overflows, and an open circuit stays open for its time.
fn goes_on(circuit: &Circuit) {
    for now in [Timestamp::ORIGIN, circuit.since(), Timestamp::MAX] {
        let mut asked = circuit.clone();
        let ticket = asked.acquire(now).0;
        if let Phase::Open { until } = *circuit.phase() {
            assert_eq!(ticket.is_ok(), now > until);
        }
        for outcome in [Outcome::Success, Outcome::Failure] {
            let mut told = asked.clone();
            if let Ok(ticket) = ticket {
                told.settle(ticket, outcome, || now);
            }
            let generation = told.generation();
            told.reset(now);
            assert!(told.generation() > generation);
            assert!(matches!(told.view(), View::Closed { clean: true, .. }));
        }
    }
}

#[test]
fn seeds_are_records_or_nothing() {
    crate::seeds::replay("record", check);
}
