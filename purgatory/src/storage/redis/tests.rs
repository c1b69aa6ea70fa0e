//! Against real servers, which the tests start: `redis-server` has to be installed.

#[cfg(feature = "redis-cluster")]
mod adrift;
mod bumping;
#[cfg(feature = "redis-cluster")]
mod cluster;
mod differential;
mod failures;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod locale;
mod muffled;
mod news;
#[cfg(feature = "redis-cluster")]
mod nodes;
mod random;
mod records;
mod rights;
mod sentinel;
mod server;
#[cfg(feature = "redis-tls")]
mod tls;
#[cfg(feature = "redis-cluster")]
mod users;
mod watched;
