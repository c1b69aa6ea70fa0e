//! How fast a whole fleet trips.

use std::process::Command;
use std::time::Duration;

use purgatory_tests::servers::{Peer, Server};
use serde_json::Value;

use super::Table;

pub(super) fn measure(server: &Server, table: &mut Table) {
    for (processes, threshold) in [(30, 5), (100, 5), (100, 50)] {
        let [first, last] = trip(server, processes, threshold);
        let what = format!("{processes} processes trip at {threshold} failures, first / last open");
        table.row(what, format!("{:.1} / {:.1} ms", first * 1e3, last * 1e3));
    }
}

/// Seconds from the first failure to the first and the last process that is open. Each makes 200 calls a second.
fn trip(server: &Server, processes: usize, threshold: u32) -> [f64; 2] {
    let circuit = format!("fleet-{processes}-{threshold}");
    let threshold = threshold.to_string();
    let args = ["--threshold", &threshold, "--ttl", "60"];
    let program = || Command::new(env!("CARGO_BIN_EXE_member"));
    let mut members: Vec<Peer> =
        (0..processes).map(|_| Peer::start(program(), &server.url(), &circuit, &args)).collect();
    let mut in_sync = false;
    while !in_sync {
        in_sync = members.iter_mut().all(|member| member.action("report")["in_sync"] == true);
    }
    members.iter_mut().for_each(|member| drop(member.action("load 1 200")));
    // Until the load has become even.
    std::thread::sleep(Duration::from_millis(500));
    members.iter_mut().for_each(|member| member.send("mode fail"));
    let mut opened = Vec::new();
    let mut failed = f64::MAX;
    for member in &mut members {
        // Listeners hear of it a moment after the state is so.
        let mut report = member.answer();
        let at = loop {
            match opening(&report) {
                Some(at) => break at,
                None => report = member.action("report"),
            }
        };
        opened.push(at);
        failed = report["failed_at"][0].as_f64().unwrap_or(f64::MAX).min(failed);
    }
    let earliest = opened.iter().copied().fold(f64::MAX, f64::min);
    let latest = opened.iter().copied().fold(0.0, f64::max);
    [earliest - failed, latest - failed]
}

/// When the circuit opened, by the events of a report.
fn opening(report: &Value) -> Option<f64> {
    let events = report["events"].as_array()?;
    let open =
        events.iter().find(|event| event["text"].as_str().is_some_and(|t| t.contains("to open")));
    open?["at"].as_f64()
}
