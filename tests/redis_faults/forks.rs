//! Processes that are forked, and what they have from their parent.

use std::time::Duration;

use purgatory::Config;
use purgatory_tests::servers::Engine;
use serde_json::Value;

use crate::member::Member;
use crate::record::Record;
use crate::stage::{CIRCUIT, Stage, key};
use crate::with_each_engine;

with_each_engine! {
    a_forked_process_goes_on
    siblings_all_count
    a_fork_does_not_wait_for_what_its_parent_asked
    a_reset_in_a_fork_of_a_process_that_is_alone_arrives
}

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

fn a_forked_process_goes_on(engine: Engine) {
    let stage = Stage::new(engine);
    let args = ["--threshold", "100", "--ttl", "60"];
    let mut member = stage.member(&args);
    member.act("call fail");
    assert_eq!(member.act("flush 5000")["result"], true);
    // What is not sent yet is the parent's to send.
    member.act("call fail");
    member.act("fork");
    member.act("child call fail");
    member.act("child call fail");
    assert_eq!(member.act("child flush 5000")["result"], true);
    member.act("call fail");
    assert_eq!(member.act("flush 5000")["result"], true);
    let (parent, child) = (member.act("report"), member.act("child report"));
    assert_eq!(["recorded", "discarded", "pending"].map(|name| number(&parent, name)), [3, 0, 0]);
    assert_eq!(number(&child, "pending") + number(&child, "discarded"), 0, "{child}");
    assert_eq!((&parent["in_sync"], &child["in_sync"]), (&true.into(), &true.into()), "{child}");
    assert_eq!(stage.record().unwrap().failures, 5);
    // Both hear, and both are heard.
    let elsewhere = stage.here(Config::new().threshold(100).ttl(Duration::from_secs(60)));
    elsewhere.breaker.reset();
    for action in ["report", "child report"] {
        member.waits_for_report(action, |report| number(report, "failures") == 0);
    }
    for _ in 0..100 {
        member.act("child call fail");
    }
    for action in ["report", "child report"] {
        member.waits_for_report(action, |report| report["state"] == "open");
    }
    // It has a life of its own, also when its connection ends and when it is forked in turn.
    stage.server.command(&["CLIENT", "KILL", "USER", "breakers"]);
    elsewhere.breaker.reset();
    for action in ["report", "child report"] {
        member.waits_for_report(action, |report| report["state"] == "closed");
    }
    member.act("child fork");
    // It takes part from the first failure on: until then nothing runs in it but its calls.
    member.act("child child call fail");
    assert_eq!(member.act("child child flush 5000")["result"], true);
    for action in ["report", "child report", "child child report"] {
        member.waits_for_report(action, |report| number(report, "failures") == 1);
    }
}

/// Has a process fail that often, and all of it arrive.
fn fails(member: &mut Member, who: &str, times: u64) {
    for _ in 0..times {
        assert_eq!(member.act(&format!("{who}call fail"))["result"], "failed", "{who}");
    }
    assert_eq!(member.act(&format!("{who}flush 5000"))["result"], true, "{who}");
}

fn siblings_all_count(engine: Engine) {
    let stage = Stage::new(engine);
    let mut member = stage.member(&["--threshold", "100", "--ttl", "60"]);
    let children = ["child 1 ", "child 2 "];
    fails(&mut member, "", 1);
    // Both have the same of their parent.
    children.iter().for_each(|_| drop(member.act("fork")));
    let check = |member: &mut Member, circuit: &str| {
        for child in children {
            fails(member, child, 2);
        }
        for child in children {
            let report = member.act(&format!("{child}report"));
            let tally = ["recorded", "discarded", "pending"].map(|name| number(&report, name));
            assert_eq!(tally, [2, 0, 0], "{child}of {circuit}: {report}");
        }
        let stored: String = stage.server.ask(&["GET", &key(circuit)]);
        let Record { failures, mut writers, .. } = Record::parse(&stored);
        let written = writers.len();
        writers.sort_unstable();
        writers.dedup();
        assert_eq!((failures, written, writers.len()), (5, 3, 3), "{circuit}: {stored}");
    };
    check(&mut member, CIRCUIT);
    // A circuit that each gets for itself.
    for who in ["", "child 1 ", "child 2 "] {
        member.act(&format!("{who}circuit another"));
    }
    fails(&mut member, "", 1);
    check(&mut member, "another");
}

/// What it asked is answered in the parent.
fn a_fork_does_not_wait_for_what_its_parent_asked(engine: Engine) {
    let stage = Stage::new(engine);
    let args = ["--threshold", "1", "--ttl", "0.2", "--lease", "60", "--patience", "60"];
    let mut member = stage.member(&args);
    fails(&mut member, "", 1);
    stage.server.stop();
    member.waits_for_report("ask", |report| report["result"] == "waits");
    member.act("fork");
    // In the parent everybody waits for that.
    assert_eq!(member.act("call ok")["result"], "rejected");
    // Here nobody does.
    let report = member.act("child call ok");
    assert_eq!((&report["result"], &report["state"]), (&"ok".into(), &"closed".into()), "{report}");
    // It takes part when there is something to tell.
    stage.server.resume();
    member.act("child call fail");
    assert_eq!(member.act("child flush 5000")["result"], true);
    let report = member.act("child report");
    assert_eq!((number(&report, "pending"), &report["in_sync"]), (0, &true.into()), "{report}");
}

/// The parent has something to tell, and nobody to tell it to.
fn a_reset_in_a_fork_of_a_process_that_is_alone_arrives(engine: Engine) {
    let stage = Stage::new(engine);
    let mut member = stage.member(&["--threshold", "100", "--ttl", "60"]);
    fails(&mut member, "", 1);
    stage.server.stop();
    member.act("call fail");
    member.waits_for_report("report", |report| report["in_sync"] == false);
    member.act("fork");
    stage.server.resume();
    assert_eq!(member.act("flush 5000")["result"], true);
    assert_eq!(stage.record().unwrap().failures, 2);
    member.act("child reset");
    member.waits_for_report("child report", |report| report["in_sync"] == true);
    assert_eq!(member.act("child flush 5000")["result"], true);
    assert_eq!(stage.record().unwrap().failures, 0);
}
