//! The node that tells of changes is lost.

use std::time::{Duration, Instant};

use purgatory_tests::servers::{Cluster, Engine, wait_until};

use crate::Loss;
use crate::cluster::circuits;
use crate::member::{Member, key};

mod the_watch_moves_to_another_node {
    use super::*;

    #[test]
    fn redis_killed() {
        lost_watch(Engine::Redis, Loss::Killed);
    }

    #[test]
    fn redis_hanging() {
        lost_watch(Engine::Redis, Loss::Hanging);
    }

    #[test]
    fn valkey_killed() {
        lost_watch(Engine::Valkey, Loss::Killed);
    }
}

mod a_node_that_has_left_the_cluster_is_not_watched {
    use super::*;

    #[test]
    fn redis() {
        left(Engine::Redis);
    }

    #[test]
    fn valkey() {
        left(Engine::Valkey);
    }
}

fn left(engine: Engine) {
    let cluster = Cluster::start(engine);
    let (gone, rest) = cluster.nodes().split_last().expect("a cluster has six nodes");
    let id: String = gone.ask(&["CLUSTER", "MYID"]);
    // It goes on running, and answers all that is not about slots.
    gone.command(&["CLUSTER", "RESET", "HARD"]);
    for node in rest {
        node.command(&["CLUSTER", "FORGET", &id]);
    }
    let name = circuits(&cluster, |_| true).next().expect("there is no end of them");
    let urls = cluster.urls();
    let beginning_there: Vec<_> = urls[5..].iter().chain(&urls[..5]).cloned().collect();
    let args = ["--cluster", "--threshold", "1", "--ttl", "60"];
    let mut hearing = Member::start(&beginning_there, &name, &args);
    let mut tripping = Member::start(&urls[..5], &name, &args);
    let watched: (String, u64) = gone.ask(&["PUBSUB", "NUMSUB", "cb:ev"]);
    assert_eq!(watched.1, 0, "nobody is told anything there");
    tripping.act("call fail");
    let tripped = Instant::now();
    hearing.until("it to hear of the trip", |report| report["state"] == "open");
    let heard = tripped.elapsed();
    assert!(heard < TOLD, "heard {heard:?} after the trip");
    assert_eq!(tripping.losses(), [""; 0]);
    assert_eq!(hearing.losses().len(), 1, "{:?}", hearing.log);
}

fn lost_watch(engine: Engine, loss: Loss) {
    let cluster = Cluster::start(engine);
    for node in cluster.nodes() {
        // Else the others refuse everything as well, when they have noticed and until the replica has started.
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    let elsewhere = |name: &String| cluster.node_of(&key(name)) != 0;
    let names: Vec<_> = circuits(&cluster, |_| true).filter(elsewhere).take(2).collect();
    // Whoever is named first has the watch.
    let urls = cluster.urls();
    let others: Vec<_> = urls[1..].iter().chain(&urls[..1]).cloned().collect();
    let args = ["--cluster", "--threshold", "1", "--ttl", "60"];
    let [mut hearing, mut late] = [0, 1].map(|name| Member::start(&urls, &names[name], &args));
    let [mut tripping, mut early] = [0, 1].map(|name| Member::start(&others, &names[name], &args));
    let watched: (String, u64) = cluster.nodes()[0].ask(&["PUBSUB", "NUMSUB", "cb:ev"]);
    assert_eq!(watched.1, 2, "that is those who hear");

    loss.befall(&cluster.nodes()[0]);
    let began = Instant::now();
    early.act("call fail");
    late.until("it to hear of the trip in the gap", |report| report["state"] == "open");
    let gap = began.elapsed();
    assert!(gap < MOVED, "heard after {gap:?}");
    wait_for_return(&mut hearing);
    let back = began.elapsed();
    tripping.act("call fail");
    let tripped = Instant::now();
    hearing.until("it to hear of a trip", |report| report["state"] == "open");
    let (heard, moved) = (tripped.elapsed(), began.elapsed());
    assert!(moved < MOVED, "heard after {moved:?}");
    // Not by asking, which is every second.
    assert!(heard < TOLD, "heard {heard:?} after the trip");
    for member in [&mut tripping, &mut early] {
        assert_eq!(member.report()["in_sync"], true);
        assert_eq!(member.losses(), [""; 0], "its watch is on another node");
    }
    for member in [&hearing, &late] {
        assert_eq!(member.losses().len(), 1, "{:?}", member.log);
    }
    println!("gap closed after {gap:?}, back after {back:?}, then heard in {heard:?}");
}

/// Waits until it has a new watch.
fn wait_for_return(member: &mut Member) {
    wait_until("its new watch", MOVED, || {
        member.report();
        member.log.iter().filter(|line| line.contains(": up after")).count() == 2
    });
}

/// How long it may take until all is heard again.
const MOVED: Duration = Duration::from_secs(2);

/// How long a trip takes to others at most.
const TOLD: Duration = Duration::from_millis(200);
