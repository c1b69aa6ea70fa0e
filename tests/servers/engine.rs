//! The kinds of servers.

use std::path::PathBuf;

use super::package::Program;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Redis, from 7.0.
    Redis,
    /// Valkey, from 7.2.
    Valkey,
}

impl Engine {
    /// All of them: what the library promises, it promises of each.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Valkey];

    /// The program: `PURGATORY_REDIS_SERVER` or `PURGATORY_VALKEY_SERVER`, else that in the `PATH`, else
    /// one that is unpacked now or was before.
    ///
    /// # Panics
    ///
    /// If there is none and none can be unpacked. The message says what to install.
    pub fn find(self) -> PathBuf {
        let program = match self {
            Self::Redis => Program {
                name: "redis-server",
                package: "redis-server",
                variable: "PURGATORY_REDIS_SERVER",
            },
            Self::Valkey => Program {
                name: "valkey-server",
                package: "valkey-server",
                variable: "PURGATORY_VALKEY_SERVER",
            },
        };
        program.find()
    }
}

/// Makes tests of functions that take an engine, one with each.
#[macro_export]
macro_rules! with_each_engine {
    ($($test:ident)*) => { $(
        mod $test {
            use $crate::servers::Engine;

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
