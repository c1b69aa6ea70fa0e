//! A node that answers, and yet has no part in the cluster.

use std::time::Duration;

use super::super::{RedisStorage, RedisStorageBuilder};
use super::muffled::Muffled;
use super::nodes::Cluster;
use super::server::Server;
use super::watched::{Told, Watched, run};
use crate::storage::StorageError;

/// Watches this one first, and looks for proof again after three seconds.
fn storage(first: &str, cluster: &Cluster) -> RedisStorageBuilder {
    RedisStorage::builder(first)
        .cluster([format!("127.0.0.1:{}", cluster.0[0].port)])
        .operation_timeout(Duration::from_millis(500))
        .heartbeat(Duration::from_millis(50))
}

/// A replica leaves the cluster. It goes on running.
fn leave(cluster: &Cluster, node: usize) {
    let gone: String = cluster.0[node].ask("CLUSTER MYID");
    let _: () = cluster.0[node].ask("CLUSTER RESET HARD");
    for other in (0..cluster.0.len()).filter(|&other| other != node) {
        let _: () = cluster.0[other].ask(&format!("CLUSTER FORGET {gone}"));
    }
}

fn down(server: &Server) -> StorageError {
    StorageError::Unavailable(format!(
        "127.0.0.1:{}: CLUSTERDOWN Hash slot not served",
        server.port
    ))
}

/// Another node tells of changes.
async fn moved(storage: RedisStorage, cluster: &Cluster) {
    let mut watched = Watched::ready(storage).await;
    for node in [0, 1] {
        let circuit = cluster.circuit_on(node);
        let before = watched.load(&circuit).await.unwrap().record;
        let before = before.map_or(0, |record| record.version);
        let record = watched.announce(&circuit, before, "x").await;
        assert_eq!(watched.next().await, Some(Told::Changed(circuit, record)));
    }
}

#[test]
fn a_node_that_leaves_the_cluster_is_watched_no_longer() {
    let cluster = Cluster::new(2, 1);
    run(async {
        let storage = storage(&cluster.0[2].url(), &cluster).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        assert_eq!(cluster.watched(), 2);
        // All that is used is known: nobody asks the node.
        for node in [0, 1] {
            watched.load(&cluster.circuit_on(node)).await.unwrap();
        }
        leave(&cluster, 2);
        assert_eq!(watched.end().await, down(&cluster.0[2]));
        moved(storage, &cluster).await;
    });
}

#[test]
fn what_a_node_that_left_says_of_a_circuit_is_looked_into_at_once() {
    let cluster = Cluster::new(2, 1);
    run(async {
        let storage = storage(&cluster.0[2].url(), &cluster);
        // So that it would be looked into after half a minute.
        let storage = storage.heartbeat(Duration::from_secs(1)).build().unwrap();
        let mut watched = Watched::ready(storage).await;
        leave(&cluster, 2);
        let error = watched.load(&cluster.circuit_on(1)).await.unwrap_err();
        assert!(matches!(error, StorageError::Unreachable(_)), "{error}");
        let end = tokio::time::timeout(Duration::from_secs(5), watched.end()).await;
        assert_eq!(end, Ok(down(&cluster.0[2])));
    });
}

#[test]
fn a_node_that_has_left_the_cluster_is_not_watched() {
    let cluster = Cluster::new(2, 1);
    leave(&cluster, 2);
    run(async {
        let storage = storage(&cluster.0[2].url(), &cluster).build().unwrap();
        assert_eq!(Watched::refused(storage.clone()).await, down(&cluster.0[2]));
        moved(storage, &cluster).await;
    });
}

#[test]
fn a_node_with_the_minority_is_watched_no_longer() {
    let mut cluster = Cluster::new(3, 0);
    run(async {
        let storage = storage(&cluster.0[0].url(), &cluster).build().unwrap();
        let mut watched = Watched::ready(storage).await;
        // For this one they are gone, and nobody but it can tell.
        cluster.0[1].kill();
        cluster.0[2].kill();
        let StorageError::Unavailable(cause) = watched.end().await else { panic!("another end") };
        let expected = format!("127.0.0.1:{}: CLUSTERDOWN The cluster is down", cluster.0[0].port);
        assert_eq!(cause, expected);
    });
}

#[test]
fn a_node_that_is_told_nothing_is_not_watched() {
    let cluster = Cluster::new(2, 0);
    // It takes part in everything else.
    let muffled = Muffled::new(cluster.0[1].port, usize::MAX);
    run(async {
        let first = format!("redis://127.0.0.1:{}", muffled.port);
        let storage = storage(&first, &cluster).build().unwrap();
        let unheard = StorageError::Unavailable("what is announced does not arrive".into());
        assert_eq!(Watched::refused(storage.clone()).await, unheard);
        moved(storage.clone(), &cluster).await;

        muffled.lose(0);
        let storage = self::storage(&first, &cluster).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        muffled.lose(usize::MAX);
        assert_eq!(watched.end().await, unheard);
        moved(storage, &cluster).await;
    });
}

#[test]
fn slots_that_nobody_has_take_no_other_circuits_with_them() {
    let cluster = Cluster::new(2, 0);
    run(async {
        let storage = storage(&cluster.0[1].url(), &cluster).build().unwrap();
        let watched = Watched::ready(storage).await;
        let circuit = cluster.circuit_on(0);
        let slot: u64 =
            cluster.0[0].ask(&format!("CLUSTER KEYSLOT cb:{{{}}}", circuit.replace(' ', "%20")));
        for node in &cluster.0 {
            let _: () = node.ask(&format!("CLUSTER DELSLOTS {slot}"));
        }
        for _ in 0..10 {
            let error = watched.load(&circuit).await.unwrap_err();
            assert!(matches!(error, StorageError::Unreachable(_)), "{error}");
            tokio::time::sleep(Duration::from_millis(50)).await; // As often as it is worth to look.
        }
        watched.load(&cluster.circuit_on(1)).await.unwrap();
        assert!(!watched.task.is_finished());
    });
}
