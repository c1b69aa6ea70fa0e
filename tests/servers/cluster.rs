//! Servers that share the keys among them.

use std::ops::RangeInclusive;
use std::thread;
use std::time::Duration;

use redis::{FromRedisValue, RedisResult};

use super::engine::Engine;
use super::port::Port;
use super::server::Server;
use super::wait::wait_until;

/// Three masters with a replica each, which fail over when a master has been silent for 1.5 seconds.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    /// On which the nodes talk with each other.
    _buses: Vec<Port>,
}

impl Cluster {
    /// Starts all six, and waits until all slots have a master and all masters a replica with their data.
    ///
    /// # Panics
    ///
    /// As [`Server::start`], and if they do not form a cluster.
    pub fn start(engine: Engine) -> Self {
        let buses: Vec<_> = (0..2 * MASTERS).map(|_| Port::new()).collect();
        let start = |bus: &Port| {
            Server::builder(engine)
                .arg("--cluster-enabled", "yes")
                .arg("--cluster-port", &bus.number().to_string())
                .arg("--cluster-node-timeout", "1500")
                // A replica takes over however old its data is.
                .arg("--cluster-replica-validity-factor", "0")
                .start()
        };
        let cluster = Self { nodes: buses.iter().map(start).collect(), _buses: buses };
        cluster.form();
        cluster
    }

    fn form(&self) {
        let (masters, replicas) = self.nodes.split_at(MASTERS);
        for (index, master) in masters.iter().enumerate() {
            let (first, end) = (index * SLOTS / MASTERS, (index + 1) * SLOTS / MASTERS);
            let (first, last) = (first.to_string(), (end - 1).to_string());
            master.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            // Else they have the same, and settle that among themselves.
            master.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(index + 1).to_string()]);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            // Each meets each: those who only hear of each other take a second longer.
            for (other, bus) in self.nodes.iter().zip(&self._buses).skip(index + 1) {
                let (port, bus) = (other.port().to_string(), bus.number().to_string());
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let ask = |node: &Server, what: &[&str]| node.ask::<String>(what);
        for (master, replica) in masters.iter().zip(replicas) {
            let id = ask(master, &["CLUSTER", "MYID"]);
            wait_until("a replica to know its master", PATIENCE, || {
                replica.try_ask::<()>(&["CLUSTER", "REPLICATE", &id]).is_ok()
            });
        }
        wait_until("the replicas to have the data of their masters", PATIENCE, || {
            replicas
                .iter()
                .all(|node| ask(node, &["INFO", "replication"]).contains("master_link_status:up"))
        });
        wait_until("the nodes to serve, and to know the replicas", PATIENCE, || {
            self.nodes.iter().all(|node| {
                ask(node, &["CLUSTER", "INFO"]).contains("cluster_state:ok\r")
                    && ask(node, &["CLUSTER", "NODES"]).matches("slave ").count() == MASTERS
            })
        });
    }

    /// The nodes: at the start the first three are the masters, and each of the others is the replica of the
    /// one three before.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Where the nodes are.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The slot of a key.
    ///
    /// # Panics
    ///
    /// If no node answers.
    pub fn slot_of(&self, key: &str) -> u16 {
        self.ask_any(&["CLUSTER", "KEYSLOT", key])
    }

    /// The index of the node that is the master of a key now, as far as the first node that answers knows.
    ///
    /// # Panics
    ///
    /// If no node answers, or no node has the key.
    pub fn node_of(&self, key: &str) -> usize {
        let slot = self.slot_of(key);
        let nodes: String = self.ask_any(&["CLUSTER", "NODES"]);
        let master = nodes.lines().find(|node| slots(node).any(|slots| slots.contains(&slot)));
        let address =
            master.and_then(|node| node.split(' ').nth(1)).expect("all slots are covered");
        let ours = |node: &Server| address.contains(&format!(":{}@", node.port()));
        self.nodes.iter().position(ours).expect("a node of this cluster")
    }

    /// Moves so many slots from the first node to the second, which are to be masters, and says which:
    /// the lowest that the first one has. Calls may go on meanwhile.
    ///
    /// # Panics
    ///
    /// If a node does not answer or refuses.
    pub fn reshard(&self, count: u16) -> RangeInclusive<u16> {
        let [from, to, ..] = self.nodes() else { unreachable!("a cluster has six nodes") };
        let id: String = from.ask(&["CLUSTER", "MYID"]);
        let nodes: String = from.ask(&["CLUSTER", "NODES"]);
        let line = nodes.lines().find(|node| node.starts_with(&id)).expect("it knows itself");
        let had = slots(line).next().expect("the first node has slots");
        let moved = *had.start()..=had.start() + count - 1;
        assert!(had.contains(moved.end()), "the first node has but {had:?} in a row");
        let moving: Vec<_> = moved.clone().collect();
        // Some at the same time: Valkey answers each change when the replicas have it too.
        thread::scope(|threads| {
            for slots in moving.chunks(moving.len().div_ceil(10)) {
                let id = &id;
                threads.spawn(move || {
                    self.move_slots(slots, (from, id), to).expect("both nodes answer");
                });
            }
        });
        moved
    }

    /// As `redis-cli` does it.
    fn move_slots(&self, slots: &[u16], from: (&Server, &str), to: &Server) -> RedisResult<()> {
        let ((from, from_id), to_id) = (from, to.ask::<String>(&["CLUSTER", "MYID"]));
        let set = |node: &Server, state: &str, id: &str| {
            let mut commands = redis::pipe();
            for slot in slots {
                commands.cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(state).arg(id).ignore();
            }
            let mut connection = node.connect()?;
            // Of many changes, each of which Valkey answers when the replicas have it.
            connection.set_read_timeout(Some(PATIENCE))?;
            commands.query::<()>(&mut connection)
        };
        set(to, "IMPORTING", from_id)?;
        set(from, "MIGRATING", &to_id)?;
        let mut source = from.connect()?;
        for slot in slots {
            loop {
                let mut list = redis::cmd("CLUSTER");
                let keys: Vec<Vec<u8>> =
                    list.arg("GETKEYSINSLOT").arg(slot).arg(100).query(&mut source)?;
                if keys.is_empty() {
                    break;
                }
                let mut send = redis::cmd("MIGRATE");
                send.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(1000).arg("KEYS").arg(keys);
                send.query::<()>(&mut source)?;
            }
        }
        // The new owner first: in between, the old one sends callers there.
        set(to, "NODE", &to_id)?;
        set(from, "NODE", &to_id)
    }

    /// Asks the nodes in turn, until one answers.
    fn ask_any<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let mut answers = self.nodes.iter().map(|node| node.try_ask(command));
        answers.find_map(Result::ok).expect("a node of the cluster answers")
    }
}

/// The slots of a node, from its line of `CLUSTER NODES`. Those on the move are left out.
fn slots(line: &str) -> impl Iterator<Item = RangeInclusive<u16>> {
    line.split(' ').skip(8).filter(|slots| !slots.starts_with('[')).map(|slots| {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        let slot = |slot: &str| slot.parse().expect("a number");
        slot(first)..=slot(last)
    })
}

const MASTERS: usize = 3;

const SLOTS: usize = 16_384;

/// How long the nodes may take to find each other.
const PATIENCE: Duration = Duration::from_secs(30);
