//! A cluster: every circuit on its node, and the watch on any.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::RedisStorage;
use super::nodes::{Cluster, node};
use super::watched::{PATIENCE, Told, Watched, run};
use crate::storage::{Storage, StorageError};

#[test]
fn circuits_are_where_their_slots_are_and_news_comes_from_all() {
    let cluster = Cluster::new(3, 0);
    run(async {
        let mut watched = Watched::ready(cluster.storage().build().unwrap()).await;
        let mut owners = HashSet::new();
        for i in 0..30 {
            let circuit = format!("circuit {i}");
            let record = watched.announce(&circuit, 0, "x").await;
            assert_eq!(watched.load(&circuit).await.unwrap().record, Some(record.clone()));
            assert_eq!(watched.next().await, Some(Told::Changed(circuit.clone(), record)));
            owners.insert(cluster.owner(&circuit));
        }
        assert_eq!(owners.len(), 3);
        // A script that one of them has lost comes back there.
        let _: () = cluster.0[1].ask("SCRIPT FLUSH");
        let circuit = cluster.circuit_on(1);
        watched.load(&circuit).await.unwrap();
    });
}

#[test]
fn a_node_that_is_gone_takes_only_its_circuits_with_it() {
    for signal in ["KILL", "STOP"] {
        let mut cluster = Cluster::new(3, 0);
        run(async {
            let storage = cluster.storage().operation_timeout(Duration::from_secs(2));
            let watched = Watched::ready(storage.build().unwrap()).await;
            let on = cluster.watched();
            let (lost, kept) = ((on + 1) % 3, (on + 2) % 3);
            let circuits = [lost, kept, on].map(|node| cluster.circuit_on(node));
            for circuit in &circuits {
                assert!(watched.write(circuit, 0, "x").await.applied);
            }
            cluster.0[lost].signal(signal);
            for _ in 0..2 {
                let (storage, circuit) = (watched.storage.clone(), circuits[0].clone());
                let away = tokio::spawn(async move { storage.load(&circuit).await });
                tokio::task::yield_now().await;
                for circuit in &circuits[1..] {
                    assert!(watched.load(circuit).await.unwrap().record.is_some());
                }
                // Who hangs is waited for, by nobody else.
                assert!(signal == "KILL" || !away.is_finished());
                let away = away.await.unwrap();
                assert!(matches!(away, Err(StorageError::Unreachable(_))), "{away:?}");
            }
            match signal {
                "KILL" => cluster.0[lost].restart(),
                _ => cluster.0[lost].signal("CONT"),
            }
            reachable(&watched, &circuits[0]).await;
            assert!(!watched.task.is_finished());
        });
    }
}

#[test]
fn the_watch_moves_to_another_node() {
    for signal in ["KILL", "STOP"] {
        let cluster = Cluster::new(3, 0);
        run(async {
            let storage = cluster.storage().operation_timeout(Duration::from_millis(250));
            let storage = storage.build().unwrap();
            let mut watched = Watched::ready(storage.clone()).await;
            let on = cluster.watched();
            let circuit = cluster.circuit_on((on + 1) % 3);
            cluster.0[on].signal(signal);
            let began = Instant::now();
            watched.end().await;
            let mut watched = Watched::ready(storage).await;
            let record = loop {
                // A busy machine may take longer than the 250 ms.
                let written = watched.try_write(&circuit, 0, "x", true).await;
                if let Ok(swap) = written {
                    break swap.stored.record.unwrap();
                }
            };
            assert_eq!(watched.next().await, Some(Told::Changed(circuit, record)));
            let took = began.elapsed();
            println!("after {signal}: {took:?}");
            assert!(took < Duration::from_secs(2), "{took:?}");
            cluster.0[on].signal("CONT");
        });
    }
}

#[test]
fn other_nodes_are_found_through_the_one_that_is_named() {
    let mut cluster = Cluster::new(3, 0);
    run(async {
        let storage = RedisStorage::builder(cluster.0[0].url()).cluster([""; 0]).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        cluster.0[0].kill();
        watched.end().await;
        Watched::ready(storage).await;
    });
}

#[test]
fn nodes_that_do_not_say_their_host_are_found_where_the_one_that_is_named_is() {
    let hidden = ["--cluster-preferred-endpoint-type", "unknown-endpoint"];
    let mut cluster = Cluster::of([&hidden[..], &hidden].map(node).into(), 2);
    run(async {
        let storage = RedisStorage::builder(cluster.0[0].url()).cluster([""; 0]).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        // Of each other they tell the port alone.
        for node in [0, 1] {
            watched.load(&cluster.circuit_on(node)).await.unwrap();
        }
        cluster.0[0].kill();
        watched.end().await;
        Watched::ready(storage).await;
    });
}

