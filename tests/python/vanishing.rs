//! Keys that vanish while a call is under way.

use purgatory_tests::servers::{Engine, Peer, Server};
use serde_json::{Value, json};

use crate::fleet::{Keys, Language, ago, record, results};

/// What there is when a call begins: the state, whether the ttl has passed, and the counter.
const BEFORE: [(&str, Option<&str>); 5] = [
    ("closed", None),
    ("closed", Some("1")),
    ("closed", Some("2")),
    ("opened", Some("3")),
    ("half-opened", Some("3")),
];

/// What the package reads without an error.
#[track_caller]
fn readable(keys: &Keys<'_>, python: &mut Peer, told: &str) {
    let (record, counter) = keys.get();
    if let Some(record) = record {
        let record: Value = serde_json::from_str(&record).expect("it is JSON");
        let fields: Vec<_> = record.as_object().expect("it has fields").keys().collect();
        // In the order of the alphabet.
        assert_eq!(fields, ["name", "opened_at", "state", "threshold", "ttl"], "{told}");
        let opened = record["state"] == "opened";
        assert_eq!(record["opened_at"].is_number(), opened, "{told}: {record}");
    }
    assert!(counter.is_none_or(|counter| counter.parse::<u32>().is_ok()), "{told}");
    for action in ["state", "register"] {
        assert_eq!(python.action(action)["error"], json!(null), "{told}");
    }
}

#[test]
fn what_vanishes_during_a_call_of_ours_is_written_whole_or_not_at_all() {
    let server = Server::start(Engine::Redis);
    let keys = Keys::new(&server, "svc");
    let args = ["--threshold", "3", "--ttl", "30"];
    let mut rust = Language::Rust.peer(&server, "svc", &args);
    let mut python = Language::Python.peer(&server, "svc", &args);
    // A process of ours does not wait for its server at the start.
    assert_eq!(results(&mut rust, "register"), ["registered"]);
    for (state, counter) in BEFORE {
        for vanishing in [&[&keys.record][..], &[&keys.counter], &[&keys.record, &keys.counter]] {
            for end in ["ok", "fail", "excluded"] {
                let told = format!("{state}, {counter:?}: {vanishing:?} and then {end}");
                let opened_at = if state == "opened" { ago(60.0) } else { "null".to_owned() };
                keys.set(Some(&record("svc", ["3", "30"], state, &opened_at)), counter);
                assert_eq!(results(&mut rust, "begin:a"), ["permitted"], "{told}");
                for key in vanishing {
                    server.command(&["DEL", key]);
                }
                let ended = rust.action(&format!("end-{end}:a"));
                assert_eq!(ended["results"], json!(["ended"]), "{told}: {ended}");
                readable(&keys, &mut python, &told);
                // And it goes on with both.
                assert_eq!(rust.action("ok")["error"], json!(null), "{told}");
                assert!(keys.get().0.is_some(), "{told}: the circuit is not shared any more");
                assert_eq!(python.action("ok")["error"], json!(null), "{told}");
                readable(&keys, &mut python, &told);
            }
        }
    }
}

/// The package itself leaves two fields, which it cannot read; that is nothing that a process of ours fails
/// for, or mends.
#[test]
fn what_vanishes_during_a_call_of_pythons_is_left_as_it_is() {
    let server = Server::start(Engine::Redis);
    let keys = Keys::new(&server, "svc");
    let args = ["--threshold", "1", "--ttl", "30"];
    let mut python = Language::Python.peer(&server, "svc", &args);
    let mut rust = Language::Rust.peer(&server, "svc", &args);
    assert_eq!(results(&mut rust, "ok"), ["ok"]);
    assert_eq!(results(&mut python, "begin:a"), ["permitted"]);
    server.command(&["DEL", &keys.record]);
    assert_eq!(results(&mut python, "end-fail:a"), ["ended"]);
    let broken = keys.get();
    assert_eq!(keys.read().as_object().unwrap().len(), 2);
    assert!(python.action("ok")["error"].as_str().unwrap().starts_with("TypeError"));
    assert_eq!(results(&mut rust, "ok:2"), ["ok"; 2]);
    assert_eq!(results(&mut rust, "fail:2"), ["failed", "rejected"]);
    assert_eq!(keys.get(), broken);
    // Until somebody removes it.
    keys.set(None, None);
    assert_eq!(results(&mut python, "fail:2"), ["failed", "rejected"]);
    let deadline = std::time::Instant::now() + crate::fleet::PATIENCE;
    while rust.action("state")["state"] != "opened" || results(&mut rust, "ok") != ["rejected"] {
        assert!(std::time::Instant::now() < deadline);
    }
}

/// A server that begins again with nothing, between calls.
#[test]
fn a_flushed_server_is_registered_at_again() {
    for languages in crate::fleet::BOTH_WAYS {
        let server = Server::start(Engine::Redis);
        let keys = Keys::new(&server, "svc");
        let args = ["--threshold", "2", "--ttl", "30"];
        let [mut one, mut other] = languages.map(|one| one.peer(&server, "svc", &args));
        for peer in [&mut one, &mut other] {
            assert_eq!(results(peer, "register"), ["registered"]);
        }
        for peer in [&mut one, &mut other] {
            assert_eq!(results(peer, "fail"), ["failed"]);
            server.command(&["FLUSHALL"]);
            assert_eq!(results(peer, "ok"), ["ok"], "{languages:?}");
            assert_eq!(keys.get().0, Some(record("svc", ["2", "30"], "closed", "null")));
        }
        assert_eq!(results(&mut one, "fail"), ["failed"]);
        assert_eq!(results(&mut other, "fail:2"), ["failed", "rejected"], "{languages:?}");
    }
}
