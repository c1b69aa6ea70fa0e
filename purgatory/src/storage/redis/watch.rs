//! One connection, from the handshake to its end.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind, Value, cmd};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Shared;
use super::dial::{Link, Push, within};
use super::failure::failure;
use super::life::{Life, Route};
use super::native::{Native, News};
#[cfg(feature = "redis-cluster")]
use super::nodes::Nodes;
#[cfg(feature = "redis-cluster")]
use super::place::Kind;
use crate::storage::{StorageError, Watcher};

/// Runs until something fails, here or in an operation.
pub(super) async fn run(shared: &Shared, watcher: Watcher) -> StorageError {
    match live(shared, watcher).await {
        Ok(never) => match never {},
        Err(error) => error.without(shared.place.login.password.as_ref()),
    }
}

async fn live(shared: &Shared, watcher: Watcher) -> Result<Infallible, StorageError> {
    let (end, mut ended) = mpsc::channel(1);
    let (hear, heard) = watch::channel(0);
    let push = listener(shared.native.clone(), watcher.clone(), hear, end.clone());
    let (address, link) = shared.place.connect(&shared.dialer, push).await?;
    let link = Arc::new(link);
    let limit = shared.dialer.operation_timeout;
    // Before anything is read: what changes in between is heard of.
    within(limit, async {
        let subscribed = link.handle().subscribe(shared.native.channel()).await;
        subscribed.map_err(|error| failure(&error).of(&"SUBSCRIBE"))
    })
    .await?;
    let route = match &shared.place.kind {
        #[cfg(feature = "redis-cluster")]
        Kind::Cluster(_) => {
            Route::Nodes(Nodes::new(address, Arc::clone(&shared.place), shared.dialer.clone()))
        }
        _ => {
            drop(address);
            Route::Link(Arc::clone(&link))
        }
    };
    let life = Arc::new(Life::new(route, limit, watcher.clone(), end));
    let mut proof = Proof::new(heard);
    let open = Open { shared, life, link };
    proof.seek(&open).await?;
    #[cfg(feature = "redis-cluster")]
    if let Route::Nodes(nodes) = &open.life.route {
        if proof.awaited.is_some() {
            proof.seek(&open).await?;
        }
        nodes.find_others(&open.link).await;
    }
    shared.lives.enter(Arc::clone(&open.life));
    watcher.ready();
    let ended = async {
        let closed = || StorageError::Unavailable("the connection was closed".into());
        Err(ended.recv().await.unwrap_or_else(closed))
    };
    either(ended, heartbeats(&open, &mut proof)).await
}

/// What is told without having been asked for. It is called by the task of the connection.
fn listener(
    native: Native,
    watcher: Watcher,
    hear: watch::Sender<u64>,
    end: mpsc::Sender<StorageError>,
) -> Push {
    Arc::new(move |info: PushInfo| {
        match (info.kind, info.data.as_slice()) {
            (PushKind::Message, [_, Value::BulkString(message)]) => match native.news(message) {
                Some(News::Changed { circuit, record }) => watcher.changed(&circuit, record),
                Some(News::Health(version)) => hear.send_modify(|last| *last = version.max(*last)),
                None => {}
            },
            (PushKind::Disconnection, _) => {
                let closed = StorageError::Unavailable("the connection was closed".into());
                // There is room for the first failure.
                let _ = end.try_send(closed);
            }
            _ => {}
        }
        Ok::<_, SendError>(())
    })
}

/// What is open. However the watch ends, nothing is left of it.
struct Open<'a> {
    shared: &'a Shared,
    life: Arc<Life>,
    link: Arc<Link>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.shared.lives.leave(&self.life);
        self.link.close();
    }
}

/// That the server can be written to, and that what is announced arrives. A node of a cluster that has it was
/// told by the others, and so is one of them.
struct Proof {
    heard: watch::Receiver<u64>,
    /// Until it was found, or that there is none was told.
    due: bool,
    /// The version that was announced and not heard of.
    awaited: Option<u64>,
    sought: Instant,
}

