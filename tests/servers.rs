//! Real servers to test against: Redis and Valkey, alone, under Sentinel and as a cluster.
//!
//! Every server is a process of its own on a loopback port, keeps nothing, and ends with the value that
//! stands for it, or with the test process, however that ends. Faults come from signals ([`Server::stop`],
//! [`Server::kill`]) and from a [`Proxy`] in between. A [`Peer`] is another process that uses circuits,
//! in Rust or with the Python package.
//!
//! What is not installed is unpacked into `target/servers`. Nothing is skipped: a test that cannot have
//! its server fails, and says what to install. Linux only, and Debian for the unpacking.

mod certificate;
mod cluster;
mod engine;
mod faketime;
mod folder;
mod lock;
mod package;
mod peer;
mod port;
mod process;
mod proxy;
mod python;
mod sentinel;
mod server;
mod user;
mod wait;

pub use certificate::openssl;
pub use cluster::Cluster;
pub use engine::Engine;
pub use faketime::faketime_library;
pub use peer::Peer;
pub use proxy::{Mode, Proxy};
pub use python::python;
pub use sentinel::Sentinel;
pub use server::{Server, ServerBuilder};
pub use user::{PASSWORD, limited_url};
pub use wait::wait_until;

/// What a server answers.
pub use redis::Value;
