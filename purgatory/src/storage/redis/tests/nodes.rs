//! A cluster of a test's own.

use std::time::{Duration, Instant};

use super::super::{RedisStorage, RedisStorageBuilder};
use super::server::{Server, ask, free_port};
use super::watched::PATIENCE;

/// Masters that share the slots, and a replica for each of the first ones.
pub(super) struct Cluster(pub(super) Vec<Server>);

impl Cluster {
    pub(super) fn new(masters: usize, replicas: usize) -> Self {
        Self::of((0..masters + replicas).map(|_| node(&[])).collect(), masters)
    }

    /// The first of them are the masters.
    pub(super) fn of(nodes: Vec<Server>, masters: usize) -> Self {
        for (i, node) in nodes[..masters].iter().enumerate() {
            let bounds = [i, i + 1].map(|i| i * 16384 / masters);
            let _: () = node.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", i + 1));
            let range = format!("CLUSTER ADDSLOTSRANGE {} {}", bounds[0], bounds[1] - 1);
            let _: () = node.ask(&range);
        }
        let first = |setting: &str| {
            nodes[0].ask::<Vec<String>>(&format!("CONFIG GET {setting}"))[1].clone()
        };
        let port = if first("tls-cluster") == "yes" { first("tls-port") } else { first("port") };
        for node in &nodes[1..] {
            let meet = format!("CLUSTER MEET 127.0.0.1 {port} {}", first("cluster-port"));
            let _: () = node.ask(&meet);
        }
        let cluster = Self(nodes);
        let all = cluster.0.len();
        cluster.until_all(|node| node.ask::<String>("CLUSTER NODES").lines().count() == all);
        for (master, replica) in cluster.0[..masters].iter().zip(&cluster.0[masters..]) {
            let id: String = master.ask("CLUSTER MYID");
            let _: () = replica.ask(&format!("CLUSTER REPLICATE {id}"));
        }
        cluster.until_all(|node| node.ask::<String>("CLUSTER INFO").contains("cluster_state:ok"));
        for replica in &cluster.0[masters..] {
            let up = "master_link_status:up";
            until(|| replica.ask::<String>("INFO replication").contains(up));
        }
        cluster
    }

    fn until_all(&self, is: impl Fn(&Server) -> bool) {
        until(|| self.0.iter().all(&is));
    }

    pub(super) fn storage(&self) -> RedisStorageBuilder {
        let others = self.0[1..].iter().map(|node| format!("127.0.0.1:{}", node.port));
        // What is not about time has more of it than usual.
        let limit = Duration::from_secs(1);
        RedisStorage::builder(self.0[0].url()).cluster(others).operation_timeout(limit)
    }

    /// A circuit that this node has.
    pub(super) fn circuit_on(&self, node: usize) -> String {
        self.circuits_on(node).next().unwrap()
    }

    pub(super) fn circuits_on(&self, node: usize) -> impl Iterator<Item = String> {
        let on = move |name: &String| self.owner(name) == self.0[node].port;
        (0..).map(|i| format!("circuit {i}")).filter(on)
    }

    /// Who has it, by what the first node that answers says.
    pub(super) fn owner(&self, circuit: &str) -> u16 {
        let key = format!("cb:{{{}}}", circuit.replace(' ', "%20"));
        let mut connection = self.0.iter().find_map(|node| node.connection().ok()).unwrap();
        let slot: u64 = ask(&mut connection, &["CLUSTER", "KEYSLOT", &key]).unwrap();
        let nodes: String = ask(&mut connection, &["CLUSTER", "NODES"]).unwrap();
        // Of each: id, host:port@bus, flags, master, two times, epoch, link, and the slots.
        let has = |line: &&str| {
            line.split(' ').skip(8).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                (first.parse().unwrap()..=last.parse().unwrap()).contains(&slot)
            })
        };
        let address = nodes.lines().find(has).unwrap().split(' ').nth(1).unwrap();
        address.split([':', '@']).nth(1).unwrap().parse().unwrap()
    }

    /// The node that the watch is on.
    pub(super) fn watched(&self) -> usize {
        let subscribed = |node: &Server| node.ask::<(String, i64)>("PUBSUB NUMSUB cb:ev").1 > 0;
        self.0.iter().position(subscribed).expect("one is subscribed to")
    }
}

/// One that no cluster has yet.
pub(super) fn node(more: &[&str]) -> Server {
    let bus = free_port().to_string();
    let arguments = [
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
    ];
    Server::with(&[&arguments, more].concat())
}

fn until(is: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "the cluster does not come about");
        std::thread::sleep(Duration::from_millis(20)); // As often as it is worth to look.
    }
}
