//! How a storage in Redis is put together.

mod options;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::address::{Address, Location, Login, Secret, shown};
use super::dial::Dialer;
use super::keys::Keys;
use super::life::Lives;
use super::native::Native;
use super::place::{Candidates, Kind, Place};
use super::python::{self, PythonLayout};
#[cfg(feature = "redis-tls")]
use super::tls::TlsFiles;
use super::{RedisStorage, Shared};
use crate::error::ConfigError;
use crate::storage::{Consistency, StorageOptions};

/// A [`RedisStorage`] to be.
///
/// Nothing is checked before [`build`](Self::build), and nobody is connected to before the storage is used.
///
/// ```
/// use std::time::Duration;
/// use purgatory::RedisStorage;
///
/// let storage = RedisStorage::builder("redis://redis.internal:6379")
///     .user("breakers")
///     .password("...")
///     .prefix("shop:cb")
///     .scope("eu-west-1")
///     .operation_timeout(Duration::from_millis(100))
///     .build()?;
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing by itself, finish with `.build()`"]
pub struct RedisStorageBuilder {
    url: String,
    prefix: Option<String>,
    scope: Option<String>,
    login: Login,
    servers: Servers,
    sentinel_login: Login,
    #[cfg(feature = "redis-tls")]
    tls: TlsFiles,
    heartbeat: Duration,
    options: StorageOptions,
    consistency: Option<Consistency>,
    python_layout: bool,
}

#[derive(Debug, Clone)]
enum Servers {
    One,
    Sentinels {
        master: String,
        others: Others,
    },
    #[cfg(feature = "redis-cluster")]
    Cluster {
        others: Others,
    },
}

/// Read at once, so that nothing is kept that must not be shown.
type Others = Vec<Result<Address, ConfigError>>;

impl RedisStorageBuilder {
    pub(super) fn new(url: String) -> Self {
        Self {
            url,
            prefix: None,
            scope: None,
            login: Login::default(),
            servers: Servers::One,
            sentinel_login: Login::default(),
            #[cfg(feature = "redis-tls")]
            tls: TlsFiles::default(),
            heartbeat: Duration::from_millis(500),
            options: StorageOptions::new(),
            consistency: None,
            python_layout: false,
        }
    }