#[test]
fn a_node_that_has_closed_a_connection_is_reached_through_another() {
    let cluster = Cluster::new(2, 0);
    run(async {
        let watched = Watched::ready(cluster.storage().build().unwrap()).await;
        let (here, there) = (cluster.watched(), 1 - cluster.watched());
        let circuit = cluster.circuit_on(there);
        watched.load(&circuit).await.unwrap();
        let _: i64 = cluster.0[there].ask("CLIENT KILL TYPE normal");
        // The end of the connection takes a moment to arrive, and nothing tells of it.
        sleep(Duration::from_millis(200)).await;
        watched.load(&circuit).await.unwrap();
        watched.load(&cluster.circuit_on(here)).await.unwrap();
        assert!(!watched.task.is_finished());
    });
}

#[test]
fn a_replica_that_takes_over_is_found() {
    for signal in ["KILL", "STOP"] {
        let cluster = Cluster::new(3, 1);
        let other = format!("127.0.0.1:{}", cluster.0[2].port);
        run(async {
            // Watched is another than the one that is lost.
            let storage = RedisStorage::builder(cluster.0[1].url()).cluster([other]);
            let storage = storage.operation_timeout(Duration::from_secs(1));
            let watched = Watched::ready(storage.build().unwrap()).await;
            let circuits: Vec<_> = cluster.circuits_on(0).take(2).collect();
            for circuit in &circuits {
                assert!(watched.write(circuit, 0, "x").await.applied);
            }
            cluster.0[0].signal(signal);
            reachable(&watched, &circuits[0]).await;
            assert_ne!(cluster.owner(&circuits[0]), cluster.0[0].port);
            // What was learned for one is known for the other.
            watched.load(&circuits[1]).await.unwrap();
            watched.announce(&circuits[0], 0, "y").await;
            assert!(!watched.task.is_finished());
            cluster.0[0].signal("CONT");
        });
    }
}

/// Until it is.
async fn reachable(watched: &Watched, circuit: &str) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = watched.load(circuit).await {
        assert!(matches!(error, StorageError::Unreachable(_)), "{error}");
        assert!(Instant::now() < deadline, "{error}");
        sleep(Duration::from_millis(20)).await; // As often as it is worth to look.
    }
}

/// A circuit that is on the second node already, while its slot is still the first one's.
struct Moving<'a> {
    cluster: &'a Cluster,
    slot: u64,
    key: String,
    to: String,
}

impl<'a> Moving<'a> {
    fn begin(cluster: &'a Cluster, circuit: &str) -> Self {
        let key = format!("cb:{{{}}}", circuit.replace(' ', "%20"));
        let [from, to] = [&cluster.0[0], &cluster.0[1]];
        let ids: [String; 2] = [from, to].map(|node| node.ask("CLUSTER MYID"));
        let slot: u64 = from.ask(&format!("CLUSTER KEYSLOT {key}"));
        let _: () = to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0]));
        let _: () = from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1]));
        let moved = format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.port);
        let _: () = from.ask(&moved);
        let [_, to] = ids;
        Self { cluster, slot, key, to }
    }

    fn end(&self) {
        for node in [&self.cluster.0[1], &self.cluster.0[0]] {
            let _: () = node.ask(&format!("CLUSTER SETSLOT {} NODE {}", self.slot, self.to));
        }
    }
}

#[test]
fn slots_may_move_while_they_are_used() {
    let cluster = Cluster::new(2, 0);
    run(async {
        let watched = Watched::ready(cluster.storage().build().unwrap()).await;
        let circuit = cluster.circuit_on(0);
        let first = watched.write(&circuit, 0, "x").await.stored.record.unwrap();
        let moving = Moving::begin(&cluster, &circuit);
        // It is there already, and the slot is not: ASK. The new node does not know the scripts either.
        let to = &cluster.0[1];
        let _: () = to.ask("SCRIPT FLUSH");
        let second = watched.write(&circuit, first.version, "y").await;
        assert!(second.applied);
        moving.end();
        assert_eq!(watched.load(&circuit).await.unwrap().record, second.stored.record);
        assert_eq!(to.ask::<i64>(&format!("EXISTS {}", moving.key)), 1);
        assert!(!watched.task.is_finished());
    });
}

#[test]
fn without_the_right_to_ask_only_what_moves_is_out_of_reach() {
    let cluster = Cluster::new(2, 0);
    with_least_rights(&cluster);
    run(async {
        let storage = cluster.storage().user("breakers").password("geheim").build().unwrap();
        let watched = Watched::ready(storage).await;
        let circuits: Vec<_> = cluster.circuits_on(0).take(2).collect();
        let first = watched.write(&circuits[0], 0, "x").await.stored.record.unwrap();
        let moving = Moving::begin(&cluster, &circuits[0]);
        let error = watched.load(&circuits[0]).await.unwrap_err();
        let StorageError::Unreachable(cause) = &error else { panic!("{error}") };
        let expected = format!("127.0.0.1:{}: ASKING NOPERM ", cluster.0[1].port);
        assert!(cause.starts_with(&expected), "{cause}");
        assert!(watched.write(&circuits[1], 0, "x").await.applied);
        assert!(!watched.task.is_finished());
        moving.end();
        assert_eq!(watched.load(&circuits[0]).await.unwrap().record, Some(first));
    });
}

