//! A process of a fleet, and what is stored for its circuit.

use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory_tests::servers::{Peer, Server, wait_until};
use serde_json::Value;

/// The program of this name, see there.
pub(crate) struct Member {
    peer: Peer,
    /// Every event, in one line each.
    pub(crate) log: Vec<String>,
    last: Value,
}

impl Member {
    /// Starts one, and waits until it has heard of its storage.
    pub(crate) fn start(urls: &[String], circuit: &str, args: &[&str]) -> Self {
        let (first, others) = urls.split_first().expect("there is a server");
        let address = |url: &String| format!(",{}", &url["redis://".len()..url.len() - 1]);
        let urls = first.clone() + &others.iter().map(address).collect::<String>();
        let program = Command::new(env!("CARGO_BIN_EXE_member"));
        let peer = Peer::start(program, &urls, circuit, args);
        let mut member = Self { peer, log: Vec::new(), last: Value::Null };
        member.until("it to join", |report| report["in_sync"] == true);
        member
    }

    /// Does something, and says how it is then.
    #[track_caller]
    pub(crate) fn act(&mut self, action: &str) -> Value {
        let report = self.peer.action(action);
        for event in report["events"].as_array().expect("a list") {
            self.log.push(event["text"].as_str().expect("a text").to_owned());
        }
        self.last = report.clone();
        report
    }

    #[track_caller]
    pub(crate) fn report(&mut self) -> Value {
        self.act("report")
    }

    /// A number of its report.
    #[track_caller]
    pub(crate) fn number(&mut self, field: &str) -> u64 {
        self.report()[field].as_u64().expect("a number")
    }

    /// Waits until its report is so.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut(&Value) -> bool) {
        wait_until(what, PATIENCE, || holds(&self.report()));
    }

    /// What it was told of a loss or the return of its storage.
    pub(crate) fn losses(&self) -> Vec<&str> {
        let lost = |line: &&str| line.contains(": down, ") || line.contains(": not shared, ");
        self.log.iter().map(String::as_str).filter(lost).collect()
    }

    /// How the state of its circuit has changed.
    pub(crate) fn changes(&self) -> Vec<&str> {
        let changed = |line: &&str| {
            [": closed to", ": open to", ": half-open to"].iter().any(|c| line.contains(c))
        };
        self.log.iter().map(String::as_str).filter(changed).collect()
    }

    /// Ends its load, and makes sure that no call was disturbed: none rejected or delayed. Returns the
    /// longest that one took in the breaker.
    #[track_caller]
    pub(crate) fn undisturbed(&mut self) -> Duration {
        let report = self.act("stop");
        assert_eq!(report["rejected"], 0);
        assert_eq!(report["state"], "closed");
        let longest = report["longest_us"].as_f64().expect("a number") / 1e6;
        let longest = Duration::from_secs_f64(longest);
        assert!(longest < DELAY, "a call took {longest:?}");
        longest
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what a member was told: {:#?}, and says: {}", self.log, self.last);
        }
    }
}

/// The record of a circuit.
#[derive(Debug, PartialEq)]
pub(crate) struct Stored {
    pub(crate) state: String,
    /// When its time is over, in seconds since 1970.
    pub(crate) until: f64,
    pub(crate) failures: u64,
}

impl Stored {
    /// What a server has of it.
    pub(crate) fn on(server: &Server, circuit: &str) -> Option<Self> {
        let record: String = server.try_ask::<Option<String>>(&["GET", &key(circuit)]).ok()??;
        let fields: Vec<&str> = record.split(' ').collect();
        let [_, "1", state, _, since, open, failures, ..] = fields[..] else {
            panic!("not a record: {record}");
        };
        let number = |text: &str| text.parse::<u64>().expect("a number");
        let until = (number(since) + number(open)) as f64 / 1e6;
        Some(Self { state: state.to_owned(), until, failures: number(failures) })
    }
}

/// The key of a circuit with a plain name.
pub(crate) fn key(circuit: &str) -> String {
    format!("cb:{{{circuit}}}")
}

pub(crate) fn time_of_day() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs_f64()
}

/// How long a call may be in the breaker: nothing there waits, but the machine may be busy.
const DELAY: Duration = Duration::from_millis(100);

/// How long anything may take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(30);