/// When it is sought again at the latest, where there was none or may be none any more.
const AGAIN: Duration = Duration::from_secs(30);

/// And after how many heartbeats, if they are faster.
const HEARTBEATS: u32 = 60;

/// How long an announcement may take: the answer is there, and however slow operations may be, a driver does not
/// wait long for a watch to begin.
const ECHO: Duration = Duration::from_secs(1);

impl Proof {
    fn new(heard: watch::Receiver<u64>) -> Self {
        Self { heard, due: true, awaited: None, sought: Instant::now() }
    }

    /// Seeks it, if it is time to.
    async fn look(&mut self, open: &Open<'_>) -> Result<(), StorageError> {
        if self.awaited.is_some_and(|version| *self.heard.borrow() >= version) {
            self.found(open);
        }
        let again = AGAIN.min(open.shared.heartbeat * HEARTBEATS);
        let (life, over) = (&open.life, self.sought.elapsed() >= again);
        let doubtful = life.is_unannounced() || life.is_one_of_many();
        if self.due || life.is_doubted() || over && doubtful {
            return self.seek(open).await;
        }
        Ok(())
    }

    async fn seek(&mut self, open: &Open<'_>) -> Result<(), StorageError> {
        self.sought = Instant::now();
        let answer = match open.life.prove(&open.shared.native.probe()).await {
            Ok(answer) => answer,
            // The node that would have the key is away, but the others need not be: later, then.
            Err(StorageError::Unreachable(_)) => return Ok(()),
            Err(StorageError::Unusable(cause)) => return Err(StorageError::Refused(cause)),
            Err(error) => return Err(error),
        };
        if let Some(cause) = answer.unannounced {
            self.due = false;
            open.life.unannounced(&cause);
            return Ok(());
        }
        let version = answer.stored.record.map_or(0, |record| record.version);
        let (missed, awaited) = (self.awaited.is_some(), *self.awaited.get_or_insert(version));
        if hears(&mut self.heard, awaited, ECHO.min(open.life.operation_timeout)).await {
            self.found(open);
        } else if !missed {
            // It may just be late.
            self.due = true;
        } else if open.life.is_one_of_many() {
            // It is at another node.
            return Err(StorageError::Unavailable("what is announced does not arrive".into()));
        } else {
            self.due = false;
            open.life.unannounced("it does not arrive");
        }
        Ok(())
    }

    fn found(&mut self, open: &Open<'_>) {
        (self.due, self.awaited) = (false, None);
        open.life.announced();
    }
}

/// Whether that version, or a later one, is heard of in time.
async fn hears(heard: &mut watch::Receiver<u64>, version: u64, limit: Duration) -> bool {
    // Nothing is heard any more when the connection has come to its end.
    matches!(timeout(limit, heard.wait_for(|&heard| heard >= version)).await, Ok(Ok(_)))
}

/// Finds out that the server does not answer, when nobody else asks.
async fn heartbeats(open: &Open<'_>, proof: &mut Proof) -> Result<Infallible, StorageError> {
    let limit = open.life.operation_timeout;
    loop {
        sleep(open.shared.heartbeat).await;
        within(limit, heartbeat(open.link.handle())).await?;
        proof.look(open).await?;
    }
}

async fn heartbeat(mut connection: MultiplexedConnection) -> Result<(), StorageError> {
    let answer: Result<Value, _> = cmd("TIME").query_async(&mut connection).await;
    answer.map(drop).map_err(|error| failure(&error))
}

/// The first to be there.
async fn either<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Pending => other.as_mut().poll(context),
        ready @ Poll::Ready(_) => ready,
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_end_of_a_connection_is_no_announcement() {
        let limit = Duration::from_millis(20);
        let (hear, mut heard) = watch::channel(7);
        assert!(hears(&mut heard, 7, limit).await);
        assert!(!hears(&mut heard, 8, limit).await);
        drop(hear);
        assert!(hears(&mut heard, 7, limit).await);
        assert!(!hears(&mut heard, 8, limit).await);
    }
}
