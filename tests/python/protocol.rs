//! What the peer in Rust answers, field by field.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use purgatory_tests::servers::{Engine, Peer, Server, python};
use serde_json::{Value, json};

use crate::fleet::redis_peer;

const LAYOUTS: [&str; 2] = ["python", "native"];

fn peer(server: &Server, layout: &str, circuit: &str) -> Peer {
    let args = ["--threshold", "3", "--ttl", "0.4", "--layout", layout];
    Peer::start(redis_peer(), &server.url(), circuit, &args)
}

/// An answer, with a mark in place of a time.
#[track_caller]
fn answer(peer: &mut Peer, action: &str) -> Value {
    let mut answer = peer.action(action);
    assert_eq!(answer["action"], action);
    answer.as_object_mut().expect("it has fields").remove("action");
    let mark = |value: &mut Value| {
        if value["opened_at"].is_number() {
            value["opened_at"] = json!("T");
        }
    };
    answer["events"].as_array_mut().expect("a list").iter_mut().for_each(mark);
    mark(&mut answer);
    answer
}

#[test]
fn every_action_has_its_answer() {
    for layout in LAYOUTS {
        let server = Server::start(Engine::Redis);
        let name = "svc é/1";
        let key = if layout == "native" { "cb:{svc%20%C3%A9/1}" } else { "cbr::svc é/1" };
        let mut peer = peer(&server, layout, name);
        let event = |kind: &str, field: &str, value: Value| json!({ "circuit": name, "kind": kind, field: value });
        let failed = |count: u32| event("failed", "failure_count", json!(count));
        let changed = |state: &str| {
            let at = if state == "opened" { json!("T") } else { json!(null) };
            json!({ "circuit": name, "kind": "state_changed", "state": state, "opened_at": at })
        };
        let recovered = json!({ "circuit": name, "kind": "recovered" });
        let calls = |results: &[&str], events: Value| {
            let rejected = results.iter().filter(|&&result| result == "rejected").count();
            let permitted = results.len() - rejected;
            json!({
                "results": results, "permitted": permitted, "rejected": rejected, "events": events,
            })
        };

        assert_eq!(answer(&mut peer, "state"), json!({ "state": null, "events": [] }));
        let nothing =
            json!({ "key": key, "value": null, "counter": null, "pttl": -2, "events": [] });
        assert_eq!(answer(&mut peer, "raw"), nothing);
        assert_eq!(server.ask::<u32>(&["EXISTS", key]), 0, "that registers nothing");
        let created = json!([{
            "circuit": name, "kind": "circuit_breaker_created", "threshold": 3, "ttl": 0.4,
        }]);
        let registered = json!({ "results": ["registered"], "events": created });
        assert_eq!(answer(&mut peer, "register"), registered);
        assert_eq!(answer(&mut peer, "ok"), calls(&["ok"], json!([])));
        let failing = calls(&["failed", "failed"], json!([failed(1), failed(2)]));
        assert_eq!(answer(&mut peer, "fail:2@0.01"), failing);
        let state = |state: &str, count: u32, at: Value| {
            json!({
                "state": state, "failure_count": count, "opened_at": at, "threshold": 3,
                "ttl": 0.4, "events": [],
            })
        };
        assert_eq!(answer(&mut peer, "state"), state("closed", 2, json!(null)));
        assert_eq!(answer(&mut peer, "excluded"), calls(&["excluded"], json!([recovered])));
        assert_eq!(answer(&mut peer, "sleep:0.01"), json!({ "events": [] }));
        let begun = json!({ "results": ["permitted"], "events": [] });
        for label in ["a", "b", "c"] {
            assert_eq!(answer(&mut peer, &format!("begin:{label}")), begun);
        }
        for (end, events) in [
            ("fail:a", json!([failed(1)])),
            ("excluded:b", json!([recovered])),
            ("ok:c", json!([])),
        ] {
            let ended = json!({ "results": ["ended"], "events": events });
            assert_eq!(answer(&mut peer, &format!("end-{end}")), ended, "{layout}");
        }
        let opening = json!([failed(1), failed(2), failed(3), changed("opened")]);
        let results = ["failed", "failed", "failed", "rejected"];
        assert_eq!(answer(&mut peer, "fail:4"), calls(&results, opening));
        // A native record has no count of the failures that opened it.
        let count = if layout == "native" { 0 } else { 3 };
        assert_eq!(answer(&mut peer, "state"), state("opened", count, json!("T")));
        let rejected = json!({ "results": ["rejected"], "events": [] });
        assert_eq!(answer(&mut peer, "begin:d"), rejected);
        assert_eq!(answer(&mut peer, "sleep:0.45"), json!({ "events": [] }));
        let probed = json!([changed("half-opened"), recovered, changed("closed")]);
        assert_eq!(answer(&mut peer, "ok"), calls(&["ok"], probed), "{layout}");

        let raw = peer.action("raw");
        let stored: String = server.ask(&["GET", key]);
        assert_eq!((&raw["key"], &raw["value"]), (&json!(key), &json!(stored)));
        let (counter, expires) = (raw["counter"].as_str(), raw["pttl"].as_i64().unwrap());
        match layout {
            "native" => assert!(counter.is_none() && (1..=3_600_000).contains(&expires), "{raw}"),
            _ => assert_eq!((counter, expires), (Some("0"), -1)),
        }
        assert_eq!(raw.as_object().unwrap().len(), 6, "{raw}");
    }
}

