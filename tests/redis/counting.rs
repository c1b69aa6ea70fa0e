//! No failure is lost, and none is counted twice.

use std::thread;
use std::time::{Duration, Instant};

use purgatory_tests::servers::{Engine, Server, wait_until};

use crate::fleet::{Fleet, LONG, Stored};
use crate::with_each_engine;

with_each_engine! {
    alone failures_are_counted_exactly
    alone failures_are_counted_exactly_while_connections_are_killed
    alone failures_are_counted_exactly_while_the_server_hangs
    alone failures_are_counted_exactly_without_bump
    alone forgotten_scripts_are_loaded_again
}

/// More failures than a test makes, and as many as a script can count.
const NEVER: &str = "999999999";

/// Members that begin to fail.
fn failing(server: &Server, members: usize, load: &str, args: &[&str]) -> Fleet {
    let args = [&["--threshold", NEVER], args].concat();
    let mut fleet = Fleet::start(&server.limited_url(), members, &args);
    fleet.act("mode fail");
    fleet.act(load);
    fleet
}

/// Ends the load. What calls came to is in the record once, or is said to be discarded.
fn check(mut fleet: Fleet, server: &Server) -> Fleet {
    fleet.end_load();
    let (observed, recorded) = (fleet.sum("observed"), fleet.sum("recorded"));
    assert_eq!(recorded + fleet.sum("discarded"), observed);
    let stored = Stored::on(server).expect("there is a record");
    assert_eq!((&*stored.state, stored.failures), ("C", recorded));
    assert!(observed > 0);
    eprintln!(
        "{observed} failures, {} discarded, in {} requests",
        fleet.sum("discarded"),
        fleet.sum("bumps") + fleet.sum("swaps")
    );
    fleet
}

fn failures_are_counted_exactly(engine: Engine) {
    let server = Server::limited(engine);
    let fleet = failing(&server, 4, "load 1 0", &[]);
    // The length of the load. Longer adds nothing: there are hundreds of updates.
    thread::sleep(Duration::from_secs(3));
    let fleet = check(fleet, &server);
    assert_eq!(fleet.sum("discarded"), 0);
    assert!(fleet.iter().all(|member| member.count("bumps") > 10));
}

fn failures_are_counted_exactly_while_connections_are_killed(engine: Engine) {
    let server = Server::limited(engine);
    // With the usual second between attempts there would be ten reconnects, not fifty.
    let mut fleet = failing(&server, 4, "load 1 0", &["--max-backoff", "0.03"]);
    wait_until("50 reconnects of each process", LONG, || {
        // In RESP3 a client that hears of news is of the type pubsub whatever else it does.
        for kind in ["normal", "pubsub"] {
            server.command(&["CLIENT", "KILL", "TYPE", kind]);
        }
        thread::sleep(Duration::from_millis(100)); // The pace of the faults.
        fleet.act("report");
        fleet.iter().all(|member| member.events("storage_up").count() > 50)
    });
    check(fleet, &server);
}

fn failures_are_counted_exactly_while_the_server_hangs(engine: Engine) {
    let server = Server::limited(engine);
    // So that the members are back before the next time.
    let mut fleet = failing(&server, 4, "load 1 0", &["--max-backoff", "0.1"]);
    let hang = || {
        server.stop();
        thread::sleep(Duration::from_millis(400)); // For so long it hangs.
        server.resume();
    };
    let sleep = || drop(server.command(&["DEBUG", "SLEEP", "0.35"]));
    // In both it comes back after a client has given up on its answer (250 ms), and does then what it was
    // told before.
    wait_until("10 hangs for each process", LONG, || {
        for fault in [&hang as &dyn Fn(), &sleep] {
            fault();
            thread::sleep(Duration::from_millis(300)); // For a return, and for updates that meet no fault.
        }
        fleet.act("report");
        fleet.iter().all(|member| member.events("storage_up").count() > 10)
    });
    check(fleet, &server);
}

fn failures_are_counted_exactly_without_bump(engine: Engine) {
    let server = Server::limited(engine);
    // A tenth of the list's calls. What comes between two updates is folded, so there are as many updates, and
    // more of the processors is left to them.
    let mut fleet = failing(&server, 32, "load 1 100", &["--no-bump"]);
    let began = Instant::now();
    // What each had observed, and when, that is not known to have arrived.
    let mut due: Vec<Vec<(Instant, u64)>> = vec![Vec::new(); fleet.len()];
    let mut oldest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(4) {
        thread::sleep(Duration::from_millis(100)); // Samples, not too many for the members.
        let asked = Instant::now();
        fleet.act("report");
        for (member, due) in fleet.iter().zip(&mut due) {
            due.push((asked, member.count("observed")));
            let arrived = member.count("recorded") + member.count("discarded");
            due.retain(|&(_, observed)| observed > arrived);
            oldest =
                due.iter().map(|(since, _)| since.elapsed()).max().unwrap_or(oldest).max(oldest);
        }
    }
    let fleet = check(fleet, &server);
    assert_eq!(fleet.sum("discarded"), 0);
    assert_eq!(fleet.sum("bumps"), 0);
    let ratio = fleet.sum("conflicts") as f64 / fleet.sum("swaps") as f64;
    eprintln!("{:.0} % conflicts, the oldest failure waited {oldest:?}", ratio * 100.0);
    // The list has 0.7. A quarter of all are the first writes of an update, over what its process saw last; and
    // where processes queue for two processors, others come between any two steps.
    assert!(ratio < 0.8, "{ratio}");
    // The list has two seconds. It is half of one where nothing else wants the processors.
    assert!(oldest < Duration::from_secs(3), "{oldest:?}");
}

fn forgotten_scripts_are_loaded_again(engine: Engine) {
    let server = Server::limited(engine);
    let mut fleet = failing(&server, 4, "load 1 500", &[]);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        server.command(&["SCRIPT", "FLUSH"]);
        thread::sleep(Duration::from_millis(20)); // The pace of the faults.
    }
    let fleet_is_calm = |fleet: &Fleet, ups| {
        for member in fleet.iter() {
            let downs: Vec<_> = member.events("storage_down").collect();
            assert_eq!(downs.len(), ups - 1, "{downs:?}");
            assert_eq!(member.events("storage_up").count(), ups);
            assert_eq!(member.events("storage_refused").count(), 0);
        }
    };
    fleet = check(fleet, &server);
    fleet_is_calm(&fleet, 1);
    assert_eq!(fleet.sum("discarded"), 0);

    // A server that restarts has none at all. What it had counted is gone with it.
    let before = fleet.sum("recorded");
    server.restart();
    fleet.wait("the members to be back", LONG, |member| member.events("storage_up").count() == 2);
    fleet.act("load 1 500");
    fleet.wait("failures after the restart", LONG, |member| member.count("pending") > 0);
    fleet.end_load();
    fleet_is_calm(&fleet, 2);
    assert_eq!(fleet.sum("recorded"), fleet.sum("observed"));
    let stored = Stored::on(&server).expect("there is a record").failures;
    assert_eq!(stored, fleet.sum("recorded") - before);
}
