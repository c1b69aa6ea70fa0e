//! Fleets whose servers change places: what Sentinel and a cluster do when one is gone or slots move.

#[path = "redis_failover/cluster.rs"]
mod cluster;
#[path = "redis_failover/member.rs"]
mod member;
#[path = "redis_failover/sentinel.rs"]
mod sentinel;
#[path = "redis_failover/watch.rs"]
mod watch;

use purgatory_tests::servers::Server;

/// How a server is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Killed,
    Hanging,
}

impl Loss {
    fn befall(self, server: &Server) {
        match self {
            Self::Killed => server.kill(),
            Self::Hanging => server.stop(),
        }
    }

    fn end(self, server: &Server) {
        match self {
            Self::Killed => server.restart(),
            Self::Hanging => server.resume(),
        }
    }
}
