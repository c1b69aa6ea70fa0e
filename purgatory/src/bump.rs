//! Outcomes to add to a record.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::Timestamp;
use crate::record::{Read, Record};
use crate::storage::Versioned;
use crate::update::Update;

/// Outcomes of a closed circuit to add to its record, see [`Storage::bump`](crate::Storage::bump).
///
/// Adding commutes, so nobody has to try again because somebody else came first: with many processes a
/// circuit trips several times faster than by [`compare_and_set`](crate::Storage::compare_and_set).
#[derive(Debug, Clone, Copy)]
pub struct Bump<'a> {
    circuit: &'a str,
    expires_in: Duration,
    update: &'a Update,
}

/// A record to write in place of the one there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bumped {
    /// The record.
    pub bytes: Vec<u8>,
    /// Whether the watchers must be told.
    pub announce: bool,
}

impl<'a> Bump<'a> {
    pub(crate) fn new(circuit: &'a str, expires_in: Duration, update: &'a Update) -> Self {
        Self { circuit, expires_in, update }
    }

    /// The name of the circuit.
    pub fn circuit(&self) -> &'a str {
        self.circuit
    }

    /// How long the record has to be kept at least.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// What becomes of a record; `None` if it stays as it is. A storage calls this while nobody else can
    /// write the record (under a lock, in a transaction), with the time by its clock, and gives what it
    /// writes a new version.
    pub fn apply(&self, current: Option<&Versioned>, now: SystemTime) -> Option<Bumped> {
        rewrite(self.update, current, store_time(now))
    }

    #[cfg(feature = "redis")]
    pub(crate) fn update(&self) -> &'a Update {
        self.update
    }
}

/// What becomes of stored bytes. What cannot be read is treated as if it were not there, unless it is of
/// a format to come: then it is left alone.
pub(crate) fn rewrite(
    update: &Update,
    current: Option<&Versioned>,
    now: Timestamp,
) -> Option<Bumped> {
    let read = current.map(|current| Record::decode(&current.bytes));
    let applied = match &read {
        Some(Read::Newer(_)) => None,
        Some(Read::Known(record)) => update.apply(Some(record), now),
        Some(Read::Garbled) | None => update.apply(None, now),
    }?;
    Some(Bumped { bytes: applied.record.encode().into_bytes(), announce: applied.announce })
}

/// A time of day on the clock of records. What lies before 1970 counts as 1970.
pub(crate) fn store_time(time: SystemTime) -> Timestamp {
    Timestamp::from_origin(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}
