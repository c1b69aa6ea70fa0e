//! The keys of the Python package `purgatory`, so that processes of both languages share circuits.
//!
//! The package keeps a circuit in two keys: a JSON object, the *record*, and a decimal number, the *counter*.
//! The protocol above the storage knows records of its own, each with a version. [`PythonLayout`] stands
//! between the two. It does no I/O: what is to be sent is a [`Request`], one run of [`SCRIPT`], and what comes
//! back is an [`Answer`].
//!
//! To load a record, and to write one:
//!
//! ```text
//! let request = layout.load(circuit)?;
//! let answer = Answer::from(script.keys(request.keys()).args(request.args()).invoke().await?);
//! let stored = layout.take(request, answer)?.stored;
//!
//! let request = layout.write(circuit, write.expected, write.bytes)?;
//! let answer = Answer::from(script.keys(request.keys()).args(request.args()).invoke().await?);
//! let swap = layout.take(request, answer)?;
//! ```
//!
//! If no answer comes the request is dropped, and the next load finds out. `Write::expires_in` and
//! `Write::announce` mean nothing here, `bump` and `watch` are `None`, and the options are [`options`]. One
//! layout is for one server and database, and for as long as the storage lives. A server's `WRONGTYPE` is
//! [`StorageError::Unusable`].
//!
//! # What is atomic
//!
//! The script writes only if both values still are what this process saw last. So no change is lost that came
//! in between, and nobody sees a circuit that is open without its count. A Python process writes without
//! looking, and that cannot be helped from here: it may write over a change that came between its own
//! commands. The two keys lie in different slots, so there is no such script on a cluster.
//!
//! Times are compared with the server's clock here, and with each process's own in Python: they have to agree
//! (NTP), as those of Python processes among each other.
//!
//! # What has no place there
//!
//! Probes that are out, how many have succeeded, generations, and the settings besides `threshold` and `ttl`
//! are known only in this process, see [`Overlay`]. So each process lets its own `half_open_probes` through,
//! as each of Python lets every call through; for the others the circuit is opened until the first result.
//! Leave for a probe still costs a round trip: the record may have changed. Which updates were
//! written already is known only from answers: a failure whose answer was lost may be counted twice.

mod change;
mod fields;
mod number;
mod overlay;
mod reading;
#[cfg(any(test, fuzzing))]
pub(crate) mod tests;

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use self::change::Change;
use self::overlay::Overlay;
use self::reading::{Raw, Reading};
use crate::clock::Timestamp;
use crate::record::{Read, Record};
use crate::storage::{Consistency, StorageError, StorageOptions, Stored, Swap};
use crate::sync::{Mutex, MutexGuard, lock};

/// The one script of this layout, for Redis 6.0 and later.
pub(crate) const SCRIPT: &str = include_str!("python/compare.lua");

/// The options that suit this layout: every call sees what Python processes did before it, new circuits are
/// written at once, and the stored threshold and ttl are in force.
///
/// With [`Consistency::Mirror`] a change by a Python process is seen after
/// [`poll`](StorageOptions::poll()) at the latest: nothing tells of it.
pub(crate) fn options(options: StorageOptions) -> StorageOptions {
    StorageOptions { registers: true, ..options.consistency(Consistency::Strict) }
}

/// Records of the protocol on one side, the two values of the Python package on the other.
pub(crate) struct PythonLayout {
    /// One for every circuit that was asked for, for good.
    circuits: Mutex<HashMap<String, Overlay>>,
}

/// One run of [`SCRIPT`], for one circuit.
#[derive(Debug)]
pub(crate) struct Request {
    circuit: String,
    keys: [String; 2],
    args: Vec<Vec<u8>>,
    /// The version of the circuit when it was made.
    version: u64,
    /// What it writes, and whether any of that goes to the keys.
    write: Option<(Record, Change)>,
}

/// What [`SCRIPT`] answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    written: bool,
    now: Timestamp,
    raw: Raw,
}

/// The answer as it arrives: whether it was written, the time in microseconds, the record, the counter.
pub(crate) type Reply = (u64, u64, Vec<u8>, Vec<u8>);

impl PythonLayout {
    /// A layout that has seen nothing yet.
    pub(crate) fn new() -> Self {
        Self { circuits: Mutex::new(HashMap::new()) }
    }

