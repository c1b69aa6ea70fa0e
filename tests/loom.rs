//! Every interleaving of a few threads, within loom's bounds.
//!
//! Run with `RUSTFLAGS="--cfg loom"`, and again with `PURGATORY_LOOM_EXCHANGES` set (see
//! `purgatory/src/sync.rs`). Each model says which endings it must have seen: an exploration that
//! skipped the race would prove nothing.
#![cfg(loom)]

#[path = "loom/circuit.rs"]
mod circuit;
#[path = "loom/factory.rs"]
mod factory;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loom::thread;
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, ManualClock, Rejected};

const TTL: Duration = Duration::from_secs(30);

/// The endings that an exploration has seen, and how often.
#[derive(Clone, Default)]
struct Endings(Arc<Mutex<BTreeMap<String, usize>>>);

impl Endings {
    fn saw(&self, ending: impl ToString) {
        *self.0.lock().unwrap().entry(ending.to_string()).or_default() += 1;
    }

    fn are(&self, expected: &[&str]) {
        let seen = self.0.lock().unwrap();
        println!("{seen:?}");
        assert!(seen.values().sum::<usize>() > 1, "one execution is no race");
        assert_eq!(seen.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    }
}

fn explore(model: impl Fn(&Endings) + Send + Sync + 'static) -> Endings {
    let endings = Endings::default();
    let within = endings.clone();
    loom::model(move || model(&within));
    endings
}

/// A breaker on a clock that stands still.
fn breaker(config: Config) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
    (factory.get_breaker_with("loom", config.ttl(TTL)).unwrap(), clock)
}

/// A breaker that admits probes from now on.
fn after_ttl(config: Config) -> CircuitBreaker {
    let (breaker, clock) = breaker(config.threshold(1));
    breaker.acquire().unwrap().failure();
    clock.advance(TTL + Duration::from_nanos(1));
    breaker
}

/// Runs `act` on so many threads at once, this one included, and collects what they return.
fn race<R: 'static>(
    breaker: &CircuitBreaker,
    threads: usize,
    act: impl Fn(&CircuitBreaker) -> R + Clone + 'static,
) -> Vec<R> {
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let (breaker, act) = (breaker.clone(), act.clone());
            thread::spawn(move || act(&breaker))
        })
        .collect();
    let mine = act(breaker);
    others.into_iter().map(|other| other.join().unwrap()).chain([mine]).collect()
}

fn fail(breaker: &CircuitBreaker) -> Result<(), Rejected> {
    breaker.acquire().map(|permit| permit.failure())
}
