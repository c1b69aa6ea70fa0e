//! Where to find the server to watch.

use std::sync::Mutex;

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
    /// Those that were named. They are kept, whatever the others say.
    named: Vec<Address>,
    found: Mutex<Vec<Address>>,
    last_tried: Mutex<Option<Address>>,
}

impl Candidates {
    pub(super) fn new(named: Vec<Address>) -> Self {
        Self { named, found: Mutex::default(), last_tried: Mutex::default() }
    }

    /// All of them, beginning with the one after the last that was tried: that may be the one that is gone, or
    /// that does not know yet. An attempt that was given up half way is gone on with.
    fn in_turn(&self) -> impl Iterator<Item = Address> {
        let mut candidates = self.named.clone();
        for found in lock(&self.found).iter() {
            if !candidates.contains(found) {
                candidates.push(found.clone());
            }
        }
        let last = lock(&self.last_tried).clone();
        let last = last.and_then(|last| candidates.iter().position(|other| *other == last));
        if let Some(last) = last {
            candidates.rotate_left(last + 1);
        }
        candidates.into_iter().inspect(|next| *lock(&self.last_tried) = Some(next.clone()))
    }

    /// More of them, should those that were named be gone some day, in place of those found before.
    #[cfg(feature = "redis-cluster")]
    pub(super) fn find(&self, others: Vec<Address>) {
        *lock(&self.found) = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address { host: "h".into(), port }
    }

    fn ports(candidates: &Candidates, tried: usize) -> Vec<u16> {
        candidates.in_turn().map(|address| address.port).take(tried).collect()
    }

    #[test]
    fn candidates_take_turns_at_being_first() {
        let candidates = Candidates::new((1..=3).map(address).collect());
        let firsts: Vec<_> = (0..4).flat_map(|_| ports(&candidates, 1)).collect();
        assert_eq!(firsts, [1, 2, 3, 1]);
    }

    #[test]
    fn an_attempt_goes_on_where_the_last_one_was_given_up() {
        let candidates = Candidates::new((1..=5).map(address).collect());
        assert_eq!(ports(&candidates, 3), [1, 2, 3]);
        assert_eq!(ports(&candidates, 3), [4, 5, 1]);
        assert_eq!(ports(&candidates, 9), [2, 3, 4, 5, 1]);
        assert_eq!(ports(&candidates, 1), [2]);
    }

    #[cfg(feature = "redis-cluster")]
    #[test]
    fn what_was_found_is_replaced_and_what_was_named_stays() {
        let candidates = Candidates::new([1, 2].map(address).to_vec());
        for round in 1..=200 {
            candidates.find([2, 10 * round, 10 * round + 1].map(address).to_vec());
        }
        assert_eq!(ports(&candidates, 9), [1, 2, 2000, 2001]);
        candidates.find([3, 4].map(address).to_vec());
        // Where the last one is gone, from the beginning.
        assert_eq!(ports(&candidates, 9), [1, 2, 3, 4]);
        candidates.find([4, 3].map(address).to_vec());
        assert_eq!(ports(&candidates, 1), [3]);
    }
}
