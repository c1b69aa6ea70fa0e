//! The nodes of a cluster, each with a connection of its own.
//!
//! Who has a key is asked of any node, and remembered: the answer is `MOVED`. A node that does not answer is
//! forgotten, and so are the keys it had; circuits that are elsewhere do not notice. The cluster client of the
//! `redis` crate is not used: it stays with a node that hangs when another has taken over, while it looks for
//! nodes it lets all commands wait, and it needs more rights.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{
    Cmd, ErrorKind, Pipeline, RedisFuture, ServerErrorKind, Value, cmd, make_extension_error,
};
use tokio::sync::watch;
use tokio::time::timeout;

use super::address::Address;
use super::dial::{Dialer, Link, within};
use super::failure::{failure, reply};
use super::place::{Kind, Place};
use super::scripts::Call;
use crate::storage::StorageError;
use crate::sync::lock;

pub(super) struct Nodes {
    /// Who is asked for what is not known.
    home: Address,
    place: Arc<Place>,
    dialer: Dialer,
    owners: Mutex<HashMap<u16, Address>>,
    /// Whether `home` says that it has no part in a cluster that serves.
    doubted: AtomicBool,
    links: Mutex<HashMap<Address, Opening>>,
}

/// A connection, or an attempt at one that several may wait for. It goes on when their time is up.
type Opening = watch::Receiver<Option<Result<Arc<Link>, StorageError>>>;

/// How often an operation may be sent elsewhere. One time is usual, two while slots move.
const MAX_HOPS: usize = 5;

/// What a server says of who may do what: each of its own users, as nodes do not share them.
const RIGHTS: [&str; 5] =
    ["NOPERM ", "NOAUTH ", "WRONGPASS ", "can't run this command", "ERR unknown command"];

impl Nodes {
    pub(super) fn new(home: Address, place: Arc<Place>, dialer: Dialer) -> Self {
        let (owners, links) = (Mutex::default(), Mutex::default());
        let doubted = AtomicBool::new(false);
        Self { home, place, dialer, owners, doubted, links }
    }

    /// Runs a script through `home`, whatever is known, so that it says who has the key. If it says that the
    /// cluster is down, for it that is so: it has left it, or is with the minority, and others may know better.
    pub(super) async fn prove(&self, call: &Call) -> Result<Value, StorageError> {
        self.doubted.store(false, Ordering::Relaxed);
        lock(&self.owners).remove(&slot(&call.key));
        self.run(call).await.map_err(|error| match error {
            StorageError::Unreachable(cause) if self.is_doubted() => {
                StorageError::Unavailable(cause)
            }
            other => other,
        })
    }

    /// Learns from `home` which other nodes there are, in case it is gone some day.
    pub(super) async fn find_others(&self, link: &Link) {
        let known = known(link, &self.home, self.dialer.operation_timeout).await;
        if let (Kind::Cluster(candidates), false) = (&self.place.kind, known.is_empty()) {
            candidates.find(known);
        }
    }

    /// Whether there is a new reason to ask for proof of `home`.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Relaxed)
    }

    /// Runs a script where its key is. What goes wrong is about this key, as far as can be told: unless `home` says
    /// that it is about who asks.
    pub(super) async fn run(&self, call: &Call) -> Result<Value, StorageError> {
        let slot = slot(&call.key);
        // Before the driver gives up: to that, the whole storage would be down.
        let limit = self.dialer.operation_timeout.mul_f64(0.9);
        let found = within(limit, self.search(slot, call)).await;
        found.map_err(|error| match error {
            StorageError::Unusable(_) => error,
            StorageError::Refused(cause) if RIGHTS.iter().any(|text| cause.contains(text)) => {
                StorageError::Refused(cause)
            }
            StorageError::Unavailable(cause)
            | StorageError::Refused(cause)
            | StorageError::Unreachable(cause) => {
                // Perhaps it has moved since.
                lock(&self.owners).remove(&slot);
                StorageError::Unreachable(cause)
            }
        })
    }

    async fn search(&self, slot: u16, call: &Call) -> Result<Value, StorageError> {
        let known = lock(&self.owners).get(&slot).cloned();
        let (mut node, mut asking) = (known.unwrap_or_else(|| self.home.clone()), false);
        for _ in 0..MAX_HOPS {
            let mut opening = self.opening(&node);
            let link = match opening.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Ok(link))) => Ok(Arc::clone(link)),
                Ok(Some(Err(error))) => Err(self.said_by(&node, error.clone())),
                Ok(None) | Err(_) => Err(StorageError::Unavailable(format!("{node}: given up"))),
            };
            // Until there is an answer, also if this is dropped before.
            let mut suspect = Suspect { nodes: self, node: &node, opening, acquitted: false };
            let link = link?;
            let answer = match asking {
                true => call.run(&mut Asking(link.handle())).await,
                false => call.run(&mut link.handle()).await,
            };
            let error = match answer {
                Ok(value) => {
                    suspect.acquitted = true;
                    return Ok(value);
                }
                Err(error) => error,
            };
            suspect.acquitted = matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension);
            drop(suspect);
            if error.kind() == ErrorKind::Server(ServerErrorKind::ClusterDown) && node == self.home
            {
                self.doubted.store(true, Ordering::Relaxed);
            }
            let moved = error.kind() == ErrorKind::Server(ServerErrorKind::Moved);
            let next = error.redirect_node().and_then(|(to, _)| Address::of_reply(to, &node));
            let Some(next) = next else {
                let failure = match failure(&error) {
                    // Whatever is wrong with it, the user may do all else.
                    StorageError::Refused(cause) if error.code() == Some(ASKING) => {
                        StorageError::Unreachable(cause)
                    }
                    other => other,
                };
                return Err(self.said_by(&node, failure.of(&node)));
            };
            if moved {
                lock(&self.owners).insert(slot, next.clone());
            }
            (node, asking) = (next, !moved);
        }
        Err(StorageError::Unreachable("the nodes send it round in circles".into()))
    }

    /// What a node says is about what it has, and of the others nothing is known.
    fn said_by(&self, node: &Address, error: StorageError) -> StorageError {
        match error {
            StorageError::Refused(cause) if *node != self.home => StorageError::Unreachable(cause),
            other => other,
        }
    }

    fn opening(&self, node: &Address) -> Opening {
        let begin = || {
            let (done, opening) = watch::channel(None);
            let (node, place, dialer) =
                (node.clone(), Arc::clone(&self.place), self.dialer.clone());
            tokio::spawn(async move {
                tokio::select! {
                    // If nobody has a use for it any more.
                    () = done.closed() => {}
                    opened = place.open(&node, &dialer, None) => {
                        let _ = done.send(Some(opened.map(Arc::new)));
                    }
                }
            });
            opening
        };
        let mut links = lock(&self.links);
        let closed = |opening: &Opening| match &*opening.borrow() {
            Some(Ok(link)) => link.is_closed(),
            // Whoever waited for it was told, and it may be well again.
            Some(Err(_)) => true,
            None => false,
        };
        if links.get(node).is_some_and(closed) {
            links.remove(node);
        }
        links.entry(node.clone()).or_insert_with(begin).clone()
    }
}

