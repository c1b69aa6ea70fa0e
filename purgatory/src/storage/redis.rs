//! Records in Redis or Valkey.
//!
//! What the crate `redis` offers for this is used in part: its connection, its scripts and its errors. Its
//! connection manager keeps a connection whose server has gone silent, its cluster client stays with a node
//! that hangs, and what it does for Sentinels takes more rights. So a connection here has one [life], which
//! ends with the first failure, and what comes next is the driver's affair.

mod address;
mod builder;
mod dial;
mod failure;
mod keys;
mod life;
mod native;
#[cfg(feature = "redis-cluster")]
mod nodes;
mod place;
pub(crate) mod python;
mod scripts;
#[cfg(test)]
mod tests;
#[cfg(feature = "redis-tls")]
mod tls;
mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::builder::RedisStorageBuilder;
use self::dial::Dialer;
use self::life::{Life, Lives};
use self::native::{NOT_PLAIN, Native};
use self::place::Place;
use self::python::PythonLayout;
use self::scripts::{Answer, Call, PYTHON};
use super::{
    Bump, Bumped, Storage, StorageError, StorageFuture, StorageOptions, Stored, Swap, Watcher,
    Watching, Write,
};

/// Keeps circuits in Redis or Valkey, for all processes that use the same server, prefix and scope. It is tested
/// with Redis 7.0 and Valkey 8.0, and uses nothing that Redis 6.2 does not have.
///
/// It speaks to one server, to the master that [Sentinels](RedisStorageBuilder::sentinel) know, or to a
/// cluster (feature `redis-cluster`), through TLS if the URL begins with `rediss://` (feature `redis-tls`).
///
/// Clones are one storage, which several factories can use. Each has a connection of its own. If they also share
/// the runtime of their [drivers](crate::FactoryBuilder::driver), an operation of one may go through the connection
/// of another: when it fails, both begin theirs anew.
///
/// # On the server
///
/// A circuit is one string of some hundred bytes, under `cb:{name}`, or `cb:{scope/name}`; what is not of
/// `A-Z`, `a-z`, `0-9` and `_.:/-` is percent-encoded. Changes are published on `cb:ev`, or `cb:ev:N` with another
/// database than 0. The key `cb:health` is written at every connection, and every 30 seconds on a cluster, or without
/// the right to publish. Everything expires, but in the layout of Python. `cb` is the
/// [prefix](RedisStorageBuilder::prefix).
///
/// # Rights
///
/// A user that may do no more than is needed:
///
/// ```text
/// ACL SETUSER breakers on >... ~cb:* &cb:* -@all
///     +hello +get +set +time +publish +subscribe +evalsha +script|load
/// ```
///
/// With a database other than 0, it needs `+select`. On a cluster, `+asking` keeps circuits in reach while
/// their slots move, and `+cluster|slots` finds nodes that the builder does not name. Without `+publish`,
/// changes arrive by asking, see [`StorageOptions::poll()`].
///
/// ```
/// use purgatory::{RedisStorage, Storage, StorageOptions};
///
/// let storage = RedisStorage::builder("redis://redis.internal:6379").build()?;
/// assert_eq!(storage.options(), StorageOptions::new());
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct RedisStorage(Arc<Shared>);

struct Shared {
    /// Where the circuits are, unless they are in the layout of the Python package, and in any case what
    /// shows that the server can be written to.
    native: Native,
    python: Option<PythonLayout>,
    place: Arc<Place>,
    dialer: Dialer,
    lives: Lives,
    heartbeat: Duration,
    options: StorageOptions,
}

impl RedisStorage {
    /// Begins a storage at a server: `redis://[[user]:password@]host[:port][/database]`. With `rediss://`, it
    /// goes through TLS (feature `redis-tls`). `valkey://` and `valkeys://` are the same.
    ///
    /// ```
    /// use purgatory::RedisStorage;
    ///
    /// let storage = RedisStorage::builder("redis://localhost").build()?;
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn builder(url: impl Into<String>) -> RedisStorageBuilder {
        RedisStorageBuilder::new(url.into())
    }

