//! What one process leaves in the keys, and what one of the other language makes of it.

use purgatory_tests::servers::{Engine, Server};
use serde_json::json;

use crate::fleet::{BOTH_WAYS, Keys, Language, ago, record, results, without_time};

const CIRCUIT: &str = "svc";

const LIMITS: [&str; 2] = ["3", "30"];

/// When a circuit was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opened {
    Never,
    /// Its ttl has not passed.
    Lately,
    /// Its ttl has passed.
    Before,
    /// By the action.
    Now,
}

use Opened::{Before, Lately, Never, Now};

struct Row {
    before: Option<(&'static str, Opened)>,
    counter_before: Option<&'static str>,
    action: &'static str,
    result: &'static str,
    after: (&'static str, Opened),
    counter_after: Option<&'static str>,
}

const fn row(
    before: Option<(&'static str, Opened)>,
    counter_before: Option<&'static str>,
    action: &'static str,
    result: &'static str,
    after: (&'static str, Opened),
    counter_after: Option<&'static str>,
) -> Row {
    Row { before, counter_before, action, result, after, counter_after }
}

const CLOSED: (&str, Opened) = ("closed", Never);

/// What the package does, observed on the wire.
const ROWS: [Row; 20] = [
    // Obtaining the breaker.
    row(Some(CLOSED), None, "register", "registered", CLOSED, None),
    row(Some(CLOSED), Some("2"), "register", "registered", CLOSED, Some("2")),
    row(
        Some(("opened", Lately)),
        Some("3"),
        "register",
        "registered",
        ("opened", Lately),
        Some("3"),
    ),
    row(
        Some(("opened", Before)),
        Some("3"),
        "register",
        "registered",
        ("opened", Before),
        Some("3"),
    ),
    // A success, or an error that is excluded.
    row(None, None, "ok", "ok", CLOSED, None),
    row(Some(CLOSED), None, "ok", "ok", CLOSED, None),
    row(Some(CLOSED), Some("0"), "ok", "ok", CLOSED, Some("0")),
    row(Some(CLOSED), Some("2"), "ok", "ok", CLOSED, Some("0")),
    row(Some(CLOSED), None, "excluded", "excluded", CLOSED, None),
    row(Some(CLOSED), Some("2"), "excluded", "excluded", CLOSED, Some("0")),
    // A failure, below the threshold and at it.
    row(Some(CLOSED), None, "fail", "failed", CLOSED, Some("1")),
    row(Some(CLOSED), Some("1"), "fail", "failed", CLOSED, Some("2")),
    row(Some(CLOSED), Some("2"), "fail", "failed", ("opened", Now), Some("3")),
    // Rejected.
    row(Some(("opened", Lately)), Some("3"), "ok", "rejected", ("opened", Lately), Some("3")),
    // Probes.
    row(Some(("opened", Before)), Some("3"), "ok", "ok", CLOSED, Some("0")),
    row(Some(("opened", Before)), Some("3"), "excluded", "excluded", CLOSED, Some("0")),
    row(Some(("opened", Before)), Some("3"), "fail", "failed", ("opened", Now), Some("3")),
    // Another process has written that it probes.
    row(Some(("half-opened", Never)), Some("3"), "ok", "ok", CLOSED, Some("0")),
    row(Some(("half-opened", Never)), Some("3"), "excluded", "excluded", CLOSED, Some("0")),
    row(Some(("half-opened", Never)), Some("3"), "fail", "failed", ("opened", Now), Some("3")),
];

#[test]
fn what_one_language_writes_the_other_reads() {
    for languages in BOTH_WAYS {
        let server = Server::start(Engine::Redis);
        let keys = Keys::new(&server, CIRCUIT);
        let args = ["--threshold", LIMITS[0], "--ttl", LIMITS[1]];
        let [mut one, mut other] = languages.map(|one| one.peer(&server, CIRCUIT, &args));
        // A process of ours does not wait for its server at the start.
        for peer in [&mut one, &mut other] {
            assert_eq!(results(peer, "register"), ["registered"]);
        }
        for (number, row) in ROWS.iter().enumerate() {
            let told =
                format!("row {number}, {:?}: {} of {:?}", languages[0], row.action, row.before);
            let (lately, before) = (ago(1.0), ago(31.0));
            let time = |opened| match opened {
                Never => "null",
                Lately => &lately,
                Before => &before,
                Now => "T",
            };
            let written = |(state, opened)| record(CIRCUIT, LIMITS, state, time(opened));
            keys.set(row.before.map(written).as_deref(), row.counter_before);

            let began: f64 = ago(0.01).parse().unwrap();
            assert_eq!(results(&mut one, row.action), [row.result], "{told}");
            let mut stored = keys.get();
            let opened_at = keys.read()["opened_at"].clone();
            if row.after.1 == Now {
                let at = opened_at.as_f64().unwrap_or_else(|| panic!("{told}: {stored:?}"));
                assert!((0.0..1.0).contains(&(at - began)), "{told}: opened at {at}");
                stored = without_time(&stored).0;
            }
            let expected = (Some(written(row.after)), row.counter_after.map(str::to_owned));
            assert_eq!(stored, expected, "{told}");

            let state = other.action("state");
            assert_eq!(state["state"], row.after.0, "{told}");
            assert_eq!(state["opened_at"], opened_at, "{told}");
            let count: u32 = row.counter_after.unwrap_or("0").parse().unwrap();
            assert_eq!(state["failure_count"], count, "{told}");
            assert_eq!((&state["threshold"], &state["ttl"]), (&json!(3), &json!(30)));
            let rejects = matches!(row.after, ("opened", Lately | Now));
            let expected = if rejects { "rejected" } else { "permitted" };
            assert_eq!(results(&mut other, &format!("begin:{number}")), [expected], "{told}");
        }
    }
}

/// One of each language makes each call of a row; what comes of it, and what is stored, is the same.
#[test]
fn a_row_of_calls_is_the_same_in_both_languages() {
    let actions = [
        "register",
        "ok",
        "fail:2",
        "ok",
        "fail:2",
        "excluded",
        "fail:3",
        "ok",
        "fail",
        "sleep:0.45",
        "fail",
        "ok",
        "sleep:0.45",
        "excluded",
        "ok",
        "fail:2@0.01",
        "begin:a",
        "begin:b",
        "end-fail:a",
        "begin:c",
        "sleep:0.45",
        "ok",
        "state",
    ];
    let [python, rust] = [Language::Python, Language::Rust].map(|language| {
        let server = Server::start(Engine::Redis);
        let keys = Keys::new(&server, CIRCUIT);
        let mut peer = language.peer(&server, CIRCUIT, &["--threshold", "3", "--ttl", "0.4"]);
        actions.map(|action| {
            let mut answer = peer.action(action);
            for event in answer["events"].as_array_mut().unwrap() {
                if event["opened_at"].is_number() {
                    event["opened_at"] = json!("T");
                }
            }
            if answer["opened_at"].is_number() {
                answer["opened_at"] = json!("T");
            }
            (answer, without_time(&keys.get()).0)
        })
    });
    for (python, rust) in python.iter().zip(&rust) {
        assert_eq!(python, rust);
    }
}
