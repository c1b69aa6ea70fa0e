//! A circuit as it is written down, for all processes that share it.

#[cfg(any(test, fuzzing))]
pub(crate) mod tests;

use std::fmt::{self, Write};
use std::time::Duration;

use crate::circuit::{Circuit, Lease, Phase, ProbeId, Probes};
use crate::clock::Timestamp;
use crate::config::{Config, Settings};

/// A circuit in the time of its storage, and who wrote it last.
///
/// Written down it is one line of ten fields:
///
/// | field | |
/// | --- | --- |
/// | format | `1` |
/// | state | `C` closed, `O` open, `H` half-open |
/// | generation | |
/// | since | microseconds since 1970 by the storage's clock |
/// | open for | microseconds, 0 unless open |
/// | failures | in a row, while closed |
/// | settings | of who wrote last: `threshold:ttl:half_open_probes:success_threshold:probe_lease`, times in microseconds |
/// | successes | of probes, while half-open |
/// | probes | that are out, `id:end,id:end`, or `-` |
/// | writers | the last 16, `writer:sequence,..` in hexadecimal, or `-` |
///
/// The first five fields are the same in every format to come: a process that does not know a format
/// obeys them, and does not write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) circuit: Circuit,
    pub(crate) ring: Ring,
}

/// What stored bytes turn out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Read {
    Known(Record),
    /// In a format that is not known here: what is known of it.
    Newer(Circuit),
    /// No record at all.
    Garbled,
}

/// Which update: the process's number, and the number of the update in that process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UpdateId {
    pub(crate) writer: u64,
    pub(crate) sequence: u64,
}

/// The last writers, each with its last update, the most recent last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ring(Vec<UpdateId>);

/// The format that is written here.
pub(crate) const FORMAT: &str = "1";

/// How many writers a record keeps.
pub(crate) const RING: usize = 16;

/// The longest that is taken for a record: with the most probes it has 30 kB.
pub(crate) const MAX_LEN: usize = 1 << 16;

/// The largest generation that is taken for one: a process can tell twice as many apart, so that whoever puts one
/// here does not bring the circuit to where no call is of its generation any more.
const MAX_GENERATION: u64 = 1 << 61;

impl Record {
    pub(crate) fn new(circuit: Circuit) -> Self {
        Self { circuit, ring: Ring::default() }
    }

    pub(crate) fn encode(&self) -> String {
        let Self { circuit, ring } = self;
        let (since, nothing) = (micros_until(circuit.since()), Probes::default());
        let (state, open, failures, probes) = match circuit.phase() {
            Phase::Closed { failures } => ('C', 0, *failures, &nothing),
            Phase::Open { until } => {
                let open = micros(until.since(circuit.since()));
                ('O', open, 0, &nothing)
            }
            Phase::HalfOpen(probes) => ('H', 0, 0, probes),
        };
        let (generation, successes) = (circuit.generation(), probes.successes());
        let mut line = format!("{FORMAT} {state} {generation} {since} {open} {failures} ");
        write_settings(&mut line, circuit.settings());
        let out = probes.out().iter();
        let out = List(out.map(|lease| format!("{}:{}", lease.id, micros_until(lease.end))));
        // Writing to a string does not fail.
        let _ = write!(line, " {successes} {out} {ring}");
        line
    }

    pub(crate) fn decode(bytes: &[u8]) -> Read {
        if bytes.len() > MAX_LEN {
            return Read::Garbled;
        }
        let Ok(line) = std::str::from_utf8(bytes) else { return Read::Garbled };
        let mut fields = line.split(' ');
        let read = match fields.next() {
            Some(FORMAT) => known(&mut fields).filter(|_| fields.next().is_none()).map(Read::Known),
            Some(format) if !format.is_empty() && format.bytes().all(|b| b.is_ascii_digit()) => {
                newer(&mut fields).map(Read::Newer)
            }
            _ => None,
        };
        read.unwrap_or(Read::Garbled)
    }
}

pub(crate) fn write_settings(line: &mut String, settings: &Settings) {
    let Settings { threshold, ttl, half_open_probes, success_threshold, probe_lease } = settings;
    let (ttl, lease) = (micros(*ttl), micros(*probe_lease));
    let _ = write!(line, "{threshold}:{ttl}:{half_open_probes}:{success_threshold}:{lease}");
}

/// Microseconds, rounded up: no time that is more than zero becomes zero.
pub(crate) fn micros(time: Duration) -> u64 {
    // The longest times of the crate are 146 years.
    time.as_nanos().div_ceil(1_000) as u64
}