    async fn ask(&self, call: &Call) -> Result<Answer, StorageError> {
        let life = self.life()?;
        let answer = self.or_end(&life, life.ask(call).await)?;
        if let Some(cause) = &answer.unannounced {
            life.unannounced(cause);
        }
        Ok(answer)
    }

    fn life(&self) -> Result<Arc<Life>, StorageError> {
        let not_connected = || StorageError::Unavailable("not connected".into());
        self.0.lives.mine().ok_or_else(not_connected)
    }

    /// An answer; if it is one after which the connection is of no use, that ends.
    fn or_end<T>(
        &self,
        life: &Arc<Life>,
        answer: Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let password = self.0.place.login.password.as_ref();
        let answer = answer.map_err(|error| error.without(password));
        if let Err(error @ (StorageError::Unavailable(_) | StorageError::Refused(_))) = &answer {
            self.0.lives.end(life, error.clone());
        }
        answer
    }

    /// Reads or writes a circuit in the layout of the Python package.
    async fn in_python(
        &self,
        layout: &PythonLayout,
        request: python::Request,
    ) -> Result<Swap, StorageError> {
        let [record, counter] = request.keys().clone();
        let call = Call::new(&PYTHON, record).and_key(counter);
        let call = request.args().iter().cloned().fold(call, Call::arg);
        let life = self.life()?;
        let answer = life.run(&call).await.and_then(|value| {
            let reply = redis::from_redis_value::<python::Reply>(value);
            reply.map_err(|_| StorageError::Unavailable("an answer that makes no sense".into()))
        });
        layout.take(request, self.or_end(&life, answer)?.into())
    }

    async fn swap(&self, write: &Write<'_>) -> Result<Swap, StorageError> {
        let answer = self.ask(&self.0.native.compare_and_set(write)).await?;
        Ok(Swap { applied: answer.outcome > 0, stored: answer.stored })
    }

    async fn add(&self, bump: &Bump<'_>, call: &Call) -> Result<Stored, StorageError> {
        loop {
            let Answer { stored, outcome, .. } = self.ask(call).await?;
            if outcome != NOT_PLAIN {
                return Ok(stored);
            }
            // Garbage, or of another version of the library, or not closed: all of it is known here.
            let now = stored.now.unwrap_or(SystemTime::UNIX_EPOCH);
            let Some(Bumped { bytes, announce }) = bump.apply(stored.record.as_ref(), now) else {
                return Ok(stored);
            };
            let (circuit, expires_in) = (bump.circuit(), bump.expires_in());
            let expected = stored.record.map_or(0, |record| record.version);
            let write = Write { circuit, expected, bytes: &bytes, expires_in, announce };
            let swap = self.swap(&write).await?;
            // If not, somebody has just made something else of it.
            if swap.applied {
                return Ok(swap.stored);
            }
        }
    }
}

impl Storage for RedisStorage {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        Box::pin(async move {
            match &self.0.python {
                None => Ok(self.ask(&self.0.native.load(circuit)).await?.stored),
                Some(layout) => Ok(self.in_python(layout, layout.load(circuit)?).await?.stored),
            }
        })
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        Box::pin(async move {
            let Some(layout) = &self.0.python else { return self.swap(&write).await };
            let request = layout.write(write.circuit, write.expected, write.bytes)?;
            self.in_python(layout, request).await
        })
    }

    fn bump<'a>(&'a self, bump: &'a Bump<'a>) -> Option<StorageFuture<'a, Stored>> {
        if self.0.python.is_some() {
            return None;
        }
        let call = self.0.native.bump(bump)?;
        Some(Box::pin(async move { self.add(bump, &call).await }))
    }

    fn watch<'a>(&'a self, watcher: Watcher) -> Option<Watching<'a>> {
        Some(Box::pin(watch::run(&self.0, watcher)))
    }

    fn options(&self) -> StorageOptions {
        self.0.options
    }
}

impl fmt::Debug for RedisStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { native, place, options, .. } = &*self.0;
        f.debug_struct("RedisStorage")
            .field("place", place)
            .field("keys", native)
            .field("options", options)
            .finish_non_exhaustive()
    }
}
