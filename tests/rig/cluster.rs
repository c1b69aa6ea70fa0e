//! Servers that share the keys.

use std::thread;
use std::time::Duration;

use purgatory_tests::servers::{Cluster, Engine, Server, wait_until};
use redis::{Connection, RedisResult, cmd};

use crate::with_each_engine;

with_each_engine! {
    no_call_is_lost_while_slots_move
    a_replica_takes_over_from_a_master_that_is_killed
}

const LIMIT: Duration = Duration::from_secs(30);

/// Keys that lie all over the slots.
fn keys() -> Vec<String> {
    (0..200).map(|number| format!("key {number}")).collect()
}

/// The least that a client of a cluster has to do.
struct Client<'a> {
    cluster: &'a Cluster,
    connections: Vec<Connection>,
}

impl<'a> Client<'a> {
    fn of(cluster: &'a Cluster) -> Self {
        let connections = cluster.nodes().iter().map(Server::connect).map(Result::unwrap).collect();
        Self { cluster, connections }
    }

    fn increment(&mut self, key: &str) -> i64 {
        let (mut node, mut asking) = (0, false);
        loop {
            let connection = &mut self.connections[node];
            if asking {
                cmd("ASKING").exec(connection).unwrap();
            }
            let answer: RedisResult<i64> = cmd("INCR").arg(key).query(connection);
            let error = match answer {
                Ok(count) => return count,
                Err(error) => error,
            };
            let (address, _) = error.redirect_node().expect("nothing else is wrong");
            let is_it = |node: &Server| address.ends_with(&format!(":{}", node.port()));
            node = self.cluster.nodes().iter().position(is_it).unwrap();
            asking = error.code() == Some("ASK");
        }
    }
}

fn no_call_is_lost_while_slots_move(engine: Engine) {
    let cluster = Cluster::start(engine);
    assert_eq!(cluster.urls().len(), 6);
    let keys = keys();
    let owners: Vec<_> = keys.iter().map(|key| cluster.node_of(key)).collect();
    assert!((0..3).all(|node| owners.contains(&node)));

    let rounds = thread::scope(|threads| {
        let moving = threads.spawn(|| [(); 5].map(|()| cluster.reshard(500)));
        let mut client = Client::of(&cluster);
        let mut rounds = 0;
        while !moving.is_finished() || rounds < 2 {
            rounds += 1;
            for key in &keys {
                assert_eq!(client.increment(key), rounds, "{key}");
            }
        }
        let moved = moving.join().unwrap();
        assert_eq!(moved.map(|slots| *slots.end()), [499, 999, 1499, 1999, 2499]);
        rounds
    });
    for (key, owner) in keys.iter().zip(owners) {
        let now = if cluster.slot_of(key) < 2500 { 1 } else { owner };
        assert_eq!(cluster.node_of(key), now, "{key}");
        assert_eq!(cluster.nodes()[now].ask::<i64>(&["GET", key]), rounds);
    }
}

fn a_replica_takes_over_from_a_master_that_is_killed(engine: Engine) {
    let cluster = Cluster::start(engine);
    let keys = keys();
    let key = keys.iter().find(|key| cluster.node_of(key) == 0).unwrap();
    let [master, _, _, replica, ..] = cluster.nodes() else { unreachable!() };
    master.command(&["SET", key, "1"]);
    assert_eq!(master.ask::<u64>(&["WAIT", "1", "1000"]), 1);
    master.kill();
    wait_until("the replica to take over", LIMIT, || cluster.node_of(key) == 3);
    wait_until("it to serve", LIMIT, || replica.try_ask(&["INCR", key]) == Ok(2));
    master.restart();
    wait_until("the former master to follow", LIMIT, || {
        master.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up")
    });
}
