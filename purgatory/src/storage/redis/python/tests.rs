//! A server in memory for the tests of the layout, and the two sides that use it.

#![cfg_attr(fuzzing, allow(dead_code, unused_imports))]

pub(crate) mod fuzz;
mod reading;
mod sequences;
mod storm;
mod writing;

use std::time::Duration;

use super::{Answer, PythonLayout, Request};
use crate::circuit::{Circuit, Phase, ProbeId, Run};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::outcome::Outcome;
use crate::record::{Read, Record, UpdateId};
use crate::storage::{StorageError, Swap, Versioned};
use crate::update::{Decision, Update};

/// The next number of a sequence without visible order (splitmix64).
pub(super) fn next(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// When the tests begin, in microseconds: `1795437695.967202` of the samples.
const START: u64 = 1_795_437_695_967_202;

/// A record as Python registers it.
const CLOSED: &str =
    r#"{"name": "svc", "threshold": 3, "ttl": 0.4, "state": "closed", "opened_at": null}"#;
const HALF_OPENED: &str =
    r#"{"name": "svc", "threshold": 3, "ttl": 0.4, "state": "half-opened", "opened_at": null}"#;
/// Opened at the start.
const OPENED: &str = r#"{"name": "svc", "threshold": 3, "ttl": 0.4, "state": "opened", "opened_at": 1795437695.967202}"#;

/// The two keys of one circuit, with a clock; it does what the script does.
#[derive(Debug, Clone)]
struct Server {
    record: Option<Vec<u8>>,
    counter: Option<Vec<u8>>,
    micros: u64,
    /// How often the script has written.
    writes: u32,
}

impl Server {
    fn empty() -> Self {
        Self { record: None, counter: None, micros: START, writes: 0 }
    }

    fn with(record: &str, counter: &str) -> Self {
        Self { record: Some(record.into()), counter: Some(counter.into()), ..Self::empty() }
    }

    fn run(&mut self, request: &Request) -> Answer {
        let text = |value: &Option<Vec<u8>>| match value {
            Some(value) => [b"+", value.as_slice()].concat(),
            None => b"-".to_vec(),
        };
        self.micros += 1;
        let (record, counter) = (text(&self.record), text(&self.counter));
        let [old_record, old_counter, new_record, new_counter] = request.args() else {
            return Answer::from((0, self.micros, record, counter));
        };
        if (&record, &counter) != (old_record, old_counter) {
            return Answer::from((0, self.micros, record, counter));
        }
        for (new, value) in [(new_record, &mut self.record), (new_counter, &mut self.counter)] {
            if let [b'+', text @ ..] = new.as_slice() {
                *value = Some(text.to_vec());
                self.writes += 1;
            }
        }
        Answer::from((1, self.micros, text(&self.record), text(&self.counter)))
    }

    fn pass(&mut self, time: Duration) {
        self.micros += time.as_micros() as u64;
    }

    /// What a process of Python leaves there.
    fn python(&mut self, record: &str, counter: &str) {
        (self.record, self.counter) = (Some(record.into()), Some(counter.into()));
    }

    fn record(&self) -> &str {
        self.record.as_deref().map_or("(none)", |text| std::str::from_utf8(text).unwrap())
    }

    fn counter(&self) -> &str {
        self.counter.as_deref().map_or("(none)", |text| std::str::from_utf8(text).unwrap())
    }
}

/// One process of ours: what the protocol above the storage does, without its mirror.
struct Process {
    layout: PythonLayout,
    sequence: u64,
    settings: Settings,
}

impl Process {
    fn new() -> Self {
        let settings = Settings {
            threshold: 3,
            ttl: Duration::from_millis(400),
            probe_lease: Duration::from_secs(10),
            ..Settings::default()
        };
        Self { layout: PythonLayout::new(), sequence: 0, settings }
    }

    fn load(&self, server: &mut Server) -> Result<Option<Versioned>, StorageError> {
        let request = self.layout.load("svc")?;
        let answer = server.run(&request);
        Ok(self.layout.take(request, answer)?.stored.record)
    }

    fn circuit(&self, server: &mut Server) -> Circuit {
        known(&self.load(server).unwrap().expect("a record")).circuit
    }

    fn write(&self, server: &mut Server, expected: u64, bytes: &[u8]) -> Swap {
        let request = self.layout.write("svc", expected, bytes).unwrap();
        let answer = server.run(&request);
        self.layout.take(request, answer).unwrap()
    }

    /// Tells the server something, as often as it takes; `None` if that changes nothing.
    fn tell(&mut self, server: &mut Server, tell: impl FnOnce(&mut Update)) -> Option<Circuit> {
        let update = self.update(server, tell);
        // Nobody comes in between.
        for _ in 0..2 {
            let current = self.load(server).unwrap();
            let record = current.as_ref().map(known);
            let applied = update.apply(record.as_ref(), now(server))?;
            let bytes = applied.record.encode().into_bytes();
            let expected = current.map_or(0, |current| current.version);
            let swap = self.write(server, expected, &bytes);
            if swap.applied {
                return swap.stored.record.as_ref().map(|record| known(record).circuit);
            }
        }
        panic!("{update:?} cannot be written over {server:?}");
    }

    /// What there is to tell of the circuit as it is now, with this process's settings, or those stored.
    fn update(&mut self, server: &mut Server, tell: impl FnOnce(&mut Update)) -> Update {
        let stored = self.load(server).unwrap().as_ref().map(known);
        let new = Circuit::new(self.settings, now(server));
        let own = stored.map_or(new, |record| record.circuit);
        self.sequence += 1;
        let mut update = Update {
            id: UpdateId { writer: 7, sequence: self.sequence },
            generation: own.generation(),
            run: Run::default(),
            decision: None,
            outcomes: Vec::new(),
            ask: None,
            own,
        };
        tell(&mut update);
        update
    }
}

fn known(record: &Versioned) -> Record {
    match Record::decode(&record.bytes) {
        Read::Known(record) => record,
        other => panic!("{other:?}"),
    }
}

fn now(server: &Server) -> Timestamp {
    at(server.micros)
}

fn at(micros: u64) -> Timestamp {
    Timestamp::from_origin(Duration::from_micros(micros))
}

fn failures(failures: u32) -> impl FnOnce(&mut Update) {
    move |update| (0..failures).for_each(|_| update.run.push(Outcome::Failure))
}

fn success(update: &mut Update) {
    update.run.push(Outcome::Success);
}

fn register(update: &mut Update) {
    update.decision = Some(Decision::Register);
}

fn ask(id: u32) -> impl FnOnce(&mut Update) {
    move |update| update.ask = ProbeId::new(id)
}

fn probe(id: u32, outcome: Outcome) -> impl FnOnce(&mut Update) {
    move |update| update.outcomes.push((ProbeId::new(id).unwrap(), outcome))
}

/// How many probes are out, if it is half-open.
fn probes(circuit: &Circuit) -> Option<usize> {
    match circuit.phase() {
        Phase::HalfOpen(probes) => Some(probes.out().len()),
        Phase::Closed { .. } | Phase::Open { .. } => None,
    }
}
