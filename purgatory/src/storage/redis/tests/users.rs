//! Users, of which every node of a cluster has its own.

use super::nodes::Cluster;
use super::watched::{Watched, refusal, run};
use crate::storage::StorageError;

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
        let (on, other) = (cluster.watched(), 1 - cluster.watched());
        for node in [other, on] {
            let _: () = cluster.0[node].ask("ACL SETUSER breakers -evalsha");
            let error = watched.load(&cluster.circuit_on(node)).await.unwrap_err();
            if node == other {
                // Each has users of its own, so it says nothing of the others.
                assert!(
                    matches!(&error, StorageError::Unreachable(cause) if cause.contains(": NOPERM ")),
                    "{error}"
                );
                watched.load(&cluster.circuit_on(on)).await.unwrap();
                assert!(!watched.task.is_finished());
            } else {
                assert!(refusal(&error).contains(": NOPERM "), "{error}");
                assert_eq!(watched.end().await, error);
            }
        }
    });
}

#[test]
fn a_node_that_does_not_know_who_asks_takes_only_its_circuits_with_it() {
    let cluster = Cluster::new(2, 0);
    let rights = "ACL SETUSER breakers on >geheim ~cb:* &cb:* +@all";
    let _: () = cluster.0[0].ask(rights);
    run(async {
        // The first is the one that is watched.
        let storage = cluster.storage().user("breakers").password("geheim").build().unwrap();
        let watched = Watched::ready(storage).await;
        assert_eq!(cluster.watched(), 0);
        let circuits = [0, 1].map(|node| cluster.circuit_on(node));
        let error = watched.load(&circuits[1]).await.unwrap_err();
        assert!(
            matches!(&error, StorageError::Unreachable(cause) if cause.contains(": WRONGPASS ")),
            "{error}"
        );
        watched.load(&circuits[0]).await.unwrap();
        assert!(!watched.task.is_finished());
        let _: () = cluster.0[1].ask(rights);
        watched.load(&circuits[1]).await.unwrap();
    });
}
