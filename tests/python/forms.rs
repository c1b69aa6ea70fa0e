//! Records that somebody else has written: those that the package reads, and those that it does not.

use purgatory::{Consistency, State};
use purgatory_tests::servers::{Engine, Server, wait_until};
use serde_json::{Value, json};

use crate::fleet::{Inside, Keys, Language, PATIENCE, ago, results};

/// A record in some form, with a counter. `NOW` and `BEFORE` are times: of now, and of an hour ago.
const READABLE: [(&str, Option<&str>); 29] = [
    // Another order, no spaces, letters that are not escaped.
    (r#"{"opened_at":null,"state":"closed","ttl":30,"threshold":2,"name":"svc é"}"#, Some("1")),
    (r#"{"name":"svc \u00e9","threshold":2,"ttl":30,"state":"opened","opened_at":NOW}"#, Some("2")),
    (" {\"name\": \"svc é\",\n\t\"threshold\": 2, \"ttl\": 30, \"state\": \"closed\"} ", None),
    // Fields that the package takes for its own.
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "closed", "failure_count": 1}"#,
        None,
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "failure_count": 1, "exclude": []}"#,
        Some("0"),
    ),
    // A state that is missing or unknown is closed.
    (r#"{"name": "svc é", "threshold": 2, "ttl": 30}"#, None),
    (r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "OPENED", "opened_at": NOW}"#, None),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "open", "opened_at": NOW}"#,
        Some("1"),
    ),
    (r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": 7, "opened_at": null}"#, None),
    (r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": null, "opened_at": null}"#, None),
    // Opened, and not told when: now, at every look.
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "opened", "opened_at": null}"#,
        Some("2"),
    ),
    (r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "opened"}"#, Some("2")),
    // Times that are integers, or of no meaning.
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "opened", "opened_at": 1}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "opened", "opened_at": 9999999999}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": NOW}"#,
        Some("1"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "half-opened", "opened_at": NOW}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": "noon"}"#,
        None,
    ),
    // Limits.
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": Infinity, "state": "opened", "opened_at": BEFORE}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 1e+22, "state": "opened", "opened_at": BEFORE}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 0, "state": "opened", "opened_at": BEFORE}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": -5, "state": "opened", "opened_at": NOW}"#,
        Some("2"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2.0, "ttl": 30.0, "state": "closed", "opened_at": null}"#,
        Some("1"),
    ),
    (
        r#"{"name": "svc é", "threshold": 1.5, "ttl": 30, "state": "closed", "opened_at": null}"#,
        None,
    ),
    (r#"{"name": "svc é", "threshold": 0, "ttl": 30, "state": "closed", "opened_at": null}"#, None),
    // Counters.
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#,
        Some(""),
    ),
    (
        r#"{"name": "svc é", "threshold": 3, "ttl": 30, "state": "closed", "opened_at": null}"#,
        Some("7"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#,
        Some("-1"),
    ),
    (
        r#"{"name": "svc é", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#,
        Some(" 1 "),
    ),
    // No record. With a counter that was left over it is for chance here whether the first failure knows it.
    ("", None),
];

/// A record that two processes may have written at slightly different times, in whatever form.
fn comparable(record: &Option<String>) -> Value {
    let Some(record) = record.as_ref().filter(|record| !record.is_empty()) else {
        return Value::Null;
    };
    // Python writes what is not JSON.
    let record = record.replace("Infinity", "1e300");
    let mut record: Value = serde_json::from_str(&record).expect("it is JSON");
    for kept in ["failure_count", "exclude"] {
        // The package writes back what it has read; here it is the usual fields.
        record.as_object_mut().expect("it has fields").remove(kept);
    }
    let at = record["opened_at"].as_f64().unwrap_or(0.0);
    let now: f64 = ago(0.0).parse().unwrap();
    // To the second: two processes are not there at the same time.
    let past = if (now - at).abs() < 5.0 { json!("now") } else { record["opened_at"].clone() };
    record["opened_at"] = past;
    record
}

#[test]
fn what_the_package_reads_is_read_the_same() {
    let server = Server::start(Engine::Redis);
    let keys = Keys::new(&server, "svc é");
    let args = ["--threshold", "2", "--ttl", "30"];
    let [mut python, mut rust] =
        [Language::Python, Language::Rust].map(|one| one.peer(&server, "svc é", &args));
    assert_eq!(results(&mut rust, "register"), ["registered"]);
    for (number, (record, counter)) in READABLE.iter().enumerate() {
        let record = record.replace("NOW", &ago(0.5)).replace("BEFORE", &ago(3600.0));
        for action in ["ok", "fail", "excluded"] {
            let told = format!("{number}: {action} with {record} and {counter:?}");
            let [there, here] = [&mut python, &mut rust].map(|peer| {
                keys.set(Some(&record), *counter);
                let answer = peer.action(action);
                (answer["results"].clone(), answer["error"].clone(), keys.get())
            });
            if there.1.as_str().is_some_and(|error| error.starts_with("ResponseError")) {
                // What it reads in the counter the server cannot increment. That fails no call here.
                assert_eq!((&here.0, &here.1), (&json!(["failed"]), &json!(null)), "{told}");
                assert_eq!(python.action("register")["error"], json!(null), "{told}");
                continue;
            }
            assert_eq!((&here.0, &here.1), (&there.0, &there.1), "{told}");
            let (records, counters) = ([&here.2.0, &there.2.0], [&here.2.1, &there.2.1]);
            // The package begins to count at nothing in a counter that is not there, whatever it went by
            // instead; here a failure more is one more.
            if !(action == "fail" && counter.is_none() && record.contains("failure_count")) {
                assert_eq!(counters[0], counters[1], "{told}");
            }
            let [ours, theirs] = records.map(comparable);
            assert_eq!(ours, theirs, "{told}");
            // Whatever it was, the other reads what we have made of it.
            assert_eq!(python.action("register")["error"], json!(null), "{told}");
        }
    }
}

