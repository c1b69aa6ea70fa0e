//! A process of the fleet, of its own.

use std::process::Command;
use std::time::Duration;

use purgatory_tests::servers::{Peer, wait_until};
use serde_json::Value;

use crate::here::look_for_secrets;
use crate::stage::{CIRCUIT, SOON};

/// A process with one circuit, and what it was told up to now.
pub(crate) struct Member {
    pub(crate) peer: Peer,
    events: Vec<Value>,
}

impl Member {
    pub(crate) fn start(url: &str, environment: &[(&str, &str)], args: &[&str]) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_member"));
        program.envs(environment.iter().copied());
        Self { peer: Peer::start(program, url, CIRCUIT, args), events: Vec::new() }
    }

    /// Has it do something, and gives its report, the events of which are also kept.
    #[track_caller]
    pub(crate) fn act(&mut self, action: &str) -> Value {
        self.peer.send(action);
        self.answer()
    }

    /// The report on what it was sent to do.
    #[track_caller]
    pub(crate) fn answer(&mut self) -> Value {
        let report = self.peer.answer();
        look_for_secrets(|| report.to_string());
        let events = report["events"].as_array().expect("a report has events");
        self.events.extend(events.iter().cloned());
        report
    }

    #[track_caller]
    pub(crate) fn waits_for(
        &mut self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Value) -> bool,
    ) {
        wait_until(what, limit, || holds(&self.act("report")));
    }

    /// Has it report in some way, until that holds.
    #[track_caller]
    pub(crate) fn waits_for_report(&mut self, action: &str, holds: impl Fn(&Value) -> bool) {
        wait_until(action, SOON, || holds(&self.act(action)));
    }

    #[track_caller]
    pub(crate) fn becomes(&mut self, state: &str, limit: Duration) {
        self.waits_for(&format!("a process to be {state}"), limit, |report| {
            report["state"] == state
        });
    }

    /// Waits until it shares what it knows.
    #[track_caller]
    pub(crate) fn is_up(&mut self) {
        self.waits_for("a process to share", SOON, |report| report["in_sync"] == true);
    }

    /// The events of a name, up to the last report.
    pub(crate) fn told(&self, name: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["name"] == name).collect()
    }
}
