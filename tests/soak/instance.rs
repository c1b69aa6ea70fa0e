//! One of those that share the circuits, and what its callers know.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Error, Event, Listener, Permit, RedisStorage,
};
use purgatory_tests::servers::{Proxy, Server};

use crate::circuits::{CIRCUITS, config, name};
use crate::dice::Dice;
use crate::journal::Journal;
use crate::latency::Latency;
use crate::nuisance::{Guests, Meddler, Panicker, Staller};
use crate::recorder::Recorder;

/// One of those that share the circuits: a process, but for its being in this one.
pub(crate) struct Instance {
    pub(crate) number: usize,
    pub(crate) factory: CircuitBreakerFactory,
    pub(crate) proxy: Proxy,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) panicker: Arc<Panicker>,
    pub(crate) staller: Arc<Staller>,
    pub(crate) meddler: Arc<Meddler>,
    pub(crate) guests: Guests,
    names: Vec<String>,
    tallies: Vec<Tally>,
    /// The circuit of the round that only fails, and how often it has here.
    ledger: Mutex<(String, u64)>,
}

/// What calls of a circuit came to, as their callers know.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rejected: AtomicU64,
    /// Failures that were reported and were no probes'.
    pub(crate) failures: AtomicU64,
    /// Failures of which the caller does not know.
    pub(crate) uncertain: AtomicU64,
}

/// How a permit ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    Success,
    Failure,
    Ignored,
    Dropped,
    Panic,
    /// Its place is free when its lease has passed.
    Forgotten,
}

/// A call that fails.
#[derive(Debug)]
pub(crate) struct Failed;

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

impl Instance {
    pub(crate) fn new(
        number: usize,
        server: &Server,
        journal: &Arc<Journal>,
        dice: Dice,
    ) -> Arc<Self> {
        let proxy = Proxy::start(server.port());
        let storage = RedisStorage::builder(proxy.url()).build().unwrap();
        let recorder = Arc::new(Recorder::new(number, Arc::clone(journal)));
        let (panicker, staller) = (Arc::new(Panicker::default()), Arc::new(Staller::default()));
        let meddler = Arc::new(Meddler::new(number, dice));
        let (panics, meddles, records) = (panicker.clone(), meddler.clone(), recorder.clone());
        let stalls = Arc::clone(&staller);
        let factory = CircuitBreakerFactory::builder()
            .storage(storage)
            // First, so that those after it notice if a panic has them miss something.
            .listener(move |event: &Event| panics.take(event))
            .listener(move |event: &Event| stalls.take(event))
            .listener(move |event: &Event| meddles.take(event))
            .listener(move |event: &Event| records.on_event(event))
            .build()
            .unwrap();
        Arc::new(Self {
            number,
            factory,
            proxy,
            recorder,
            panicker,
            staller,
            meddler,
            guests: Guests::new(Arc::clone(journal)),
            names: (0..CIRCUITS).map(name).collect(),
            tallies: (0..CIRCUITS).map(|_| Tally::default()).collect(),
            ledger: Mutex::default(),
        })
    }

    pub(crate) fn name(&self, circuit: usize) -> &str {
        &self.names[circuit]
    }

    pub(crate) fn tally(&self, circuit: usize) -> &Tally {
        &self.tallies[circuit]
    }

    pub(crate) fn breaker(&self, circuit: usize) -> CircuitBreaker {
        self.factory.get_breaker_with(self.name(circuit), config(circuit)).unwrap()
    }

    /// Asks for leave, which may take time.
    pub(crate) fn acquire(&self, circuit: usize, latency: &Latency) -> Option<Permit> {
        let breaker = self.breaker(circuit);
        let asked = Instant::now();
        let permit = breaker.acquire();
        latency.took(asked.elapsed());
        self.admitted(circuit, permit.map(Permit::into_owned))
    }

    /// The same in a task.
    pub(crate) async fn acquire_async(&self, circuit: usize, latency: &Latency) -> Option<Permit> {
        let breaker = self.breaker(circuit);
        let asked = Instant::now();
        let permit = breaker.acquire_async().await;
        latency.took(asked.elapsed());
        self.admitted(circuit, permit.map(|permit| permit.into_owned()))
    }

    fn admitted<P, E>(&self, circuit: usize, permit: Result<P, E>) -> Option<P> {
        if permit.is_err() {
            add(&self.tallies[circuit].rejected);
        }
        permit.ok()
    }

    pub(crate) fn end(&self, circuit: usize, permit: Permit, ending: Ending) {
        let plain = !permit.is_probe();
        match ending {
            Ending::Success => permit.success(),
            Ending::Failure => permit.failure(),
            Ending::Ignored => permit.ignore(),
            Ending::Dropped => drop(permit),
            Ending::Panic => {
                // Without the hook, whose message would fill the output.
                let panics = AssertUnwindSafe(|| {
                    let _permit = permit;
                    resume_unwind(Box::new(()));
                });
                catch_unwind(panics).unwrap_err();
            }
            Ending::Forgotten => {
                // Not the breaker it owns: that would be a leak.
                let breaker = self.breaker(circuit);
                drop(permit);
                match breaker.acquire() {
                    Ok(permit) => std::mem::forget(permit),
                    Err(_) => add(&self.tallies[circuit].rejected),
                }
            }
        }
        if plain && matches!(ending, Ending::Failure | Ending::Panic) {
            add(&self.tallies[circuit].failures);
        }
    }

    /// What a guarded call came to.
    pub(crate) fn called(&self, circuit: usize, result: Result<(), Error<Failed>>) {
        match result {
            Ok(()) => {}
            Err(Error::Rejected(_)) => add(&self.tallies[circuit].rejected),
            Err(Error::Inner(Failed)) => self.fails(circuit),
        }
    }

    /// A guarded call fails.
    pub(crate) fn fails(&self, circuit: usize) {
        add(&self.tallies[circuit].uncertain);
    }

    /// A call of the circuit that only fails.
    pub(crate) fn enter_failure(&self) {
        let mut ledger = self.ledger.lock().unwrap();
        let breaker = self.ledger_breaker(&ledger.0);
        breaker.acquire().expect("it never trips").failure();
        ledger.1 += 1;
    }

    fn ledger_breaker(&self, name: &str) -> CircuitBreaker {
        self.factory.get_breaker_with(name, Config::new().threshold(u32::MAX)).unwrap()
    }

    /// Begins another ledger.
    pub(crate) fn begin_ledger(&self, name: &str) {
        *self.ledger.lock().unwrap() = (name.to_owned(), 0);
        self.ledger_breaker(name);
    }

    /// The name of the ledger, and how often it has failed here.
    pub(crate) fn ledger(&self) -> (String, u64) {
        self.ledger.lock().unwrap().clone()
    }

    /// Something that takes no permit.
    pub(crate) fn look(&self, circuit: usize, dice: &mut Dice) {
        match dice.below(6) {
            0 => drop(self.breaker(circuit).snapshot()),
            1 => drop(self.factory.find(self.name(circuit)).map(|breaker| breaker.state())),
            2 => assert!(self.factory.names().len() <= CIRCUITS + 1),
            3 => drop(self.factory.snapshot()),
            4 => {
                // Held meanwhile, or the name might be new, and get these settings.
                let breaker = self.breaker(circuit);
                let other = Config::new().threshold(1000);
                drop(self.factory.get_breaker_with(breaker.name(), other));
            }
            _ => self.guests.come_or_go(&self.factory, dice),
        }
    }
}
