//! Peers in either language, and what is stored.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory::storage::RedisStorageBuilder;
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Consistency, RedisStorage};
use purgatory_tests::Log;
use purgatory_tests::servers::{Peer, Server};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Rust,
}

use Language::{Python, Rust};

/// One process and another, in both orders.
pub(crate) const BOTH_WAYS: [[Language; 2]; 2] = [[Python, Rust], [Rust, Python]];

impl Language {
    pub(crate) fn peer(self, server: &Server, circuit: &str, args: &[&str]) -> Peer {
        match self {
            Python => Peer::python(&server.url(), circuit, args),
            Rust => Peer::start(redis_peer(), &server.url(), circuit, args),
        }
    }
}

/// The program of this name, see there.
pub(crate) fn redis_peer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_redis_peer"))
}

/// A call or several, and what came of it.
#[track_caller]
pub(crate) fn results(peer: &mut Peer, action: &str) -> Vec<String> {
    let answer = peer.action(action);
    let results = answer["results"].as_array().unwrap_or_else(|| panic!("{answer}"));
    results.iter().map(|result| result.as_str().expect("a text").to_owned()).collect()
}

/// What a server has of a circuit: the record and the counter, as they are.
pub(crate) type Stored = (Option<String>, Option<String>);

/// The keys of a circuit.
pub(crate) struct Keys<'a> {
    pub(crate) server: &'a Server,
    pub(crate) record: String,
    pub(crate) counter: String,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(server: &'a Server, circuit: &str) -> Self {
        let record = format!("cbr::{circuit}");
        Self { server, counter: format!("{record}::failure_count"), record }
    }

    pub(crate) fn get(&self) -> Stored {
        (self.server.ask(&["GET", &self.record]), self.server.ask(&["GET", &self.counter]))
    }

    pub(crate) fn set(&self, record: Option<&str>, counter: Option<&str>) {
        for (key, value) in [(&self.record, record), (&self.counter, counter)] {
            match value {
                Some(value) => self.server.command(&["SET", key, value]),
                None => self.server.command(&["DEL", key]),
            };
        }
    }

    /// The stored record, read.
    #[track_caller]
    pub(crate) fn read(&self) -> Value {
        let (record, _) = self.get();
        serde_json::from_str(&record.expect("there is a record")).expect("it is JSON")
    }
}

/// A record as the package writes it.
pub(crate) fn record(circuit: &str, limits: [&str; 2], state: &str, opened_at: &str) -> String {
    let [threshold, ttl] = limits;
    format!(
        r#"{{"name": "{circuit}", "threshold": {threshold}, "ttl": {ttl}, "state": "{state}", "opened_at": {opened_at}}}"#
    )
}

/// The record with a mark in place of the time of its opening, and whether there was one.
pub(crate) fn without_time(stored: &Stored) -> (Stored, bool) {
    let (Some(record), counter) = stored else { return (stored.clone(), false) };
    let Some((before, time)) = record.rsplit_once(r#""opened_at": "#) else {
        return (stored.clone(), false);
    };
    let is_time = time != "null}";
    let record = if is_time { format!(r#"{before}"opened_at": T}}"#) } else { record.clone() };
    ((Some(record), counter.clone()), is_time)
}

/// Seconds since 1970, so long ago, with an exact text.
pub(crate) fn ago(seconds: f64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    format!("{:.2}", now.as_secs_f64() - seconds)
}

/// A process of this crate inside the test: for what a peer does not tell.
pub(crate) struct Inside {
    pub(crate) factory: CircuitBreakerFactory,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) log: Log,
}

impl Inside {
    /// One that does not take a busy machine for an outage.
    pub(crate) fn patient(
        url: &str,
        circuit: &str,
        limits: [u32; 2],
        consistency: Consistency,
    ) -> Self {
        let builder = RedisStorage::builder(url).operation_timeout(PATIENCE).probe_wait(PATIENCE);
        Self::with(builder, circuit, limits, consistency)
    }

    /// One in strict consistency.
    pub(crate) fn usual(url: &str, circuit: &str, limits: [u32; 2]) -> Self {
        Self::with(RedisStorage::builder(url), circuit, limits, Consistency::Strict)
    }

    fn with(
        builder: RedisStorageBuilder,
        circuit: &str,
        [threshold, ttl_millis]: [u32; 2],
        consistency: Consistency,
    ) -> Self {
        let storage = builder.python_layout().consistency(consistency).build();
        let log = Log::default();
        let factory = CircuitBreakerFactory::builder()
            .storage(storage.expect("a valid URL"))
            .listener(log.clone())
            .build()
            .expect("valid options");
        let ttl = Duration::from_millis(ttl_millis.into());
        let config = Config::new().threshold(threshold).ttl(ttl);
        let breaker = factory.get_breaker_with(circuit, config).expect("a valid name");
        Self { factory, breaker, log }
    }

    /// Waits until it has heard of its storage, and forgets what it was told until then.
    pub(crate) fn joined(self) -> Self {
        let joined = || self.breaker.snapshot().shared.is_some_and(|shared| shared.in_sync);
        purgatory_tests::servers::wait_until("it to join", PATIENCE, joined);
        self.factory.flush(PATIENCE).expect("the server answers");
        self.log.take();
        self
    }

    /// A call that ends so, or is rejected.
    pub(crate) fn call(&self, ok: bool) -> &'static str {
        match self.breaker.acquire() {
            Ok(permit) if ok => {
                permit.success();
                "ok"
            }
            Ok(permit) => {
                permit.failure();
                "failed"
            }
            Err(_) => "rejected",
        }
    }
}

/// How long anything may take that has no limit of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
