//! A process of the fleet, in this one.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use purgatory::storage::RedisStorageBuilder;
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Event, Listener, State};
use purgatory_tests::servers::{PASSWORD, wait_until};

use crate::stage::{CIRCUIT, SOON};

/// A factory with a driver of its own: for the server and for the others, a process like any.
pub(crate) struct Here {
    pub(crate) factory: CircuitBreakerFactory,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) told: Told,
}

impl Here {
    pub(crate) fn start(storage: RedisStorageBuilder, config: Config) -> Self {
        let told = Told::default();
        look_for_secrets(|| format!("{storage:?}"));
        let storage = storage.build().unwrap();
        look_for_secrets(|| format!("{storage:?}"));
        let builder = CircuitBreakerFactory::builder().storage(storage).listener(told.clone());
        look_for_secrets(|| format!("{builder:?}"));
        let factory = builder.build().unwrap();
        let breaker = factory.get_breaker_with(CIRCUIT, config).unwrap();
        look_for_secrets(|| format!("{factory:?} {breaker:?} {:?}", factory.snapshot()));
        Self { factory, breaker, told }
    }

    /// Waits until it shares what it knows.
    pub(crate) fn is_up(&self) {
        wait_until("a process to share", SOON, || {
            self.in_sync() && self.told.count("storage_up") > 0
        });
    }

    pub(crate) fn in_sync(&self) -> bool {
        self.breaker.snapshot().shared.unwrap().in_sync
    }

    pub(crate) fn state(&self) -> State {
        self.breaker.state()
    }

    pub(crate) fn fail(&self) {
        self.breaker.acquire().expect("it is admitted").failure();
    }

    pub(crate) fn flush(&self) {
        self.factory.flush(SOON).unwrap();
    }

    /// Whether a call is admitted, which then succeeds.
    pub(crate) fn succeeds(&self) -> bool {
        let permit = self.breaker.acquire();
        permit.map(|permit| permit.success()).is_ok()
    }

    /// Whether a call is admitted, of which nobody hears again.
    pub(crate) fn is_admitted(&self) -> bool {
        self.breaker.acquire().is_ok()
    }

    pub(crate) fn version(&self) -> Option<u64> {
        self.breaker.snapshot().shared.unwrap().version
    }
}

/// Waits until all of them are in that state, and says how long it took.
#[track_caller]
pub(crate) fn all_become(state: State, fleet: &[&Here], limit: Duration) -> Duration {
    let began = Instant::now();
    while fleet.iter().any(|here| here.state() != state) {
        if began.elapsed() > limit {
            let known = fleet.iter().map(|here| (here.breaker.snapshot(), here.told.texts()));
            panic!("waited {limit:?} for all to be {state}: {:#?}", Vec::from_iter(known));
        }
        thread::sleep(Duration::from_millis(1)); // As often as it is worth to look.
    }
    began.elapsed()
}

/// What a process was told, and when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<(Instant, Event)>>>);

impl Told {
    pub(crate) fn count(&self, name: &str) -> usize {
        self.of(name).len()
    }

    /// The texts of the events of a name.
    pub(crate) fn of(&self, name: &str) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.iter().filter(|(_, e)| e.name() == name).map(|(_, e)| e.to_string()).collect()
    }

    /// When the last event of a name was told.
    pub(crate) fn last(&self, name: &str) -> Option<Instant> {
        let told = self.0.lock().unwrap();
        told.iter().rev().find(|(_, event)| event.name() == name).map(|&(at, _)| at)
    }

    /// All but what calls came to.
    pub(crate) fn texts(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        let calls = ["circuit_breaker_created", "failed", "recovered", "rejected"];
        let others = told.iter().filter(|(_, event)| !calls.contains(&event.name()));
        others.map(|(_, event)| event.to_string()).collect()
    }
}

impl Listener for Told {
    fn on_event(&self, event: &Event) {
        look_for_secrets(|| format!("{event} {event:?}"));
        self.0.lock().unwrap().push((Instant::now(), event.clone()));
    }
}

static SECRETS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Remembers a text that has the password: a panic of a listener would be lost.
pub(crate) fn look_for_secrets(text: impl FnOnce() -> String) {
    let text = text();
    if text.contains(PASSWORD) {
        SECRETS.lock().unwrap().push(text);
    }
}

/// The texts that had the password.
pub(crate) fn secrets_told() -> Vec<String> {
    SECRETS.lock().unwrap().clone()
}