/// Records that the package cannot read, and what it says to them.
const UNUSABLE: [(&str, Option<&str>, &str); 14] = [
    (
        r#"{"name": "svc", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null, "x": 1}"#,
        None,
        "TypeError",
    ),
    (r#"{"threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#, None, "TypeError"),
    (r#"{"name": "svc", "ttl": 30, "state": "closed", "opened_at": null}"#, None, "TypeError"),
    (r#"{"name": "svc", "threshold": 2, "state": "closed", "opened_at": null}"#, None, "TypeError"),
    (r#"{"state": "opened", "opened_at": 1795437695.967202}"#, None, "TypeError"),
    (
        r#"{"name": "svc", "threshold": 2, "ttl": 30, "state": "opened", "opened_at": "1"}"#,
        None,
        "TypeError",
    ),
    (
        r#"{"name": "svc", "threshold": 2, "ttl": "30", "state": "opened", "opened_at": 1}"#,
        None,
        "TypeError",
    ),
    (
        r#"{"name": "svc", "threshold": "2", "ttl": 30, "state": "closed", "opened_at": null}"#,
        None,
        "TypeError",
    ),
    ("[1, 2]", None, "TypeError"),
    ("7", None, "TypeError"),
    ("no JSON", None, "JSONDecodeError"),
    (" ", None, "JSONDecodeError"),
    (
        r#"{"name": "svc", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#,
        Some("2.0"),
        "ValueError",
    ),
    (
        r#"{"name": "svc", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#,
        Some("two"),
        "ValueError",
    ),
];

const GOOD: &str =
    r#"{"name": "svc", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#;

#[test]
fn what_the_package_cannot_read_is_left_alone() {
    let server = Server::start(Engine::Redis);
    let keys = Keys::new(&server, "svc");
    let mut python = Language::Python.peer(&server, "svc", &[]);
    // One after the other: each time it comes back, and has to leave again.
    let process = Inside::patient(&server.url(), "svc", [2, 30_000], Consistency::Strict).joined();
    for (record, counter, error) in UNUSABLE {
        keys.set(Some(record), counter);
        let answer = python.action("fail");
        assert!(answer["error"].as_str().is_some_and(|text| text.starts_with(error)), "{answer}");
        let stored = keys.get();
        left_alone(&process, record);
        assert_eq!(keys.get(), stored, "nothing is overwritten");

        // Somebody has put it right.
        keys.set(Some(GOOD), None);
        wait_until("it to be shared again", PATIENCE, || {
            process.breaker.snapshot().shared.is_some_and(|shared| shared.in_sync)
        });
        // What it saw meanwhile is told, as after an outage.
        process.factory.flush(PATIENCE).expect("the server answers");
        assert_eq!(results(&mut python, "ok"), ["rejected"]);
        process.breaker.reset();
        process.factory.flush(PATIENCE).expect("the server answers");
        assert_eq!(results(&mut python, "ok"), ["ok"]);
        assert_eq!(process.call(true), "ok");
        process.log.take();
    }
}

#[test]
fn a_key_of_another_type_is_left_alone() {
    let server = Server::start(Engine::Redis);
    for (number, taken) in ["cbr::svc", "cbr::svc::failure_count"].iter().enumerate() {
        let process =
            Inside::patient(&server.url(), "svc", [2, 30_000], Consistency::Strict).joined();
        server.command(&["DEL", taken]);
        server.command(&["RPUSH", taken, "a", "b"]);
        left_alone(&process, taken);
        assert_eq!(server.ask::<Vec<String>>(&["LRANGE", taken, "0", "-1"]), ["a", "b"]);
        // Nor is what is right beside it.
        assert_eq!(server.ask::<usize>(&["EXISTS", "cbr::svc"]), 1);
        assert_eq!(server.ask::<usize>(&["EXISTS", "cbr::svc::failure_count"]), number);
        server.command(&["FLUSHALL"]);
    }
    // The counter of one circuit would be the record of the other.
    let name = "svc::failure_count";
    let process = Inside::patient(&server.url(), name, [2, 30_000], Consistency::Strict);
    wait_until("it to hear of that", PATIENCE, || {
        process.log.lines().iter().any(|line| line == "storage_refused")
    });
    assert_eq!(process.call(true), "ok");
    assert_eq!(server.ask::<Vec<String>>(&["KEYS", "cbr::*"]), [""; 0]);
}

/// Makes calls until the circuit is open in this process, with one event that says why it is alone.
#[track_caller]
fn left_alone(process: &Inside, what: &str) {
    assert_eq!(process.call(true), "ok", "{what}");
    let called = [(); 3].map(|()| process.call(false));
    assert_eq!(called, ["failed", "failed", "rejected"], "{what}");
    assert_eq!(process.breaker.state(), State::Open, "{what}");
    assert!(!process.breaker.snapshot().shared.expect("it has a storage").in_sync);
    let mut told = Vec::new();
    // An event is told after the call that it is about may have ended.
    wait_until("the event", PATIENCE, || {
        told.extend(process.log.lines());
        told.iter().any(|line| line == "storage_refused")
    });
    let refused = told.iter().filter(|line| *line == "storage_refused").count();
    assert_eq!(refused, 1, "{what}: {told:?}");
    assert!(!told.iter().any(|line| line == "storage_down"), "{what}: {told:?}");
}
