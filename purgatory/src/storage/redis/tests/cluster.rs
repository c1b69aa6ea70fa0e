//! A cluster: every circuit on its node, and the watch on any.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::super::RedisStorage;
use super::server::{Server, ask, free_port};
use super::watched::{PATIENCE, Told, Watched, refusal, run};
use crate::storage::{Storage, StorageError};

/// Masters that share the slots, and a replica for each of the first `replicas` of them.
struct Cluster(Vec<Server>);

impl Cluster {
    fn new(masters: usize, replicas: usize) -> Self {
        let nodes: Vec<_> = (0..masters + replicas).map(|_| node()).collect();
        let (first, others) = nodes.split_first().unwrap();
        for (i, node) in nodes[..masters].iter().enumerate() {
            let bounds = [i, i + 1].map(|i| i * 16384 / masters);
            let _: () = node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", i + 1));
            let range = format!("CLUSTER ADDSLOTSRANGE {} {}", bounds[0], bounds[1] - 1);
            let _: () = node.ask(&range);
        }
        for node in others {
            let bus = first.ask::<Vec<String>>("CONFIG GET cluster-port")[1].clone();
            let _: () = node.ask(&format!("CLUSTER MEET 127.0.0.1 {} {bus}", first.port));
        }
        let cluster = Self(nodes);
        cluster.until("all know all", || {
            cluster
                .0
                .iter()
                .all(|node| node.ask::<String>("CLUSTER NODES").lines().count() == cluster.0.len())
        });
        for (master, replica) in cluster.0[..masters].iter().zip(&cluster.0[masters..]) {
            let id: String = master.ask("CLUSTER MYID");
            let _: () = replica.ask(&format!("CLUSTER REPLICATE {id}"));
        }
        cluster.until("all is well", || {
            cluster
                .0
                .iter()
                .all(|node| node.ask::<String>("CLUSTER INFO").contains("cluster_state:ok"))
        });
        cluster
    }

    fn until(&self, what: &str, is: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is() {
            assert!(Instant::now() < deadline, "not yet: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn storage(&self) -> super::super::RedisStorageBuilder {
        let others = self.0[1..].iter().map(|node| format!("127.0.0.1:{}", node.port));
        RedisStorage::builder(self.0[0].url()).cluster(others)
    }

    /// A circuit that this node has.
    fn circuit_on(&self, node: usize) -> String {
        let on = |name: &String| self.owner(name) == self.0[node].port;
        (0..).map(|i| format!("circuit {i}")).find(on).unwrap()
    }

    /// Who has it, by what the first node that lives says.
    fn owner(&self, circuit: &str) -> u16 {
        let key = format!("cb:{{{}}}", circuit.replace(' ', "%20"));
        let mut connection = self.0.iter().find_map(|node| node.connection().ok()).unwrap();
        let slot: u64 = ask(&mut connection, &["CLUSTER", "KEYSLOT", &key]).unwrap();
        let ranges: Vec<(u64, u64, (String, u16))> = {
            let ranges: Vec<Vec<redis::Value>> =
                ask(&mut connection, &["CLUSTER", "SLOTS"]).unwrap();
            let range = |range: Vec<redis::Value>| {
                let owner: Vec<redis::Value> = redis::from_redis_value(range[2].clone()).unwrap();
                let number = |value: &redis::Value| redis::from_redis_value(value.clone()).unwrap();
                (number(&range[0]), number(&range[1]), (String::new(), number(&owner[1]) as u16))
            };
            ranges.into_iter().map(range).collect()
        };
        ranges.iter().find(|range| range.0 <= slot && slot <= range.1).unwrap().2.1
    }

    /// The node that the watch is on.
    fn watched(&self) -> usize {
        let subscribed = |node: &Server| node.ask::<(String, i64)>("PUBSUB NUMSUB cb:ev").1 > 0;
        self.0.iter().position(subscribed).expect("one is subscribed to")
    }
}

fn node() -> Server {
    let bus = free_port().to_string();
    Server::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &bus,
        "--cluster-node-timeout",
        "1000",
        "--cluster-require-full-coverage",
        "no",
        "--repl-diskless-sync-delay",
        "0",
    ])
}

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
        let cluster = Cluster::new(3, 0);
        run(async {
            let watched = Watched::ready(cluster.storage().build().unwrap()).await;
            let on = cluster.watched();
            let (lost, kept) = ((on + 1) % 3, (on + 2) % 3);
            let circuits = [lost, kept, on].map(|node| cluster.circuit_on(node));
            for circuit in &circuits {
                assert!(watched.write(circuit, 0, "x").await.applied);
            }
            cluster.0[lost].signal(signal);
            for _ in 0..10 {
                let began = Instant::now();
                let (storage, circuit) = (watched.storage.clone(), circuits[0].clone());
                let away = tokio::spawn(async move { storage.load(&circuit).await });
                tokio::task::yield_now().await;
                for circuit in &circuits[1..] {
                    assert!(watched.load(circuit).await.unwrap().record.is_some());
                }
                let other = began.elapsed();
                let away = away.await.unwrap();
                assert!(matches!(away, Err(StorageError::Unreachable(_))), "{away:?}");
                assert!(other < Duration::from_millis(200), "after {signal}: {other:?}");
            }
            assert!(!watched.task.is_finished());
            cluster.0[lost].signal("CONT");
        });
    }
}

