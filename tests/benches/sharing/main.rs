//! What sharing costs and brings, on a real server: `cargo bench -p purgatory-tests --bench sharing` prints the
//! table of the README.

mod calls;
mod fleet;
mod news;

use std::time::{Duration, Instant};

use purgatory::storage::RedisStorageBuilder;
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, FactoryBuilder, RedisStorage};
use purgatory_tests::servers::{Engine, Server, wait_until};

fn main() {
    // `cargo test --benches` passes this, and is not here to measure.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let tables = Engine::ALL.map(|engine| {
        let server = Server::start(engine);
        let mut table = Table(Vec::new());
        table.row("", version(&server));
        table.row("---", "---:");
        calls::measure(&server, &mut table);
        news::measure(&server, &mut table);
        fleet::measure(&server, &mut table);
        table.0
    });
    let [one, other] = tables;
    for ((what, here), (_, there)) in one.into_iter().zip(other) {
        println!("| {what} | {here} | {there} |");
    }
}

/// What was measured on one server, and the figures.
struct Table(Vec<(String, String)>);

impl Table {
    fn row(&mut self, what: impl ToString, figure: impl ToString) {
        self.0.push((what.to_string(), figure.to_string()));
    }
}

fn version(server: &Server) -> String {
    let info = server.ask::<String>(&["INFO", "server"]);
    let versions = ["valkey_version:", "redis_version:"]
        .map(|key| info.lines().find_map(|line| Some((key, line.strip_prefix(key)?))));
    let (key, version) = versions.into_iter().flatten().next().expect("a server knows its version");
    format!("{} {version}", key.trim_end_matches("_version:"))
}

/// Times in the order of size.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }

    fn shown(&self) -> String {
        let micros = |percent| self.percentile(percent).as_secs_f64() * 1e6;
        format!("{:.0} / {:.0} us", micros(50), micros(99))
    }
}

fn builder(server: &Server) -> FactoryBuilder {
    CircuitBreakerFactory::builder().storage(storage(server).build().expect("the URL is valid"))
}

fn storage(server: &Server) -> RedisStorageBuilder {
    RedisStorage::builder(server.url())
}

/// A breaker that has heard of the server.
fn shared(factory: &CircuitBreakerFactory, name: &str, config: Config) -> CircuitBreaker {
    let breaker = factory.get_breaker_with(name, config).expect("the name is valid");
    wait_until("the circuit is in sync", Duration::from_secs(10), || {
        breaker.snapshot().shared.is_some_and(|shared| shared.in_sync)
    });
    breaker
}

fn timed<R>(body: impl FnOnce() -> R) -> (Duration, R) {
    let began = Instant::now();
    let answer = body();
    (began.elapsed(), answer)
}
