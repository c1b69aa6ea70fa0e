//! A master, its replica, and those who watch over them.

use std::time::Duration;

use super::engine::Engine;
use super::server::Server;
use super::wait::wait_until;

/// One master, one replica and three Sentinels, which fail over when the master has been silent for 1.5
/// seconds.
#[derive(Debug)]
pub struct Sentinel {
    master: Server,
    replica: Server,
    sentinels: [Server; 3],
}

impl Sentinel {
    /// Starts all five, and waits until the Sentinels know each other and the replica.
    ///
    /// # Panics
    ///
    /// As [`Server::start`], and if they do not find each other.
    pub fn start(engine: Engine) -> Self {
        let master = Server::start(engine);
        let replica = Server::builder(engine)
            .arg("--replicaof", &format!("127.0.0.1 {}", master.port()))
            .start();
        wait_until("the replica to have the data of its master", PATIENCE, || {
            replica.ask::<String>(&["INFO", "replication"]).contains("master_link_status:up")
        });
        // Only now, as they ask a master for its replicas but every ten seconds.
        let watch = || {
            let config = format!(
                "sentinel monitor {NAME} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {NAME} 1500\n\
                 sentinel failover-timeout {NAME} 5000\n",
                master.port()
            );
            Server::builder(engine).sentinel(config).start()
        };
        let sentinels = [watch(), watch(), watch()];
        let sentinel = Self { master, replica, sentinels };
        wait_until("the Sentinels to know each other", PATIENCE, || {
            sentinel.sentinels.iter().all(|asked| {
                let about: Vec<String> = asked.ask(&["SENTINEL", "MASTER", NAME]);
                let number = |field| {
                    let at = about.iter().position(|name| name == field).expect("a known field");
                    about[at + 1].parse::<u32>().expect("a number")
                };
                number("num-slaves") == 1 && number("num-other-sentinels") == 2
            })
        });
        sentinel
    }

    /// The name under which the Sentinels know the master.
    pub fn master_name(&self) -> &'static str {
        NAME
    }

    /// The server that was the master at the start. It is still this one after a failover, and if it comes
    /// back, it takes the Sentinels about ten seconds to make it a replica.
    pub fn master(&self) -> &Server {
        &self.master
    }

    /// The server that was the replica at the start, so the master after a failover.
    pub fn replica(&self) -> &Server {
        &self.replica
    }

    /// The Sentinels.
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// Where the Sentinels are.
    pub fn sentinel_urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }

    /// The port of the master, if all Sentinels agree.
    pub fn master_port(&self) -> Option<u16> {
        let mut ports = self.sentinels.iter().map(|asked| {
            let (_, port) = asked
                .try_ask::<(String, u16)>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])
                .ok()?;
            Some(port)
        });
        let first = ports.next()??;
        ports.all(|port| port == Some(first)).then_some(first)
    }

    /// Waits until all Sentinels name this server as the master, and it takes writes.
    ///
    /// # Panics
    ///
    /// If they do not within the limit.
    pub fn wait_for_switch_to(&self, server: &Server, limit: Duration) {
        wait_until("the Sentinels to switch the master", limit, || {
            self.master_port() == Some(server.port())
                && server.ask::<String>(&["INFO", "replication"]).contains("role:master")
        });
    }
}

/// How long they may take to find each other: they tell of themselves every two seconds.
const PATIENCE: Duration = Duration::from_secs(30);

const NAME: &str = "purgatory";
