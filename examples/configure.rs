//! The global factory, configured at start-up from a text that overrides what the code asks for.
//!
//! ```text
//! cargo run -p purgatory-examples --example configure
//! ```
//!
//! It prints two errors, what happens to the circuits, and a page with all of them.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, Config, Event, circuit_breaker};

/// In earnest, a file that can be changed without a rebuild.
const SETTINGS: &str = "
# circuit = threshold, seconds
payments = 2, 60
shard-2 = 1, 0.5
";

#[circuit_breaker("payments", threshold = 3, ttl = "30s")]
fn pay() -> io::Result<()> {
    Err(ErrorKind::ConnectionRefused.into())
}

#[circuit_breaker(name = format!("shard-{shard}"))]
fn query(shard: u8) -> io::Result<()> {
    Err(ErrorKind::TimedOut.into())
}

fn factory(settings: &str) -> Result<CircuitBreakerFactory, Box<dyn Error>> {
    let mut builder = CircuitBreakerFactory::builder().listener(log);
    for line in settings.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, config) = circuit(line).ok_or_else(|| format!("malformed settings: {line}"))?;
        builder = builder.circuit(name, config);
    }
    Ok(builder.build()?)
}

/// Parses `name = threshold, seconds`.
fn circuit(line: &str) -> Option<(&str, Config)> {
    let (name, settings) = line.split_once('=')?;
    let (threshold, ttl) = settings.split_once(',')?;
    let threshold = threshold.trim().parse().ok()?;
    let ttl = Duration::try_from_secs_f64(ttl.trim().parse().ok()?).ok()?;
    Some((name.trim(), Config::new().threshold(threshold).ttl(ttl)))
}

fn log(event: &Event) {
    match event {
        Event::Created { circuit, .. } => println!("{circuit}: created"),
        Event::StateChanged { circuit, change, .. } => println!("{circuit}: {}", change.to),
        _ => {}
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    println!("error: {}", factory("payments = 0, 60").unwrap_err());
    purgatory::configure(factory(SETTINGS)?)?;
    // There is no second time: circuits of the first factory may be in use.
    println!("error: {}", purgatory::configure(CircuitBreakerFactory::new()).unwrap_err());

    for _ in 0..4 {
        pay().unwrap_err();
        query(1).unwrap_err();
        query(2).unwrap_err();
    }

    let page = purgatory::factory().snapshot();
    println!("\ncircuit   state   failures  rejected  threshold  ttl");
    for circuit in &page {
        println!(
            "{:<8}  {:<6}  {:<8}  {:<8}  {:<9}  {:?}",
            circuit.name,
            circuit.state,
            circuit.failures,
            circuit.rejected,
            circuit.settings.threshold,
            circuit.settings.ttl
        );
    }
    let thresholds: Vec<_> = page.iter().map(|circuit| circuit.settings.threshold).collect();
    assert_eq!(thresholds, [2, 5, 1]);
    Ok(())
}