/// A node that has not answered yet. If it never does, its connection is not used again, and what it has is
/// looked for elsewhere.
struct Suspect<'a> {
    nodes: &'a Nodes,
    node: &'a Address,
    opening: Opening,
    acquitted: bool,
}

impl Drop for Suspect<'_> {
    fn drop(&mut self) {
        if self.acquitted {
            return;
        }
        lock(&self.nodes.owners).retain(|_, owner| owner != self.node);
        let mut links = lock(&self.nodes.links);
        if links.get(self.node).is_some_and(|other| other.same_channel(&self.opening)) {
            links.remove(self.node);
        }
    }
}

const ASKING: &str = "ASKING";

/// Says before each command that it was sent here though the slot is still another node's.
struct Asking<C>(C);

impl<C: ConnectionLike + Send> ConnectionLike for Asking<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let mut both = Pipeline::new();
            both.cmd(ASKING).add_command(command.clone());
            let mut answers = self.0.req_packed_commands(&both, 0, 2).await?;
            let answer = answers.pop().unwrap_or(Value::Nil);
            if let Some(Err(error)) = answers.pop().map(Value::extract_error) {
                return Err(make_extension_error(ASKING.to_owned(), Some(reply(&error))));
            }
            answer.extract_error()
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

/// The nodes that a node knows; none if it does not say. That takes a right which nothing else needs.
async fn known(link: &Link, asked: &Address, limit: Duration) -> Vec<Address> {
    let (mut connection, mut question) = (link.handle(), cmd("CLUSTER"));
    question.arg("SLOTS");
    let Ok(Ok(Value::Array(ranges))) = timeout(limit, question.query_async(&mut connection)).await
    else {
        return Vec::new();
    };
    // Of each range: first, last, and then its nodes: host, port and more.
    let nodes = ranges.iter().filter_map(|range| match range {
        Value::Array(range) => range.get(2..),
        _ => None,
    });
    let address = |node: &Value| match node {
        Value::Array(node) => match &node[..] {
            [Value::BulkString(host), Value::Int(port), ..] => {
                let host = String::from_utf8_lossy(host);
                Address::of_reply(&format!("{host}:{port}"), asked)
            }
            // It does not say where, so it is where this one is.
            [Value::Nil, Value::Int(port), ..] => Address::of_reply(&format!(":{port}"), asked),
            _ => None,
        },
        _ => None,
    };
    nodes.flatten().filter_map(address).collect()
}

/// The slot of a key: of what is in its first braces, if anything is.
fn slot(key: &str) -> u16 {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes()) % 16384
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            let shifted = crc << 1;
            if crc & 0x8000 == 0 { shifted } else { shifted ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_cluster_specification() {
        assert_eq!(crc16(b"123456789"), 0x31C3);
        assert_eq!(slot("foo"), 12182);
        assert_eq!(slot("cb:{foo}"), 12182);
        assert_eq!(slot("cb:{foo}{bar}"), 12182);
        assert_eq!(slot("bar"), 5061);
        assert_eq!(slot("{}foo"), crc16(b"{}foo") % 16384);
    }
}
