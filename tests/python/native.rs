//! Two processes of this crate in its own layout, driven by the same protocol.

use purgatory_tests::servers::{Engine, Peer, Server, wait_until};
use serde_json::json;

use crate::fleet::{PATIENCE, redis_peer, results};

mod two_processes_share_a_circuit_in_the_native_layout {
    use super::*;

    #[test]
    fn redis() {
        shared(Engine::Redis);
    }

    #[test]
    fn valkey() {
        shared(Engine::Valkey);
    }
}

/// Waits until a process has heard what another one did: nothing is read at a call here.
#[track_caller]
fn hears(peer: &mut Peer, action: &str, result: &str) {
    wait_until("it to hear", PATIENCE, || results(peer, action) == [result]);
}

fn shared(engine: Engine) {
    let server = Server::start(engine);
    let args = ["--threshold", "3", "--ttl", "0.5", "--layout", "native"];
    let start = || Peer::start(redis_peer(), &server.url(), "svc é", &args);
    let (mut one, mut other) = (start(), start());
    for peer in [&mut one, &mut other] {
        assert_eq!(results(peer, "register"), ["registered"]);
    }
    assert_eq!(one.action("state")["state"], json!(null), "nothing has failed");

    // Failures of both, the last by the one that has fewer.
    assert_eq!(results(&mut one, "fail:2"), ["failed"; 2]);
    assert_eq!(other.action("state")["failure_count"], 2);
    assert_eq!(results(&mut other, "fail"), ["failed"]);
    assert_eq!(other.action("state")["state"], "opened");
    hears(&mut one, "ok", "rejected");

    // A probe that fails opens it anew for both, and one that succeeds closes it.
    hears(&mut one, "begin:probe", "permitted");
    assert_eq!(one.action("state")["state"], "half-opened");
    hears(&mut other, "ok", "rejected");
    assert_eq!(results(&mut one, "end-fail:probe"), ["ended"]);
    assert_eq!(other.action("state")["state"], "opened");
    hears(&mut other, "begin:probe", "permitted");
    assert_eq!(results(&mut one, "ok"), ["rejected"], "there is one for both");
    assert_eq!(results(&mut other, "end-ok:probe"), ["ended"]);
    assert_eq!(one.action("state")["state"], "closed");
    hears(&mut one, "ok", "ok");
    assert_eq!(results(&mut other, "ok"), ["ok"]);
    assert_eq!(one.action("state")["failure_count"], 0);
}