#[test]
fn an_event_and_the_record_tell_the_same_time() {
    for layout in LAYOUTS {
        let server = Server::start(Engine::Redis);
        let mut peer = peer(&server, layout, "svc");
        let events = peer.action("fail:3")["events"].clone();
        let told = events.as_array().unwrap().last().unwrap()["opened_at"].as_f64().unwrap();
        let stored = peer.action("state")["opened_at"].as_f64().unwrap();
        assert!((told - stored).abs() < 0.05, "{layout}: told {told}, stored {stored}");
    }
}

#[test]
fn what_cannot_be_done_is_an_answer_too() {
    for layout in LAYOUTS {
        let server = Server::start(Engine::Redis);
        let mut peer = peer(&server, layout, "svc");
        for (action, error) in [
            ("jump", "no such action"),
            ("", "no such action"),
            ("end-ok:a", "no such call is running"),
            ("end-jump:a", "no such action"),
            ("ok:many", "invalid digit found in string"),
            ("ok:1@x", "invalid float literal"),
            ("sleep:-1", "cannot convert float seconds to Duration: value is negative"),
        ] {
            assert_eq!(answer(&mut peer, action), json!({ "error": error, "events": [] }));
        }
        assert_eq!(answer(&mut peer, "ok")["permitted"], 1);
    }
}

/// What the package would say of a record that it cannot read is an error here too.
#[test]
fn a_record_that_cannot_be_read_is_an_error() {
    let server = Server::start(Engine::Redis);
    let good =
        r#"{"name": "svc", "threshold": 2, "ttl": 30, "state": "closed", "opened_at": null}"#;
    for (record, counter) in [
        ("no JSON", "0"),
        ("[]", "0"),
        (r#"{"state": "opened", "opened_at": 1795437695.967202}"#, "0"),
        (good, "2.0"),
        (good, "two"),
    ] {
        server.command(&["SET", "cbr::svc", record]);
        server.command(&["SET", "cbr::svc::failure_count", counter]);
        let mut peers = [Peer::python(&server.url(), "svc", &[]), peer(&server, "python", "svc")];
        for peer in &mut peers {
            let answer = peer.action("state");
            assert!(answer["error"].is_string(), "{record}, {counter}: {answer}");
        }
    }
    server.command(&["SET", "cb:{svc}", "7 1 C 0"]);
    assert!(peer(&server, "native", "svc").action("state")["error"].is_string());
}

fn run(mut program: Command, url: &str, args: &[&str], stdin: &str) -> Output {
    program.args(["--url", url, "--circuit", "svc"]).args(args);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("it can be started");
    // It may end without having read it.
    let _ = child.stdin.take().expect("it is piped").write_all(stdin.as_bytes());
    child.wait_with_output().expect("it ends")
}

/// The actions, and whether each was an error.
fn done(output: &Output) -> Vec<(String, bool)> {
    let lines = String::from_utf8(output.stdout.clone()).expect("it is text");
    let answers = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    answers.map(|a| (a["action"].as_str().unwrap().to_owned(), a["error"].is_string())).collect()
}

#[test]
fn actions_come_from_the_command_line_and_then_from_the_input() {
    let server = Server::start(Engine::Redis);
    let done_of = |args: &[&str], stdin: &str| {
        let [there, here] =
            [python(), redis_peer()].map(|program| run(program, &server.url(), args, stdin));
        assert_eq!(done(&there), done(&here), "{args:?}");
        assert_eq!(there.status.code(), here.status.code(), "{args:?}");
        (done(&here), here.status.code())
    };
    let good = |actions: &[&str]| -> Vec<_> {
        actions.iter().map(|&action| (action.to_owned(), false)).collect()
    };
    let all = good(&["register", "ok:2", "fail", "state"]);
    assert_eq!(done_of(&["register", "ok:2", "--stdin"], "fail\nstate\n"), (all, Some(0)));
    // Without being told to, it does not read.
    assert_eq!(done_of(&["ok", "raw"], "fail\n"), (good(&["ok", "raw"]), Some(0)));
    assert_eq!(done_of(&[], "fail\n"), (Vec::new(), Some(0)));
    // An error does not end it, but shows in the end.
    let mut all = good(&["ok", "jump", "fail"]);
    all[1].1 = true;
    assert_eq!(done_of(&["ok", "--stdin"], "jump\nfail"), (all, Some(1)));
    // Nor does a server that is not there.
    server.kill();
    let (all, status) = done_of(&["register", "fail:2", "state", "raw"], "");
    assert!(all.iter().all(|(_, error)| *error), "{all:?}");
    assert_eq!((all.len(), status), (4, Some(1)));
}

#[test]
fn what_is_no_command_line_is_none() {
    for args in [&["--jump"][..], &["--threshold", "many"], &["--ttl"], &["--circuit", ""]] {
        let output = run(redis_peer(), "redis://localhost/", args, "");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{args:?}");
        assert!(!output.stderr.is_empty());
    }
}
