//! Many processes of both languages at once.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use purgatory_tests::servers::{Engine, Peer, Server};
use serde_json::{Value, json};

use crate::fleet::{Keys, Language, results};

fn peers(server: &Server, args: &[&str]) -> Vec<(Language, Peer)> {
    let languages = [Language::Python, Language::Rust, Language::Python, Language::Rust];
    let mut peers = languages.map(|language| (language, language.peer(server, "svc", args)));
    // Else some would be done before the others have started.
    for (_, peer) in &mut peers {
        assert_eq!(results(peer, "register"), ["registered"]);
    }
    peers.into()
}

mod no_failure_of_a_storm_is_lost {
    use super::*;

    #[test]
    fn redis() {
        failures(Engine::Redis);
    }

    #[test]
    fn valkey() {
        failures(Engine::Valkey);
    }
}

fn failures(engine: Engine) {
    const EACH: u64 = 400;
    let server = Server::start(engine);
    let keys = Keys::new(&server, "svc");
    let mut peers = peers(&server, &["--threshold", "100000", "--ttl", "30"]);
    for (_, peer) in &mut peers {
        peer.send(&format!("fail:{EACH}"));
    }
    for (language, peer) in &mut peers {
        let answer = peer.answer();
        assert_eq!(answer["permitted"], json!(EACH), "{language:?}: {}", answer["error"]);
    }
    // Both add, whatever the other does meanwhile.
    assert_eq!(keys.get().1, Some((4 * EACH).to_string()));
    assert_eq!(keys.read()["state"], "closed");
}

#[test]
fn every_reader_understands_what_is_there_in_a_storm() {
    let server = Server::start(Engine::Redis);
    let keys = Keys::new(&server, "svc");
    let args = ["--threshold", "3", "--ttl", "0.02"];
    let mut peers = peers(&server, &args);
    let mut reader = Language::Python.peer(&server, "svc", &args);
    // In another order in each process, so that every kind of call meets every other.
    let actions = [
        "fail:4",
        "ok:4@0.005",
        "begin:a",
        "fail",
        "end-ok:a",
        "excluded:4@0.005",
        "begin:b",
        "fail:1@0.01",
        "end-fail:b",
        "ok:4@0.005",
        "sleep:0.02",
        "fail:5",
        "register",
    ];
    const ROUNDS: usize = 12;
    for (start, (_, peer)) in peers.iter_mut().enumerate() {
        for _ in 0..ROUNDS {
            let turned = 3 * start;
            for action in actions[turned..].iter().chain(&actions[..turned]) {
                peer.send(action);
            }
        }
    }
    let (ended, states) = (AtomicBool::new(false), Mutex::new([0_u32; 3]));
    let fails = thread::scope(|threads| {
        threads.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                look(&mut reader, &mut states.lock().unwrap());
            }
        });
        // Also when this panics: the reader would go on for ever.
        let _end = Ends(&ended);
        let mut fails = 0;
        let mut seen = BTreeSet::new();
        for (language, peer) in &mut peers {
            for _ in 0..ROUNDS * actions.len() {
                let answer = peer.answer();
                let error = answer["error"].as_str().unwrap_or_default();
                // A call that was rejected, or has not begun.
                let no_such_call =
                    error.starts_with("no such call") || error.starts_with("KeyError");
                assert!(error.is_empty() || no_such_call, "{language:?}: {answer}");
                for event in answer["events"].as_array().expect("a list") {
                    let state = event["state"].as_str().unwrap_or_default();
                    seen.insert((*language == Language::Rust, state.to_owned()));
                }
                let all = answer["results"].as_array();
                fails += all.into_iter().flatten().filter(|&result| result == "failed").count();
            }
        }
        for rust in [false, true] {
            for state in ["opened", "half-opened", "closed"] {
                assert!(seen.contains(&(rust, state.to_owned())), "all met: {seen:?}");
            }
        }
        fails
    });
    let states = states.into_inner().unwrap();
    let record = keys.read();
    assert_eq!(record.as_object().unwrap().len(), 5, "{record}");
    assert_eq!((&record["name"], &record["threshold"]), (&json!("svc"), &json!(3)));
    let counter = keys.get().1.expect("there were failures");
    assert!(counter.parse::<usize>().is_ok_and(|counter| counter <= fails), "{counter}");
    println!("{fails} failures; closed, opened and half-opened when looked at: {states:?}");
    // Each goes on with what all have left.
    for (language, peer) in &mut peers {
        assert_eq!(peer.action("sleep:0.03")["error"], json!(null));
        assert_eq!(peer.action("ok")["results"], json!(["ok"]), "{language:?}");
    }
    assert_eq!(reader.action("state")["state"], "closed");
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn look(reader: &mut Peer, states: &mut [u32; 3]) {
    let state: Value = reader.action("state");
    let known = ["closed", "opened", "half-opened"];
    let at = known.iter().position(|known| state["state"] == *known);
    states[at.unwrap_or_else(|| panic!("{state}"))] += 1;
    assert!(state["failure_count"].as_u64().is_some(), "{state}");
    assert_eq!(state["opened_at"].is_number(), state["state"] == "opened", "{state}");
}
