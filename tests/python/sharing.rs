//! Circuits that processes of both languages use in turn.

use std::time::Instant;

use purgatory_tests::servers::{Engine, Peer, Server, wait_until};
use serde_json::json;

use crate::fleet::{BOTH_WAYS, Keys, Language, PATIENCE, results};

/// Waits until a call is admitted, with nothing in between.
fn probe(peer: &mut Peer, action: &str, result: &str) {
    wait_until("the ttl to pass", PATIENCE, || results(peer, action) == [result]);
}

mod failures_of_both_are_added_up {
    use super::*;

    #[test]
    fn redis() {
        added_up(Engine::Redis);
    }

    #[test]
    fn valkey() {
        added_up(Engine::Valkey);
    }
}

fn added_up(engine: Engine) {
    for languages in BOTH_WAYS {
        let server = Server::start(engine);
        let name = "a b/é \"x\"";
        let keys = Keys::new(&server, name);
        let args = ["--threshold", "4", "--ttl", "0.4"];
        let [mut one, mut other] = languages.map(|one| one.peer(&server, name, &args));
        // A process of ours does not wait for its server at the start.
        for peer in [&mut one, &mut other] {
            assert_eq!(results(peer, "register"), ["registered"]);
        }
        let counter = || keys.get().1;

        for (turn, count) in ["1", "2"].iter().enumerate() {
            let peer = if turn == 0 { &mut one } else { &mut other };
            assert_eq!(results(peer, "fail"), ["failed"]);
            assert_eq!(counter().as_deref(), Some(*count));
        }
        // What ends the row for one ends it for the other.
        for ends in ["ok", "excluded"] {
            assert_eq!(results(&mut one, ends), [ends]);
            assert_eq!(counter().as_deref(), Some("0"));
            assert_eq!(results(&mut other, "fail:2"), ["failed"; 2]);
            assert_eq!(counter().as_deref(), Some("2"));
        }
        assert_eq!(results(&mut one, "fail"), ["failed"]);
        let last = other.action("fail");
        let kinds: Vec<_> = last["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| (event["kind"].as_str().unwrap(), event["failure_count"].as_u64()))
            .collect();
        assert_eq!(kinds, [("failed", Some(4)), ("state_changed", None)], "{languages:?}");
        assert_eq!(counter().as_deref(), Some("4"));
        assert_eq!(keys.read()["state"], "opened");
        // Seen at the next call.
        assert_eq!(results(&mut one, "ok"), ["rejected"]);
        assert_eq!(results(&mut other, "ok"), ["rejected"]);

        // A probe that fails, and one that does not, by the other one and by this.
        probe(&mut one, "fail", "failed");
        assert_eq!(results(&mut other, "ok"), ["rejected"]);
        assert_eq!(
            (keys.read()["state"].clone(), counter().as_deref()),
            (json!("opened"), Some("4"))
        );
        probe(&mut other, "fail", "failed");
        assert_eq!(results(&mut one, "fail"), ["rejected"]);
        probe(&mut other, "ok", "ok");
        assert_eq!(
            (keys.read()["state"].clone(), counter().as_deref()),
            (json!("closed"), Some("0"))
        );
        assert_eq!(results(&mut one, "fail:3"), ["failed"; 3]);
        assert_eq!(results(&mut other, "ok"), ["ok"]);
        assert_eq!(
            results(&mut one, "fail:5"),
            ["failed", "failed", "failed", "failed", "rejected"]
        );
        probe(&mut one, "excluded", "excluded");
        assert_eq!(results(&mut other, "ok:3"), ["ok"; 3]);
    }
}

/// Calls that began before something happened elsewhere.
#[test]
fn calls_of_both_overlap() {
    for languages in BOTH_WAYS {
        let server = Server::start(Engine::Redis);
        let keys = Keys::new(&server, "svc");
        let args = ["--threshold", "2", "--ttl", "0.3"];
        let [mut one, mut other] = languages.map(|one| one.peer(&server, "svc", &args));
        for peer in [&mut one, &mut other] {
            assert_eq!(results(peer, "register"), ["registered"]);
        }
        // Both fail, each with the other's call under way.
        assert_eq!(results(&mut one, "begin:a"), ["permitted"]);
        assert_eq!(results(&mut other, "begin:a"), ["permitted"]);
        assert_eq!(results(&mut one, "end-fail:a"), ["ended"]);
        assert_eq!(results(&mut other, "end-fail:a"), ["ended"]);
        assert_eq!(keys.get().1.as_deref(), Some("2"));
        // Python decides by what it saw when the call began; then it takes one more.
        if keys.read()["state"] == "closed" {
            assert_eq!(languages[1], Language::Python);
            assert_eq!(results(&mut one, "fail"), ["failed"]);
        }
        assert_eq!(keys.read()["state"], "opened");
        assert_eq!(results(&mut other, "ok"), ["rejected"]);
        // Two probes at the same time: the limit is each process's.
        let deadline = Instant::now() + PATIENCE;
        while results(&mut one, "begin:b") == ["rejected"] {
            assert!(Instant::now() < deadline);
        }
        assert_eq!(results(&mut other, "begin:b"), ["permitted"]);
        assert_eq!(results(&mut one, "end-fail:b"), ["ended"]);
        assert_eq!(keys.read()["state"], "opened");
        assert_eq!(results(&mut other, "end-ok:b"), ["ended"]);
        // The last word is that of who ended last, unless a process of ours saw that it comes too late.
        let state = keys.read()["state"].clone();
        let late = languages[1] == Language::Rust;
        assert_eq!(state, if late { "opened" } else { "closed" }, "{languages:?}");
        for peer in [&mut one, &mut other] {
            assert_eq!(peer.action("state")["error"], json!(null));
        }
    }
}