#[test]
fn the_watch_moves_to_another_node() {
    for signal in ["KILL", "STOP"] {
        let cluster = Cluster::new(3, 0);
        run(async {
            let storage = cluster.storage().build().unwrap();
            let mut watched = Watched::ready(storage.clone()).await;
            let on = cluster.watched();
            let circuit = cluster.circuit_on((on + 1) % 3);
            cluster.0[on].signal(signal);
            let began = Instant::now();
            watched.end().await;
            let mut watched = Watched::ready(storage).await;
            let record = watched.announce(&circuit, 0, "x").await;
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
fn a_replica_that_takes_over_is_found() {
    for signal in ["KILL", "STOP"] {
        let cluster = Cluster::new(3, 1);
        cluster.until("the replica has caught up", || {
            cluster.0[3].ask::<String>("INFO replication").contains("master_link_status:up")
        });
        run(async {
            let storage = cluster.storage().build().unwrap();
            let mut watched = Watched::ready(storage.clone()).await;
            let circuit = cluster.circuit_on(0);
            assert!(watched.write(&circuit, 0, "x").await.applied);
            cluster.0[0].signal(signal);
            let deadline = Instant::now() + PATIENCE;
            loop {
                match watched.load(&circuit).await {
                    Ok(_) => break,
                    // It was the one that is watched.
                    Err(StorageError::Unavailable(_)) => {
                        watched = Watched::ready(storage.clone()).await;
                    }
                    Err(StorageError::Unreachable(_)) => {}
                    Err(other) => panic!("{other}"),
                }
                assert!(Instant::now() < deadline, "nobody takes over");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            watched.announce(&circuit, 0, "y").await;
            cluster.0[0].signal("CONT");
        });
    }
}

#[test]
fn slots_may_move_while_they_are_used() {
    let cluster = Cluster::new(2, 0);
    run(async {
        let watched = Watched::ready(cluster.storage().build().unwrap()).await;
        let circuit = cluster.circuit_on(0);
        let key = format!("cb:{{{}}}", circuit.replace(' ', "%20"));
        let [from, to] = [&cluster.0[0], &cluster.0[1]];
        let ids: Vec<String> = [from, to].map(|node| node.ask("CLUSTER MYID")).into();
        let slot: u64 = from.ask(&format!("CLUSTER KEYSLOT {key}"));
        let first = watched.write(&circuit, 0, "x").await.stored.record.unwrap();

        let _: () = to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", ids[0]));
        let _: () = from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", ids[1]));
        let moved = format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.port);
        let _: () = from.ask(&moved);
        // It is there already, and the slot is not: ASK. The new node does not know the scripts either.
        let _: () = to.ask("SCRIPT FLUSH");
        let second = watched.write(&circuit, first.version, "y").await;
        assert!(second.applied);
        for node in [to, from] {
            let _: () = node.ask(&format!("CLUSTER SETSLOT {slot} NODE {}", ids[1]));
        }
        assert_eq!(watched.load(&circuit).await.unwrap().record, second.stored.record);
        assert_eq!(to.ask::<i64>(&format!("EXISTS {key}")), 1);
        assert!(!watched.task.is_finished());
    });
}

#[test]
fn the_least_rights_suffice_on_a_cluster() {
    let cluster = Cluster::new(2, 0);
    for node in &cluster.0 {
        let rights = "+hello +get +set +time +publish +subscribe +evalsha +script|load";
        let user = "ACL SETUSER breakers on >geheim ~cb:* &cb:* -@all";
        let _: () = node.ask(&format!("{user} {rights}"));
    }
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

#[test]
fn what_is_wrong_with_the_user_is_refused() {
    let cluster = Cluster::new(2, 0);
    for node in &cluster.0 {
        let _: () = node.ask("ACL SETUSER breakers on >geheim ~cb:* &cb:* +@all -evalsha");
    }
    run(async {
        let storage = cluster.storage().user("breakers").password("geheim").build().unwrap();
        let error = Watched::refused(storage.clone()).await;
        assert!(refusal(&error).contains(": NOPERM "), "{error}");
        for node in &cluster.0 {
            let _: () = node.ask("ACL SETUSER breakers +evalsha");
        }
        let mut watched = Watched::ready(storage).await;
        for node in &cluster.0 {
            let _: () = node.ask("ACL SETUSER breakers -evalsha");
        }
        let error = watched.load("payments").await.unwrap_err();
        assert!(refusal(&error).contains(": NOPERM "), "{error}");
        assert_eq!(watched.end().await, error);
    });
}
