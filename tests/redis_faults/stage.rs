//! A server, and who comes to it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use purgatory::storage::RedisStorageBuilder;
use purgatory::{Config, RedisStorage};
use purgatory_tests::servers::{Engine, Server, ServerBuilder};

use crate::here::{Here, secrets_told};
use crate::member::Member;
use crate::record::Record;

/// The circuit that most tests are about.
pub(crate) const CIRCUIT: &str = "payments";

/// For what has to happen and takes as long as a busy machine takes.
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A server with a user who may do no more than is needed.
pub(crate) struct Stage {
    pub(crate) server: Server,
    _turn: Turn,
}

/// Tests that measure short times do it while no other test of this binary runs.
static TURNS: RwLock<()> = RwLock::new(());

enum Turn {
    Beside { _others: RwLockReadGuard<'static, ()> },
    Alone { _nobody: RwLockWriteGuard<'static, ()> },
}

impl Stage {
    /// Other tests may run meanwhile.
    pub(crate) fn new(engine: Engine) -> Self {
        Self::with(Server::builder(engine))
    }

    pub(crate) fn with(server: ServerBuilder) -> Self {
        let others = TURNS.read().unwrap_or_else(PoisonError::into_inner);
        Self::set(server, Turn::Beside { _others: others })
    }

    /// No other test runs meanwhile.
    pub(crate) fn alone(engine: Engine) -> Self {
        let nobody = TURNS.write().unwrap_or_else(PoisonError::into_inner);
        Self::set(Server::builder(engine), Turn::Alone { _nobody: nobody })
    }

    fn set(server: ServerBuilder, turn: Turn) -> Self {
        Self { server: server.limited().start(), _turn: turn }
    }

    pub(crate) fn url(&self) -> String {
        self.server.limited_url()
    }

    pub(crate) fn storage(&self) -> RedisStorageBuilder {
        RedisStorage::builder(self.url())
    }

    /// A process of the fleet, in this one, that has heard of the server.
    pub(crate) fn here(&self, config: Config) -> Here {
        self.here_with(config, self.storage())
    }

    pub(crate) fn here_with(&self, config: Config, storage: RedisStorageBuilder) -> Here {
        let here = Here::start(storage, config);
        here.is_up();
        here
    }

    /// One that waits long for answers: where it has so much to do that a debug build on a busy machine would be
    /// late, and it is not about time.
    pub(crate) fn patient(&self, config: Config, storage: RedisStorageBuilder) -> Here {
        self.here_with(config, storage.operation_timeout(SOON))
    }

    pub(crate) fn fleet<const N: usize>(&self, config: Config) -> [Here; N] {
        std::array::from_fn(|_| self.here(config))
    }

    /// A process of the fleet that has heard of the server.
    pub(crate) fn member(&self, args: &[&str]) -> Member {
        let mut member = Member::start(&self.url(), &[], args);
        member.is_up();
        member
    }

    /// What the server has of the circuit.
    pub(crate) fn stored(&self) -> Option<String> {
        self.server.ask(&["GET", &key(CIRCUIT)])
    }

    pub(crate) fn record(&self) -> Option<Record> {
        self.stored().map(|value| Record::parse(&value))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(secrets_told(), Vec::<String>::new());
        }
    }
}

pub(crate) fn key(circuit: &str) -> String {
    format!("cb:{{{circuit}}}")
}
