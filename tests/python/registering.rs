//! Circuits that one language makes known to the other.

use purgatory_tests::servers::{Engine, Server};
use serde_json::json;

use crate::fleet::{BOTH_WAYS, Keys, Language, PATIENCE, record, results, without_time};

#[test]
fn the_limits_of_who_registers_first_are_in_force() {
    for languages in BOTH_WAYS {
        let server = Server::start(Engine::Redis);
        let [first, second] = languages;
        let mut first = first.peer(&server, "svc", &["--threshold", "3", "--ttl", "0.4"]);
        let created = json!([{
            "circuit": "svc", "kind": "circuit_breaker_created", "threshold": 3, "ttl": 0.4,
        }]);
        assert_eq!(first.action("register")["events"], created);
        let keys = Keys::new(&server, "svc");
        let registered = record("svc", ["3", "0.4"], "closed", "null");
        assert_eq!(keys.get(), (Some(registered.clone()), None));

        let mut second = second.peer(&server, "svc", &["--threshold", "1", "--ttl", "3600"]);
        assert_eq!(results(&mut second, "register"), ["registered"]);
        assert_eq!(keys.get(), (Some(registered), None), "that changes nothing");
        assert_eq!(results(&mut second, "fail:2"), ["failed"; 2], "not at one failure");
        assert_eq!(results(&mut second, "fail:2"), ["failed", "rejected"], "but at three");
        let (stored, _) = without_time(&keys.get());
        let opened = record("svc", ["3", "0.4"], "opened", "T");
        assert_eq!(stored, (Some(opened), Some("3".to_owned())));
        for peer in [&mut first, &mut second] {
            let state = peer.action("state");
            assert_eq!((&state["threshold"], &state["ttl"]), (&json!(3), &json!(0.4)));
        }
        // Not after an hour.
        purgatory_tests::servers::wait_until("the ttl to pass", PATIENCE, || {
            results(&mut second, "ok") == ["ok"]
        });
    }
}

/// The package does not touch it, and it counts.
#[test]
fn a_counter_that_was_left_over_goes_on() {
    for languages in BOTH_WAYS {
        let server = Server::start(Engine::Redis);
        let keys = Keys::new(&server, "svc");
        let args = ["--threshold", "4", "--ttl", "30"];
        let [mut one, mut other] = languages.map(|one| one.peer(&server, "svc", &args));
        keys.set(None, Some("2"));
        assert_eq!(results(&mut one, "register"), ["registered"]);
        let registered = record("svc", ["4", "30"], "closed", "null");
        assert_eq!(keys.get(), (Some(registered), Some("2".to_owned())));
        assert_eq!(results(&mut other, "register"), ["registered"]);
        assert_eq!(results(&mut other, "fail"), ["failed"]);
        assert_eq!(results(&mut one, "fail:2"), ["failed", "rejected"], "{languages:?}");
    }
}

#[test]
fn records_are_the_same_to_the_byte() {
    let long = "ü".repeat(127);
    let names = ["svc", "a b/c:d", "é ✓ \"q\"", "\\ 'x' {y}", "😀 \u{2028}", "::failure", &long];
    let limits = [["5", "30"], ["1", "0.4"], ["4000000000", "1e-06"], ["3", "86400"]];
    let cases = names.map(|name| (name, limits[0])).into_iter();
    let cases = cases.chain(limits.map(|limits| ("svc", limits)));
    for (name, [threshold, ttl]) in cases {
        let [python, rust] = [Language::Python, Language::Rust].map(|language| {
            let server = Server::start(Engine::Redis);
            let keys = Keys::new(&server, name);
            let mut peer = language.peer(&server, name, &["--threshold", threshold, "--ttl", ttl]);
            assert_eq!(results(&mut peer, "register"), ["registered"]);
            let registered = keys.get();
            let raw = peer.action("raw");
            assert_eq!((&raw["key"], &raw["pttl"]), (&json!(keys.record), &json!(-1)));
            assert_eq!((&raw["value"], &raw["counter"]), (&json!(registered.0), &json!(null)));
            if threshold == "4000000000" {
                return vec![registered];
            }
            assert_eq!(results(&mut peer, &format!("fail:{threshold}")).last().unwrap(), "failed");
            let opened = keys.get();
            // The longest that a time of day is written with.
            let (_, time) = opened.0.as_ref().unwrap().rsplit_once(' ').unwrap();
            let time = time.trim_end_matches('}');
            assert_eq!(time.find('.'), Some(10), "{time}");
            vec![registered, without_time(&opened).0]
        });
        assert_eq!(python, rust, "{name}, {threshold}, {ttl}");
    }
}