    /// What to send to read a circuit.
    ///
    /// # Errors
    ///
    /// If the name cannot be one here: the counter of another circuit would be its record.
    pub(crate) fn load(&self, circuit: &str) -> Result<Request, StorageError> {
        let keys = keys(circuit)?;
        let version = self.lock().get(circuit).map_or(0, Overlay::version);
        Ok(Request { circuit: circuit.to_owned(), keys, args: Vec::new(), version, write: None })
    }

    /// What to send to replace the record of that version, 0 for none. If it is known already that the
    /// version is another, that is a read, which finds out what there is instead.
    ///
    /// # Errors
    ///
    /// As of [`load`](Self::load), and if the bytes are not a record of the protocol.
    pub(crate) fn write(
        &self,
        circuit: &str,
        expected: u64,
        bytes: &[u8],
    ) -> Result<Request, StorageError> {
        let Read::Known(record) = Record::decode(bytes) else {
            let cause = format!("circuit {circuit:?}: only records of circuits have a place here");
            return Err(StorageError::Refused(cause));
        };
        let mut request = self.load(circuit)?;
        let mut circuits = self.lock();
        let overlay = circuits.entry(request.circuit.clone()).or_default();
        if overlay.record().map_or(0, |record| record.version) != expected {
            return Ok(request);
        }
        let change = Change::to(&record.circuit, circuit, overlay);
        let Raw { record: old, counter } = overlay.raw();
        request.args = [old, counter, &change.record, &change.counter].map(argument).to_vec();
        request.version = overlay.version();
        request.write = Some((record, change));
        Ok(request)
    }

    /// What came of a request: whether the record was written, and what there is now.
    ///
    /// # Errors
    ///
    /// If what is there cannot be read, neither by the package. It was not overwritten then.
    pub(crate) fn take(&self, request: Request, answer: Answer) -> Result<Swap, StorageError> {
        let Request { circuit, version, write, .. } = request;
        let Answer { written, now, raw } = answer;
        let reading = Reading::of(&raw).map_err(|wrong| {
            StorageError::Unusable(format!("circuit {circuit:?} in Python's layout: {wrong}"))
        })?;
        let mut circuits = self.lock();
        let overlay = circuits.entry(circuit).or_default();
        let moved = overlay.version() != version;
        // What only this process knows, only this process can have changed in between.
        let applied =
            written && write.as_ref().is_some_and(|(_, change)| !(moved && change.is_nothing()));
        // Answers may overtake each other. As long as nothing came in between the time does not matter: a
        // server's clock may be set back.
        if !(moved && now < overlay.seen()) {
            match write {
                Some((record, _)) if applied => overlay.wrote(record, raw, reading, now),
                _ => overlay.follow(raw, reading, now),
            }
        }
        let now = UNIX_EPOCH.checked_add(now.since_origin());
        Ok(Swap { applied, stored: Stored { record: overlay.record(), now } })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Overlay>> {
        lock(&self.circuits)
    }
}

impl fmt::Debug for PythonLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PythonLayout").finish_non_exhaustive()
    }
}

impl Request {
    /// The keys of the script: the record, the counter.
    pub(crate) fn keys(&self) -> &[String; 2] {
        &self.keys
    }

    /// The arguments of the script.
    pub(crate) fn args(&self) -> &[Vec<u8>] {
        &self.args
    }
}

impl From<Reply> for Answer {
    fn from((written, micros, record, counter): Reply) -> Self {
        let raw = Raw { record: value(record), counter: value(counter) };
        let now = Timestamp::from_origin(Duration::from_micros(micros));
        Self { written: written == 1, now, raw }
    }
}

/// The names of both keys.
fn keys(circuit: &str) -> Result<[String; 2], StorageError> {
    if circuit.ends_with(COUNTER) {
        let cause =
            format!("circuit {circuit:?}: in Python's layout no name can end in {COUNTER:?}");
        return Err(StorageError::Unusable(cause));
    }
    Ok([format!("cbr::{circuit}"), format!("cbr::{circuit}{COUNTER}")])
}

const COUNTER: &str = "::failure_count";

/// A value as the script takes it: absent, or left as it is, is not the same as empty.
fn argument(value: &Option<Vec<u8>>) -> Vec<u8> {
    match value {
        Some(value) => [b"+", value.as_slice()].concat(),
        None => b"-".to_vec(),
    }
}

/// A value as the script gives it.
fn value(mut text: Vec<u8>) -> Option<Vec<u8>> {
    let there = text.first() == Some(&b'+');
    there.then(|| text.split_off(1))
}
