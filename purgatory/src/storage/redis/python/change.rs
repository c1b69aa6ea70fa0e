//! What a circuit of ours makes of the values of both keys.

use std::time::Duration;

use super::fields::{Fields, Word};
use super::number::Number;
use super::overlay::Overlay;
use super::reading::Reading;
use crate::circuit::{Circuit, Phase};
use crate::clock::Timestamp;

/// What becomes of the values of both keys; `None` leaves one as it is.
///
/// | the circuit becomes | record | counter |
/// | --- | --- | --- |
/// | registered | closed | left alone |
/// | closed with more or fewer failures | left alone | the failures |
/// | open, from closed | opened, when it opened | one more than before, at least the threshold |
/// | open, from half-open | opened, when it opened | left alone |
/// | half-open, or with other probes | left alone | left alone |
/// | closed, by probes or by hand | closed | 0 |
///
/// How many failures opened a circuit is not in our record: it is the count of the package as long as nobody
/// else has failed in the meantime. A record that is missing is written in every case.
///
/// `half-opened` is never written: while a record says that, every process of Python admits every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    /// The JSON object, all of it.
    pub(super) record: Option<Vec<u8>>,
    /// A plain integer: Redis increments no other form of it.
    pub(super) counter: Option<Vec<u8>>,
}

impl Change {
    /// What has to be written so that the values tell of this circuit, as far as they can.
    pub(super) fn to(circuit: &Circuit, name: &str, before: &Overlay) -> Self {
        let state = before.reading().fields.as_ref().map(|fields| fields.state);
        let fields = |state| fields(circuit, state, before);
        let (after, counter) = match circuit.phase() {
            Phase::Closed { failures } => {
                (fields(Word::Closed), closed(circuit, *failures, before))
            }
            Phase::Open { .. } => {
                let after = fields(Word::Opened(Some(circuit.since())));
                let counter = opened(&after, before.reading());
                (after, counter)
            }
            Phase::HalfOpen(_) => match state {
                Some(state @ (Word::Opened(_) | Word::HalfOpened)) => (fields(state), None),
                Some(Word::Closed) | None => {
                    // As if nobody had seen yet that its ttl has passed.
                    let (_, ttl) = fields(Word::Closed).limits();
                    let after = fields(Word::Opened(Some(earlier(circuit.since(), ttl))));
                    let counter = opened(&after, before.reading());
                    (after, counter)
                }
            },
        };
        Self {
            record: (state != Some(after.state)).then(|| after.dump(name)),
            counter: counter.map(|count| count.to_string().into_bytes()),
        }
    }

    /// Whether nothing is to be written: what changed is known only to this process.
    pub(super) fn is_nothing(&self) -> bool {
        self.record.is_none() && self.counter.is_none()
    }
}

/// The record to write. Its threshold and ttl stay as they are, to the letter, whatever this process was asked
/// for: so does the package. If it is gone they are ours, in the letters that it had if it had the same.
fn fields(circuit: &Circuit, state: Word, before: &Overlay) -> Fields {
    let settings = circuit.settings();
    let there = before.reading().fields.is_some();
    let last = before.last();
    let threshold = last.map(|last| last.threshold.clone());
    let ttl = last.map(|last| last.ttl.clone());
    Fields {
        threshold: threshold
            .filter(|last| there || last.threshold() == settings.threshold)
            .unwrap_or_else(|| Number::count(settings.threshold)),
        ttl: ttl
            .filter(|last| there || last.ttl() == settings.ttl)
            .unwrap_or_else(|| Number::span(settings.ttl)),
        state,
        failure_count: None,
    }
}

/// The counter of a circuit that is closed.
fn closed(circuit: &Circuit, failures: u32, before: &Overlay) -> Option<i64> {
    let reading = before.reading();
    let failures = i64::from(failures);
    let closed = reading.fields.as_ref().is_none_or(|fields| fields.state == Word::Closed);
    if !closed || circuit.generation() > before.generation() {
        // It recovered, or was reset, and may have failed since.
        return Some(failures);
    }
    match (&reading.fields, failures) {
        // A counter that outlived its record goes on, as in the package.
        (None, 0) => None,
        (None, _) => Some(reading.count.saturating_add(1).max(failures)),
        (Some(_), _) if failures == i64::from(reading.failures()) => None,
        (Some(_), 0) => Some(0),
        // If less than none had failed, that is not forgotten.
        (Some(_), _) => Some(reading.count.min(0).saturating_add(failures)),
    }
}

/// The counter of a circuit that opens.
fn opened(after: &Fields, before: &Reading) -> Option<i64> {
    let threshold = i64::from(after.threshold.threshold());
    match before.fields.as_ref().map(|fields| fields.state) {
        Some(Word::Opened(_) | Word::HalfOpened) => None,
        Some(Word::Closed) => Some(before.count.saturating_add(1).max(threshold)),
        None => Some(before.count.max(threshold)),
    }
}

fn earlier(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_origin(time.since_origin().saturating_sub(by))
}