    /// What every key and the channel begin with. Default: `cb`. 1 to 64 of `A-Z`, `a-z`, `0-9` and `_.:/-`.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://localhost").prefix("shop:cb");
    /// ```
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Whose circuits they are: those of a zone, or a shard. Only processes of the same scope share a
    /// circuit. Default: none. 1 to 255 bytes without control characters.
    ///
    /// What is down from one zone may be up from another. In the storage, the scope and a slash come before
    /// the name of a circuit: `payments` in scope `eu` is what `eu/payments` is without.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://localhost").scope("eu-west-1");
    /// ```
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Who to be (ACL). Default: as in the URL, and if there is none, the server's default user. It needs a
    /// [password](Self::password).
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://localhost").user("breakers").password("...");
    /// ```
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.login.user = Some(user.into());
        self
    }

    /// The password. Default: as in the URL. No event, error or `Debug` shows it.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://localhost").password("...");
    /// ```
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Some(Secret(password.into()));
        self
    }

    /// The server is the master that Sentinels know by this name. The URL's host is one of the Sentinels (the
    /// port is 26379 if left out), and `others` are more of them, as `host:port`. User, password and database
    /// of the URL are for the master. With `rediss://`, all of them are spoken to through TLS.
    ///
    /// They are asked at every connection, so a failover is followed.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://sentinel-1")
    ///     .sentinel("mymaster", ["sentinel-2:26379", "sentinel-3:26379"]);
    /// ```
    pub fn sentinel(
        mut self,
        master: impl Into<String>,
        others: impl IntoIterator<Item: Into<String>>,
    ) -> Self {
        let (master, others) = (master.into(), read(others, SENTINEL_PORT));
        self.servers = Servers::Sentinels { master, others };
        self
    }

    /// Who to be to the [Sentinels](Self::sentinel), if they ask for a password. Default: nobody. An empty user
    /// is the default one.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://sentinel-1")
    ///     .sentinel("mymaster", ["sentinel-2"])
    ///     .sentinel_login("", "...");
    /// ```
    pub fn sentinel_login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let user = Some(user.into()).filter(|user: &String| !user.is_empty());
        self.sentinel_login = Login { user, password: Some(Secret(password.into())) };
        self
    }

    /// The server is a cluster. The URL's host is one of its nodes, and `others` are more of them, as
    /// `host:port`, should that one be away; it need not be all.
    ///
    /// A circuit whose node is away goes on by itself, and the others do not notice, if the cluster goes on without
    /// it (`cluster-require-full-coverage no`).
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let builder = RedisStorage::builder("redis://node-1").cluster(["node-2:6379", "node-3:6379"]);
    /// ```
    #[cfg(feature = "redis-cluster")]
    pub fn cluster(mut self, others: impl IntoIterator<Item: Into<String>>) -> Self {
        self.servers = Servers::Cluster { others: read(others, PORT) };
        self
    }

    /// Whose certificates are good, in PEM, for a `rediss://` URL. Default: those the system trusts.
    ///
    /// ```no_run
    /// # use purgatory::RedisStorage;
    /// let ca = std::fs::read("ca.pem")?;
    /// let builder = RedisStorage::builder("rediss://localhost").tls_ca(ca);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "redis-tls")]
    pub fn tls_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.ca = Some(pem.into());
        self
    }

    /// The certificate of this client and its key, in PEM, for a server that asks for one. Default: none.
    ///
    /// ```no_run
    /// # use purgatory::RedisStorage;
    /// let (certificate, key) = (std::fs::read("client.pem")?, std::fs::read("client.key")?);
    /// let builder = RedisStorage::builder("rediss://localhost").tls_client(certificate, key);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "redis-tls")]
    pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Keeps circuits as the Python package `purgatory` 3.0.1 does, and so shares them with its processes.
    ///
    /// [Consistency](Self::consistency) is strict, unless asked otherwise, and the stored threshold and ttl are
    /// in force. The keys are the package's and are kept for good, so there is no prefix, scope or expiry, and
    /// they cannot be on a cluster. [The guide](crate::guide::sharing#python-fleets) tells what
    /// this layout cannot do.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let storage = RedisStorage::builder("redis://localhost").python_layout().build()?;
    /// # Ok::<(), purgatory::ConfigError>(())
    /// ```
    pub fn python_layout(mut self) -> Self {
        self.python_layout = true;
        self
    }

    /// The storage.
    ///
    /// # Errors
    ///
    /// If something is not as its method says. Of a URL, the error shows the host.
    ///
    /// ```
    /// # use purgatory::RedisStorage;
    /// let error = RedisStorage::builder("http://me:secret@localhost:80").build().unwrap_err();
    /// assert_eq!(error.field(), "url");
    /// assert_eq!(error.value(), r#""localhost:80""#);
    /// ```
    pub fn build(self) -> Result<RedisStorage, ConfigError> {
        self.check()?;
        let default_port = match self.servers {
            Servers::Sentinels { .. } => SENTINEL_PORT,
            _ => PORT,
        };
        let Location { address, tls, mut login, database } =
            Location::parse(&self.url, default_port)?;
        login.user = self.login.user.or(login.user);
        login.password = self.login.password.or(login.password);
        if login.user.is_some() && login.password.is_none() {
            return Err(invalid("password", "none", "password must be given where a user is"));
        }
        let candidates = |others: &Others| {
            let all = std::iter::once(Ok(address.clone())).chain(others.iter().cloned());
            all.collect::<Result<_, _>>().map(Candidates::new)
        };
        let kind = match &self.servers {
            Servers::One => Kind::Server(address),
            Servers::Sentinels { master, others } => Kind::Master {
                name: master.clone(),
                sentinels: candidates(others)?,
                login: self.sentinel_login,
            },
            #[cfg(feature = "redis-cluster")]
            Servers::Cluster { others } => Kind::Cluster(candidates(others)?),
        };
        #[cfg(feature = "redis-tls")]
        let tls = self.tls.begin(tls)?;
        #[cfg(not(feature = "redis-tls"))]
        debug_assert!(!tls, "such a URL is refused");
        let options = if self.python_layout { python::options(self.options) } else { self.options };
        let options = options.consistency(self.consistency.unwrap_or(options.consistency));
        Ok(RedisStorage(Arc::new(Shared {
            native: Native::new(Keys::new(
                self.prefix.as_deref().unwrap_or("cb"),
                self.scope.as_deref(),
                database,
            )),
            place: Arc::new(Place { kind, login, database }),
            dialer: Dialer {
                operation_timeout: self.options.operation_timeout,
                #[cfg(feature = "redis-tls")]
                tls,
            },
            python: self.python_layout.then(PythonLayout::new),
            lives: Lives::default(),
            heartbeat: self.heartbeat,
            options,
        })))
    }
}

const PORT: u16 = 6379;

const SENTINEL_PORT: u16 = 26379;

fn read(others: impl IntoIterator<Item: Into<String>>, default_port: u16) -> Others {
    others.into_iter().map(|other| Address::parse(&other.into(), default_port)).collect()
}

fn invalid(field: &'static str, value: &str, rule: &'static str) -> ConfigError {
    ConfigError::new(field, value.to_owned(), rule)
}

impl fmt::Debug for RedisStorageBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RedisStorageBuilder");
        debug
            .field("url", &format_args!("{}", shown(&self.url)))
            .field("prefix", &self.prefix)
            .field("scope", &self.scope)
            .field("login", &self.login)
            .field("servers", &self.servers)
            .field("heartbeat", &self.heartbeat)
            .field("options", &self.options)
            .field("consistency", &self.consistency)
            .field("python_layout", &self.python_layout);
        #[cfg(feature = "redis-tls")]
        debug.field("tls", &self.tls);
        debug.finish_non_exhaustive()
    }
}
