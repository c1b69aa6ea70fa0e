//! Other processes, in Python and in whatever language.

use std::process::Command;
use std::thread;
use std::time::Duration;

use purgatory_tests::servers::{Engine, Peer, Server, wait_until};
use serde_json::{Value, json};

use crate::with_each_engine;

with_each_engine! {
    two_python_peers_share_a_circuit
    a_python_peer_tells_of_a_server_that_is_gone
}

/// What was stored, as the bytes are.
fn stored(server: &Server, key: &str) -> Option<String> {
    server.ask(&["GET", key])
}

fn two_python_peers_share_a_circuit(engine: Engine) {
    let server = Server::start(engine);
    let start = || Peer::python(&server.url(), "svc é", &["--threshold", "3", "--ttl", "0.4"]);
    let (mut one, mut other) = (start(), start());
    let created = json!({
        "circuit": "svc é", "kind": "circuit_breaker_created", "threshold": 3, "ttl": 0.4,
    });

    assert_eq!(one.action("state"), json!({ "action": "state", "state": null, "events": [] }));
    assert_eq!(
        one.action("register"),
        json!({ "action": "register", "results": ["registered"], "events": [created] })
    );
    let record = |state: &str, opened_at: &str| {
        format!(
            r#"{{"name": "svc \u00e9", "threshold": 3, "ttl": 0.4, "state": "{state}", "opened_at": {opened_at}}}"#
        )
    };
    let key = "cbr::svc é";
    let counter = "cbr::svc é::failure_count";
    assert_eq!(stored(&server, key), Some(record("closed", "null")));
    assert_eq!(stored(&server, counter), None);

    assert_eq!(
        other.action("fail:2"),
        json!({
            "action": "fail:2", "results": ["failed", "failed"], "permitted": 2, "rejected": 0,
            "events": [
                { "circuit": "svc é", "kind": "failed", "failure_count": 1 },
                { "circuit": "svc é", "kind": "failed", "failure_count": 2 },
            ],
        })
    );
    assert_eq!(stored(&server, counter).as_deref(), Some("2"));
    let opens = one.action("fail:2");
    assert_eq!(opens["results"], json!(["failed", "rejected"]));
    assert_eq!((&opens["permitted"], &opens["rejected"]), (&json!(1), &json!(1)));
    assert_eq!(opens["events"][1]["state"], "opened");

    // Another process rejects what it never saw fail, until the time is over.
    assert_eq!(other.action("ok")["results"], json!(["rejected"]));
    let opened_at = &opens["events"][1]["opened_at"];
    let raw = other.action("raw");
    assert_eq!(raw["key"], key);
    let value = raw["value"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(value).unwrap()["opened_at"], *opened_at);
    // The number as it is written: to read and write it in between may change its last digit.
    let (_, written) = value.rsplit_once(' ').unwrap();
    assert_eq!(value, record("opened", written.trim_end_matches('}')));
    assert_eq!((&raw["counter"], &raw["pttl"]), (&json!("3"), &json!(-1)));
    let state = other.action("state");
    assert_eq!((&state["state"], &state["failure_count"]), (&json!("opened"), &json!(3)));
    assert_eq!(state["opened_at"], *opened_at);
    assert_eq!((&state["threshold"], &state["ttl"]), (&json!(3), &json!(0.4)));

    let mut events = Vec::new();
    wait_until("the circuit to admit a probe", Duration::from_secs(10), || {
        let answer = other.action("excluded");
        events.extend(answer["events"].as_array().unwrap().clone());
        answer["results"] == json!(["excluded"])
    });
    let kinds: Vec<_> = events.iter().map(|event| (&event["kind"], &event["state"])).collect();
    let (changed, recovered) = (json!("state_changed"), json!("recovered"));
    assert_eq!(
        kinds,
        [
            (&changed, &json!("half-opened")),
            (&recovered, &Value::Null),
            (&changed, &json!("closed")),
        ]
    );
    assert_eq!(stored(&server, key), Some(record("closed", "null")));
    assert_eq!(stored(&server, counter).as_deref(), Some("0"));
}

fn a_python_peer_tells_of_a_server_that_is_gone(engine: Engine) {
    let server = Server::start(engine);
    let mut peer = Peer::python(&server.url(), "svc", &["ok"]);
    assert_eq!(peer.answer()["results"], json!(["ok"]));
    server.kill();
    assert!(peer.action("fail")["error"].as_str().unwrap().starts_with("ConnectionError: "));
    server.restart();
    wait_until("a new connection", Duration::from_secs(10), || {
        peer.action("ok")["error"].is_null()
    });
}

#[test]
fn a_python_peer_has_calls_that_last() {
    let server = Server::start(Engine::Redis);
    let mut peer = Peer::python(&server.url(), "svc", &["--threshold", "1"]);
    let mut results = |action: &str| peer.action(action)["results"].clone();
    assert_eq!(results("begin:a"), json!(["permitted"]));
    assert_eq!(results("begin:b"), json!(["permitted"]));
    assert_eq!(results("end-excluded:a"), json!(["ended"]));
    assert_eq!(results("ok:2@0.01"), json!(["ok", "ok"]));
    assert_eq!(results("end-fail:b"), json!(["ended"]));
    assert_eq!(results("begin:c"), json!(["rejected"]));
    assert_eq!(peer.action("sleep:0.01"), json!({ "action": "sleep:0.01", "events": [] }));
    assert_eq!(peer.action("jump")["error"], "ValueError: no such action");
    assert_eq!(peer.action("state")["state"], "opened");
}

#[test]
fn an_answer_can_be_waited_for_later() {
    let server = Server::start(Engine::Redis);
    let mut peers = [(); 2].map(|()| Peer::python(&server.url(), "svc", &[]));
    for peer in &mut peers {
        peer.send("ok:1@0.1");
    }
    for peer in &mut peers {
        assert_eq!(peer.answer()["permitted"], 1);
    }
}

#[test]
fn a_peer_is_any_program() {
    let mut program = Command::new("sh");
    program.args(["-c", r#"echo "{\"args\": \"$*\"}"; while read -r a; do echo "\"$a\""; done"#]);
    program.arg("sh");
    let mut peer = Peer::start(program, "redis://nowhere/", "svc", &["--threshold", "1", "ok"]);
    let args = "--url redis://nowhere/ --circuit svc --threshold 1 ok --stdin";
    assert_eq!(peer.answer(), json!({ "args": args }));
    assert_eq!(peer.action("fail:3"), "fail:3");
    peer.kill();
    let gone = thread::spawn(move || peer.action("ok")).join();
    assert!(gone.is_err());
}