fn with_least_rights(cluster: &Cluster) {
    for node in &cluster.0 {
        let rights = "+hello +get +set +time +publish +subscribe +evalsha +script|load";
        let user = "ACL SETUSER breakers on >geheim ~cb:* &cb:* -@all";
        let _: () = node.ask(&format!("{user} {rights}"));
    }
}

#[test]
fn the_least_rights_suffice_on_a_cluster() {
    let cluster = Cluster::new(2, 0);
    with_least_rights(&cluster);
    run(async {
        let storage = cluster.storage().user("breakers").password("geheim").build().unwrap();
        let mut watched = Watched::ready(storage).await;
        for node in [0, 1] {
            let circuit = cluster.circuit_on(node);
            let record = watched.announce(&circuit, 0, "x").await;
            assert_eq!(watched.next().await, Some(Told::Changed(circuit, record)));
        }
    });
}

#[test]
fn a_node_that_refuses_takes_only_its_circuits_with_it() {
    let cluster = Cluster::new(2, 0);
    run(async {
        for full in [0, 1] {
            for node in &cluster.0 {
                let _: () = node.ask("FLUSHALL");
            }
            let _: () = cluster.0[full].ask("CONFIG SET maxmemory 1");
            // Whichever of them has the health key.
            let watched = Watched::ready(cluster.storage().build().unwrap()).await;
            let error =
                watched.try_write(&cluster.circuit_on(full), 0, "x", true).await.unwrap_err();
            let StorageError::Unreachable(cause) = &error else { panic!("{error}") };
            assert!(
                cause.starts_with(&format!("127.0.0.1:{}: OOM ", cluster.0[full].port)),
                "{cause}"
            );
            assert!(watched.write(&cluster.circuit_on(1 - full), 0, "x").await.applied);
            let _: () = cluster.0[full].ask("CONFIG SET maxmemory 0");
            assert!(watched.write(&cluster.circuit_on(full), 0, "x").await.applied);
        }
    });
}

/// Whoever asks next asks anew.
#[test]
fn that_a_node_could_not_be_reached_says_nothing_of_the_next_time() {
    // The nodes themselves have more patience.
    let patient = || node(&["--cluster-node-timeout", "60000"]);
    let cluster = Cluster::of(vec![patient(), patient()], 2);
    run(async {
        let storage = cluster.storage().operation_timeout(Duration::from_millis(250));
        let storage = storage.heartbeat(Duration::from_secs(3600)).build().unwrap();
        let watched = Watched::ready(storage).await;
        let circuit = cluster.circuit_on(1 - cluster.watched());
        let node = &cluster.0[1 - cluster.watched()];
        watched.load(&circuit).await.unwrap();
        let _: i64 = node.ask("CLIENT KILL TYPE normal");
        node.signal("STOP");
        for _ in 0..2 {
            watched.load(&circuit).await.unwrap_err();
        }
        // Longer than an attempt to connect may take, though nobody waits for it any more.
        sleep(Duration::from_millis(1500)).await;
        node.signal("CONT");
        watched.load(&circuit).await.unwrap();
    });
}

#[test]
fn a_node_that_is_slow_to_connect_to_is_reached_all_the_same() {
    let cluster = Cluster::new(2, 0);
    run(async {
        let storage = cluster.storage().operation_timeout(Duration::from_millis(250));
        let storage = storage.heartbeat(Duration::from_secs(3600)).build().unwrap();
        let watched = Watched::ready(storage).await;
        let circuit = cluster.circuit_on(1);
        watched.load(&circuit).await.unwrap();
        let _: i64 = cluster.0[1].ask("CLIENT KILL TYPE normal");
        let error = watched.load(&circuit).await.unwrap_err();
        assert!(matches!(error, StorageError::Unreachable(_)), "{error}");
        let connections = || {
            let stats: String = cluster.0[1].ask("INFO stats");
            let line =
                stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
            line.unwrap().parse::<u32>().unwrap()
        };
        let before = connections();
        cluster.0[1].signal("STOP");
        // Nobody waits long enough, but the next one waits for what another has begun.
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(600) {
            watched.load(&circuit).await.unwrap_err();
        }
        cluster.0[1].signal("CONT");
        reachable(&watched, &circuit).await;
        // And that of the question.
        assert_eq!(connections() - before, 2);
    });
}
