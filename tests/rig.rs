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

/// Makes tests of functions that take an engine, one with each.
macro_rules! with_each_engine {
    ($($test:ident)*) => { $(
        mod $test {
            use purgatory_tests::servers::Engine;

            #[test]
            fn redis() {
                super::$test(Engine::Redis);
            }

            #[test]
            fn valkey() {
                super::$test(Engine::Valkey);
            }
        }
    )* };
}
use with_each_engine;
