//! One request to the storage, from the circuit and back.

use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::task::JoinError;
use tokio::time::{self, Instant};

use super::timers::Timer;
use super::{Driver, LINGER};
use crate::bump::{Bump, rewrite, store_time};
use crate::locked::{Common, FleetLink, LockedCircuit};
use crate::mirror::Request;
use crate::name::Name;
use crate::storage::{Storage, StorageError, Stored, Versioned, Write};
use crate::update::Update;

/// A request that has come to its end.
pub(super) struct Done {
    name: Name,
    circuit: Weak<LockedCircuit>,
    is_load: bool,
    result: Result<(Stored, Linger), StorageError>,
}

/// For how long outcomes of a closed circuit gather after an update.
type Linger = Duration;

/// What a request needs.
struct Exchange {
    storage: Arc<dyn Storage>,
    link: Arc<FleetLink>,
    common: Arc<Common>,
    name: Name,
}

/// The longest wait between two attempts to write a record that others write as well.
const MAX_CONTENTION: Duration = Duration::from_millis(50);

/// For how long outcomes gather at most, however long it took to get through.
const MAX_LINGER: Linger = Duration::from_millis(250);

impl Driver {
    pub(super) fn spawn(&mut self, circuit: &Arc<LockedCircuit>, request: Request) {
        let exchange = Exchange {
            storage: Arc::clone(&self.storage),
            link: Arc::clone(&self.link),
            common: Arc::clone(&self.common),
            name: circuit.name().clone(),
        };
        let window = if circuit.is_synced() { &self.window } else { &self.strangers };
        let (circuit, window) = (Arc::downgrade(circuit), Arc::clone(window));
        let is_load = matches!(request, Request::Load);
        self.requests.spawn(async move {
            let _place = window.acquire().await;
            let result = exchange.perform(request).await;
            Done { name: exchange.name, circuit, is_load, result }
        });
    }

    pub(super) fn done(&mut self, done: Result<Done, JoinError>) {
        let done = match done {
            Ok(done) => done,
            Err(error) => return self.broken(&error),
        };
        let circuit = done.circuit.upgrade();
        let mut linger = LINGER;
        match done.result {
            Ok((stored, after)) => {
                linger = after;
                if let Some(circuit) = &circuit {
                    circuit.answered(stored, self.link.offset());
                }
            }
            Err(cause @ (StorageError::Unusable(_) | StorageError::Unreachable(_))) => {
                if let Some(circuit) = &circuit {
                    circuit.cut_off(cause);
                }
            }
            Err(cause) => return self.down(cause),
        }
        if let Some(circuit) = &circuit {
            if !done.is_load {
                self.timers.after(linger, Timer::Linger(Arc::downgrade(circuit)));
            }
            self.pump(circuit);
        }
        if done.is_load {
            self.has_read(&done.name, circuit.as_deref());
        }
        self.end_flushes();
    }
}

impl Exchange {
    async fn perform(&self, request: Request) -> Result<(Stored, Linger), StorageError> {
        match request {
            Request::Load => Ok((self.load().await?, LINGER)),
            Request::Update { update, base } => self.update(&update, base).await,
        }
    }

    async fn load(&self) -> Result<Stored, StorageError> {
        self.timed(self.storage.load(&self.name), |stored| stored).await
    }

    async fn update(
        &self,
        update: &Update,
        mut current: Option<Versioned>,
    ) -> Result<(Stored, Linger), StorageError> {
        let began = Instant::now();
        let settings = update.own.settings();
        let options = self.link.options();
        let expires_in = (settings.ttl.max(settings.probe_lease) * 10).max(options.expiry);
        if update.is_run() {
            let bump = Bump::new(&self.name, expires_in, update);
            if let Some(bumped) = self.storage.bump(&bump) {
                return Ok((self.timed(bumped, |stored| stored).await?, LINGER));
            }
        }
        let mut conflicts = 0;
        loop {
            let now = self.link.offset().to_store(self.common.clock.now());
            let Some(bumped) = rewrite(update, current.as_ref(), now) else {
                // It changes nothing of what was there; see whether that is there still.
                return Ok((self.load().await?, LINGER));
            };
            let write = Write {
                circuit: &self.name,
                expected: current.as_ref().map_or(0, |current| current.version),
                bytes: &bumped.bytes,
                expires_in,
                announce: bumped.announce,
            };
            let swap = self.storage.compare_and_set(write);
            let swap = self.timed(swap, |swap| &swap.stored).await?;
            if swap.applied {
                // Who had to contend for it leaves the others twice that time, or some would never get through.
                let contended = if conflicts > 1 { began.elapsed() * 2 } else { LINGER };
                return Ok((swap.stored, contended.clamp(LINGER, MAX_LINGER)));
            }
            if update.is_ask() && began.elapsed() >= options.probe_wait {
                // The call does not wait any more.
                return Ok((swap.stored, LINGER));
            }
            current = swap.stored.record;
            conflicts += 1;
            if conflicts > 1 {
                self.back_off(conflicts).await;
                current = self.load().await?.record;
            }
        }
    }

    /// Waits a while, each process its own: the others have to get on too. Most of what is in a hurry is settled
    /// by the first conflict: what others wrote has it already, or rules it out.
    async fn back_off(&self, conflicts: u32) {
        let longest = Duration::from_micros(500) * 2u32.pow(conflicts.min(10));
        let share = (self.link.draw() >> 40) as f64 / (1 << 24) as f64;
        time::sleep(longest.min(MAX_CONTENTION).mul_f64(share)).await;
    }

    /// Waits for an answer, as long as one may take, and sets the clock by it.
    async fn timed<T>(
        &self,
        answer: impl Future<Output = Result<T, StorageError>>,
        stored: impl FnOnce(&T) -> &Stored,
    ) -> Result<T, StorageError> {
        let timeout = self.link.options().operation_timeout;
        let asked = self.common.clock.now();
        let answer = time::timeout(timeout, answer).await.unwrap_or_else(|_| {
            Err(StorageError::Unavailable(format!("no answer within {timeout:?}")))
        })?;
        let there = stored(&answer).now.unwrap_or_else(SystemTime::now);
        self.link.observe(asked, self.common.clock.now(), store_time(there));
        Ok(answer)
    }
}
