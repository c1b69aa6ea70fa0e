//! What holds of any values of both keys, whoever wrote them.

use serde_json::Value;

use super::super::fields::{Fields, Word};
use super::super::number::Number;
use super::storm::agree;
use super::*;
use crate::state::State;

/// The last line is what happens then, a letter each; the one before it the counter, `-` if there is none; and
/// all before it the record.
pub(crate) fn check(bytes: &[u8]) {
    let lines: Vec<_> = bytes.rsplitn(3, |&byte| byte == b'\n').collect();
    let [steps, counter, record] = lines[..] else { return };
    let counter = (counter != b"-").then(|| counter.to_vec());
    let mut server = Server { record: Some(record.to_vec()), counter, ..Server::empty() };
    match Process::new().load(&mut server) {
        Err(error) => return is_left_alone(&error, &mut server),
        Ok(None) => assert_eq!(record, b""),
        Ok(Some(stored)) => means_what_it_says(&known(&stored).circuit, &server),
    }
    let mut story = Story::new(server);
    for step in &steps[..steps.len().min(MOST)] {
        story.step(*step);
    }
}

/// Steps.
const MOST: usize = 40;

/// What cannot be read is not written over, also by who thinks that there is nothing.
fn is_left_alone(error: &StorageError, server: &mut Server) {
    assert!(matches!(error, StorageError::Unusable(_)), "{error}");
    let process = Process::new();
    let record = Record::new(Circuit::new(process.settings, now(server))).encode();
    let request = process.layout.write("svc", 0, record.as_bytes()).unwrap();
    let answer = server.run(&request);
    assert_eq!(process.layout.take(request, answer).as_ref(), Err(error));
    assert_eq!(server.writes, 0);
}

/// The same to another reader of JSON, if it can read it.
fn means_what_it_says(circuit: &Circuit, server: &Server) {
    let Ok(value) = serde_json::from_str::<Value>(server.record()) else { return };
    let state = match value["state"].as_str() {
        Some("opened") => State::Open,
        Some("half-opened") => State::HalfOpen,
        _ => State::Closed,
    };
    assert_eq!(circuit.state(), state);
    let settings = circuit.settings();
    if let Some(threshold @ 1..=0xFFFF_FFFF) = value["threshold"].as_u64() {
        assert_eq!(u64::from(settings.threshold), threshold);
    }
    if let Some(seconds @ 1..=1_000_000) = value["ttl"].as_u64() {
        assert_eq!(settings.ttl, Duration::from_secs(seconds));
    }
    let counter =
        server.counter.as_deref().and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
    if let (Phase::Closed { failures }, Some(count @ 0..=1_000_000)) = (circuit.phase(), counter) {
        assert_eq!(*failures, count);
    }
}

/// What happens to the keys, most of it through one process.
struct Story {
    server: Server,
    process: Process,
    /// The values of both keys at first.
    first: (Option<Vec<u8>>, Option<Vec<u8>>),
    probes: u32,
}

impl Story {
    fn new(server: Server) -> Self {
        let first = (server.record.clone(), server.counter.clone());
        Self { server, process: Process::new(), first, probes: 0 }
    }

    fn step(&mut self, step: u8) {
        let Self { server, process, .. } = self;
        let before = server.clone();
        match step {
            b'f' => drop(process.tell(server, failures(1))),
            b'F' => drop(process.tell(server, failures(3))),
            b's' => drop(process.tell(server, success)),
            b'r' => drop(process.tell(server, register)),
            b'c' => drop(process.tell(server, |update| {
                update.decision = Some(Decision::Reset { at: Timestamp::MAX });
            })),
            b'a' => {
                self.probes += 1;
                drop(process.tell(server, ask(self.probes)));
            }
            b'S' => self.settle(Outcome::Success),
            b'E' => self.settle(Outcome::Failure),
            b'I' => self.settle(Outcome::Ignored),
            // Without us: time, a new process, somebody who deletes, somebody who writes.
            b't' => server.pass(Duration::from_millis(250)),
            b'y' => server.pass(Duration::from_secs(31_536_000)),
            b'n' => *process = Process::new(),
            b'd' => server.record = None,
            b'D' => server.counter = None,
            b'w' => (server.record, server.counter) = self.first.clone(),
            _ => return,
        }
        if self.server.writes > before.writes {
            self.keeps_what_was(&before);
        }
        // Who looks for the first time does so at the same time.
        let mut server = self.server.clone();
        if let Some(stored) = self.process.load(&mut self.server).unwrap() {
            agree(&known(&stored).circuit, &Process::new().circuit(&mut server), &server);
        }
    }

    /// Ends the first probe that is out.
    fn settle(&mut self, outcome: Outcome) {
        let Some(stored) = self.process.load(&mut self.server).unwrap() else { return };
        let Phase::HalfOpen(probes) = known(&stored).circuit.phase().clone() else { return };
        let Some(lease) = probes.out().first() else { return };
        self.process.tell(&mut self.server, probe(lease.id.get(), outcome));
    }

    /// What the process wrote is as the package would have, and leaves what is not the process's to say.
    fn keeps_what_was(&self, before: &Server) {
        let Self { server, .. } = self;
        if server.counter != before.counter {
            assert!(server.counter().parse::<i64>().is_ok(), "{server:?}");
        }
        if server.record == before.record {
            return;
        }
        let after = Fields::parse(server.record().as_bytes()).unwrap();
        assert_eq!(after.dump("svc"), server.record().as_bytes());
        assert_ne!(after.state, Word::HalfOpened, "to Python that admits every call");
        let record = before.record.as_deref().filter(|record| !record.is_empty());
        let Some(before) = record.map(|record| Fields::parse(record).unwrap()) else { return };
        assert_ne!(after.state, before.state, "there was nothing to say");
        let limits = |fields: &Fields| [&fields.threshold, &fields.ttl].map(Number::clone);
        assert_eq!(limits(&after), limits(&before));
    }
}

#[test]
fn seeds_are_kept_or_left_alone() {
    crate::seeds::replay("json", check);
}