fn micros_until(time: Timestamp) -> u64 {
    time.nanos() / 1_000
}

/// What every format has: state, generation, since, and how long it is open.
struct Head {
    state: State,
    generation: u64,
    since: Timestamp,
    open: Duration,
}

enum State {
    Closed,
    Open,
    HalfOpen,
}

type Fields<'a> = std::str::Split<'a, char>;

fn head(fields: &mut Fields<'_>) -> Option<Head> {
    let state = match fields.next()? {
        "C" => State::Closed,
        "O" => State::Open,
        "H" => State::HalfOpen,
        _ => return None,
    };
    let generation = number(fields.next()?).filter(|&generation| generation <= MAX_GENERATION)?;
    let (since, open) = (timestamp(fields.next()?)?, time(fields.next()?)?);
    (open <= Config::MAX_TTL).then_some(Head { state, generation, since, open })
}

fn known(fields: &mut Fields<'_>) -> Option<Record> {
    let Head { state, generation, since, open } = head(fields)?;
    let failures = number(fields.next()?)?;
    let settings = settings(fields.next()?)?;
    let successes = number(fields.next()?)?;
    let out = list(fields.next()?, lease)?;
    let ring = Ring(list(fields.next()?, update_id)?);
    let few = out.len() <= Config::MAX_PROBES as usize && ring.0.len() <= RING;
    let phase = match state {
        State::Closed => Phase::Closed { failures },
        State::Open => Phase::Open { until: since.saturating_add(open) },
        State::HalfOpen => Phase::HalfOpen(Probes::restored(out, successes)),
    };
    let circuit = Circuit::restored(settings, generation, since, phase);
    few.then_some(Record { circuit, ring })
}

/// A half-open circuit of a newer format counts as open with its ttl passed: who may probe is not known.
fn newer(fields: &mut Fields<'_>) -> Option<Circuit> {
    let Head { state, generation, since, open } = head(fields)?;
    let phase = match state {
        State::Closed => Phase::Closed { failures: 0 },
        State::Open | State::HalfOpen => Phase::Open { until: since.saturating_add(open) },
    };
    Some(Circuit::restored(Settings::default(), generation, since, phase))
}

fn settings(field: &str) -> Option<Settings> {
    let mut parts = field.split(':');
    let mut next = || parts.next();
    let settings = Settings {
        threshold: number(next()?)?,
        ttl: time(next()?)?,
        half_open_probes: number(next()?)?,
        success_threshold: number(next()?)?,
        probe_lease: time(next()?)?,
    };
    (next().is_none() && Config::from(settings).check().is_ok()).then_some(settings)
}

fn lease(item: &str) -> Option<Lease> {
    let (id, end) = item.split_once(':')?;
    Some(Lease { id: ProbeId::new(number(id)?)?, end: timestamp(end)? })
}

fn update_id(item: &str) -> Option<UpdateId> {
    let (writer, sequence) = item.split_once(':')?;
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
        plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
    };
    Some(UpdateId { writer: number(writer)?, sequence: number(sequence)? })
}

fn list<T>(field: &str, item: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    if field == "-" {
        return Some(Vec::new());
    }
    field.split(',').map(item).collect()
}

/// Digits and nothing else: no sign, no space.
fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn time(digits: &str) -> Option<Duration> {
    number(digits).map(Duration::from_micros)
}

fn timestamp(digits: &str) -> Option<Timestamp> {
    time(digits).map(Timestamp::from_origin)
}

impl Ring {
    /// Whether that update, or a later one of its writer, is in the record.
    pub(crate) fn has(&self, id: UpdateId) -> bool {
        self.0.iter().any(|last| last.writer == id.writer && last.sequence >= id.sequence)
    }

    /// Who made the record what it is.
    pub(crate) fn newest_writer(&self) -> Option<u64> {
        self.0.last().map(|last| last.writer)
    }

    pub(crate) fn push(&mut self, id: UpdateId) {
        self.0.retain(|last| last.writer != id.writer);
        self.0.push(id);
        let old = self.0.len().saturating_sub(RING);
        self.0.drain(..old);
    }
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        List(self.0.iter()).fmt(f)
    }
}

impl fmt::Display for UpdateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}:{:x}", self.writer, self.sequence)
    }
}

/// Items with commas between them, or `-`.
struct List<I>(I);

impl<I: Iterator<Item: fmt::Display> + Clone> fmt::Display for List<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut items = self.0.clone();
        match items.next() {
            None => f.write_str("-"),
            Some(first) => {
                first.fmt(f)?;
                items.try_for_each(|item| write!(f, ",{item}"))
            }
        }
    }
}
