//! Where to find the server to watch.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::cmd;

use super::address::{Address, Login};
use super::dial::{Dialer, Link, Push, within};
use super::failure::failure;
use crate::storage::StorageError;
use crate::sync::lock;

/// What there is, and who speaks to it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) kind: Kind,
    pub(super) login: Login,
    pub(super) database: u32,
}

#[derive(Debug)]
pub(super) enum Kind {
    Server(Address),
    /// The server that the Sentinels know by this name.
    Master {
        name: String,
        sentinels: Candidates,
        login: Login,
    },
    /// Any node of a cluster.
    #[cfg(feature = "redis-cluster")]
    Cluster(Candidates),
}

impl Place {
    /// A connection for a watch, and to whom.
    pub(super) async fn connect(
        &self,
        dialer: &Dialer,
        push: Push,
    ) -> Result<(Address, Link), StorageError> {
        let address = match &self.kind {
            Kind::Server(address) => address.clone(),
            // Asked every time: after a failover it is another.
            Kind::Master { name, sentinels, login } => {
                master(name, sentinels, login, dialer).await?
            }
            #[cfg(feature = "redis-cluster")]
            Kind::Cluster(nodes) => return self.any(nodes, dialer, push).await,
        };
        let link = self.open(&address, dialer, Some(push)).await?;
        Ok((address, link))
    }

    pub(super) async fn open(
        &self,
        address: &Address,
        dialer: &Dialer,
        push: Option<Push>,
    ) -> Result<Link, StorageError> {
        dialer.open(address, &self.login, self.database, push).await
    }

    #[cfg(feature = "redis-cluster")]
    async fn any(
        &self,
        nodes: &Candidates,
        dialer: &Dialer,
        push: Push,
    ) -> Result<(Address, Link), StorageError> {
        let mut last = None;
        for address in nodes.in_turn() {
            match self.open(&address, dialer, Some(Push::clone(&push))).await {
                Ok(link) => return Ok((address, link)),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(none))
    }
}

/// Where the master is, by the first Sentinel that knows.
async fn master(
    name: &str,
    sentinels: &Candidates,
    login: &Login,
    dialer: &Dialer,
) -> Result<Address, StorageError> {
    let mut last = None;
    for sentinel in sentinels.in_turn() {
        let asked = async {
            let link = dialer.open(&sentinel, login, 0, None).await?;
            let mut question = cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
            let answer: Option<(String, String)> = within(dialer.operation_timeout, async {
                let answer = question.query_async(&mut link.handle()).await;
                answer.map_err(|error| failure(&error))
            })
            .await
            .map_err(|error| error.of(&sentinel))?;
            let unknown = || StorageError::Refused(format!("there is no master {name:?}"));
            let (host, port) = answer.ok_or_else(|| unknown().of(&sentinel))?;
            Address::of_reply(&format!("{host}:{port}"), &sentinel)
                .ok_or_else(|| StorageError::Unavailable(format!("{sentinel}: no address")))
        };
        match asked.await {
            Ok(address) => return Ok(address),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(none))
}

fn none() -> StorageError {
    StorageError::Unavailable("there is nobody to ask".into())
}

/// Servers of which any will do.
#[derive(Debug)]
pub(super) struct Candidates {
    known: Mutex<Vec<Address>>,
    turn: AtomicUsize,
}

impl Candidates {
    pub(super) fn new(known: Vec<Address>) -> Self {
        Self { known: Mutex::new(known), turn: AtomicUsize::new(0) }
    }

    /// All of them, every time beginning with another: who was first the last time may be the one that is
    /// gone, or that does not know yet.
    fn in_turn(&self) -> Vec<Address> {
        let mut candidates = lock(&self.known).clone();
        if !candidates.is_empty() {
            let first = self.turn.fetch_add(1, Ordering::Relaxed) % candidates.len();
            candidates.rotate_left(first);
        }
        candidates
    }

    /// More of them, should those that were given be gone some day.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn add(&self, others: impl IntoIterator<Item = Address>) {
        let mut known = lock(&self.known);
        for other in others {
            if known.len() < MAX_KNOWN && !known.contains(&other) {
                known.push(other);
            }
        }
    }
}

#[cfg(feature = "redis-cluster")]
const MAX_KNOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_take_turns_at_being_first() {
        let address = |port| Address { host: "h".into(), port };
        let candidates = Candidates::new((1..=3).map(address).collect());
        let firsts: Vec<_> = (0..4).map(|_| candidates.in_turn()[0].port).collect();
        assert_eq!(firsts, [1, 2, 3, 1]);
    }
}
