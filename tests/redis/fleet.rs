//! Processes that share a circuit.

use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory_tests::servers::{Peer, Server, wait_until};
use serde_json::Value;

/// A process, and what it said last.
pub(crate) struct Member {
    peer: Peer,
    report: Value,
    events: Vec<Event>,
}

/// What a listener in a process was told.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// In seconds since 1970, as are all times here.
    pub(crate) at: f64,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Member {
    fn send(&mut self, action: &str) {
        self.peer.send(action);
    }

    fn answer(&mut self) {
        self.report = self.peer.answer();
        let Value::Array(events) = self.report["events"].take() else { panic!("{}", self.report) };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        self.events.extend(events.iter().map(|event| Event {
            at: event["at"].as_f64().expect("a time"),
            name: text(&event["name"]),
            text: text(&event["text"]),
        }));
    }

    /// Has it do something, and gives what came of it.
    pub(crate) fn act(&mut self, action: &str) -> &Value {
        self.send(action);
        self.answer();
        &self.report["result"]
    }

    /// A number of its last report.
    #[track_caller]
    pub(crate) fn count(&self, field: &str) -> u64 {
        let number = self.report[field].as_u64();
        number.unwrap_or_else(|| panic!("{field} is {}", self.report[field]))
    }

    /// How long calls were in the breaker at most.
    fn longest(&self) -> Duration {
        Duration::from_secs_f64(self.report["longest_us"].as_f64().expect("a number") / 1e6)
    }

    /// What its last rejection said is left, in seconds.
    pub(crate) fn retry_after(&self) -> f64 {
        self.report["retry_after_ms"].as_f64().expect("a number") / 1e3
    }

    pub(crate) fn is(&self, field: &str, value: impl Into<Value>) -> bool {
        self.report[field] == value.into()
    }

    /// When its first calls failed.
    pub(crate) fn failed_at(&self) -> impl Iterator<Item = f64> {
        let times = self.report["failed_at"].as_array().expect("a list");
        times.iter().map(|time| time.as_f64().expect("a time"))
    }

    /// Its events of that name, the first first.
    pub(crate) fn events(&self, name: &str) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter().filter(move |event| event.name == name)
    }

    /// The time of the first event of that name after some time.
    pub(crate) fn after(&self, time: f64, name: &str) -> Option<f64> {
        self.events(name).map(|event| event.at).find(|&at| at > time)
    }
}

/// Processes that share a circuit.
pub(crate) struct Fleet(Vec<Member>);

impl Fleet {
    /// Starts them, and waits until they have heard of the storage.
    pub(crate) fn start(url: &str, members: usize, args: &[&str]) -> Self {
        let member = || {
            let program = Command::new(env!("CARGO_BIN_EXE_member"));
            let peer = Peer::start(program, url, CIRCUIT, args);
            Member { peer, report: Value::Null, events: Vec::new() }
        };
        let mut fleet = Self((0..members).map(|_| member()).collect());
        fleet.wait("the storage", LONG, |member| member.is("in_sync", true));
        fleet
    }

    /// Has all do something at once.
    pub(crate) fn act(&mut self, action: &str) {
        self.0.iter_mut().for_each(|member| member.send(action));
        self.0.iter_mut().for_each(Member::answer);
    }

    /// Waits until something holds for each.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, limit: Duration, holds: impl Fn(&Member) -> bool) {
        wait_until(what, limit, || {
            self.act("report");
            self.0.iter().all(&holds)
        });
    }

    /// Ends the load, and waits until all it counted has arrived.
    pub(crate) fn end_load(&mut self) {
        self.act("stop");
        let flush = format!("flush {}", FLUSH.as_millis());
        self.act(&flush);
        for member in &self.0 {
            assert!(member.is("result", true), "not flushed within {FLUSH:?}: {}", member.report);
            assert_eq!(member.count("pending"), 0);
        }
    }

    pub(crate) fn sum(&self, field: &str) -> u64 {
        self.0.iter().map(|member| member.count(field)).sum()
    }

    /// The longest time that a call was in the breaker.
    pub(crate) fn longest(&self) -> Duration {
        self.0.iter().map(Member::longest).max().expect("there are members")
    }
}

impl Deref for Fleet {
    type Target = Vec<Member>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Fleet {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// What a server has of the circuit.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) state: String,
    pub(crate) failures: u64,
    /// When its ttl has passed, in seconds since 1970.
    pub(crate) until: f64,
}

impl Stored {
    pub(crate) fn on(server: &Server) -> Option<Self> {
        let record: Option<String> = server.ask(&["GET", &format!("cb:{{{CIRCUIT}}}")]);
        let record = record?;
        let fields: Vec<&str> = record.split(' ').collect();
        let number = |field: usize| fields[field].parse::<u64>().expect("a number");
        Some(Self {
            state: fields[2].to_owned(),
            failures: number(6),
            until: (number(4) + number(5)) as f64 / 1e6,
        })
    }
}

pub(crate) fn time_of_day() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64()
}

/// The circuit of a fleet.
pub(crate) const CIRCUIT: &str = "payments";

/// For what has no limit of its own.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// How long it may take until all has arrived, on an idle server.
const FLUSH: Duration = Duration::from_secs(5);
