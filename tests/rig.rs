//! The rig of real servers does what the tests that use it believe.

#[path = "rig/cluster.rs"]
mod cluster;
#[path = "rig/peer.rs"]
mod peer;
#[path = "rig/proxy.rs"]
mod proxy;
#[path = "rig/sentinel.rs"]
mod sentinel;
#[path = "rig/server.rs"]
mod server;

use purgatory_tests::with_each_engine;
