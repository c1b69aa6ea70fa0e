//! What goes on between a factory and its storage, in the background.

mod exchange;
mod flushing;
mod start;
mod syncing;
mod timers;
mod watch;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::exchange::Done;
use self::flushing::Flushing;
use self::syncing::Syncing;
use self::timers::{Timer, Timers};
use self::watch::{News, Watched};
use crate::event::Event;
use crate::locked::{Common, FleetLink, LockedCircuit};
use crate::mirror::Wait;
use crate::name::Name;
use crate::storage::{Storage, StorageError, StorageOptions};

pub(crate) use self::start::{Spawn, restart, start};

/// Brings the requests of the circuits to the storage, and what the storage has to the circuits.
///
/// It is one task, with one for the watch and one for each request under way. Callers never wait for it but
/// as [`mirror`](crate::mirror) says, and then no longer than their patience.
struct Driver {
    storage: Arc<dyn Storage>,
    link: Arc<FleetLink>,
    common: Arc<Common>,
    options: StorageOptions,
    phase: Phase,
    /// Of this connection, as the requests are.
    watch: JoinSet<WatchEnd>,
    watched: Arc<Watched>,
    requests: JoinSet<Done>,
    /// The time of a request begins when it has a place here. Circuits of which the storage has not been heard
    /// have their own: what hangs is asked for again and again, and is not to be in the way of the others.
    window: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    timers: Timers,
    /// The circuits that the storage does not know all about. Their last breaker may be gone.
    held: BTreeMap<Name, Arc<LockedCircuit>>,
    flushes: Vec<Flushing>,
    /// When the storage was last up; at first, when the driver began.
    down_since: Instant,
    up_since: Instant,
    /// Whether listeners know that it is down.
    told_down: bool,
    backoff: Duration,
    /// Whether changes arrive by themselves.
    hears: bool,
    /// Grows with every tick.
    ticks: u64,
    /// How long to wait for the last handle to go, and whether that is being waited for.
    until_gone: Duration,
    awaits_gone: bool,
    /// Set when the last handle is gone: when to end at the latest.
    ending: Option<Instant>,
}

/// Without a cause, if the storage has no watch.
type WatchEnd = Option<StorageError>;

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Until a timer says to try again.
    Down,
    /// Until the watch is ready.
    Connecting,
    /// Until every circuit has been read.
    Syncing(Syncing),
    Up,
}

/// The first wait after the storage went down.
const FIRST_BACKOFF: Duration = Duration::from_millis(20);

/// How many requests are under way at a time: the last of ten thousand would be late in any case.
const WINDOW: usize = 256;

/// For how long outcomes of a closed circuit gather after an update.
const LINGER: Duration = Duration::from_millis(5);

/// How often every circuit is read again, though changes arrive by themselves.
const LOOK_AT_ALL: Duration = Duration::from_secs(30);

/// How late a driver notices at most that the last handle is gone.
const LONGEST_UNTIL_GONE: Duration = Duration::from_secs(1);

/// How long a storage has to take what is left at the end.
const FAREWELL: Duration = Duration::from_millis(100);

impl Driver {
    fn new(storage: Arc<dyn Storage>, link: Arc<FleetLink>, common: Arc<Common>) -> Self {
        let now = Instant::now();
        // So that a fleet that was started as one does not look as one.
        let ticks = link.draw() >> 48;
        Self {
            storage,
            options: link.options(),
            link,
            common,
            phase: Phase::Down,
            watch: JoinSet::new(),
            watched: Arc::default(),
            requests: JoinSet::new(),
            window: Arc::new(Semaphore::new(WINDOW)),
            strangers: Arc::new(Semaphore::new(WINDOW)),
            timers: Timers::default(),
            held: BTreeMap::new(),
            flushes: Vec::new(),
            down_since: now,
            up_since: now,
            told_down: false,
            backoff: FIRST_BACKOFF,
            hears: false,
            ticks,
            until_gone: FAREWELL / 2,
            awaits_gone: false,
            ending: None,
        }
    }

    /// Ends when the factory and all its breakers are gone.
    async fn run(mut self) {
        let link = Arc::clone(&self.link);
        self.connect();
        self.timers.after(self.options.poll, Timer::Tick);
        while !self.is_over() {
            // The order is that of urgency, and the same in every run.
            tokio::select! {
                biased;
                Some(end) = self.watch.join_next() => self.watch_ended(end),
                Some(done) = self.requests.join_next() => self.done(done),
                () = link.news() => self.news(),
                () = self.timers.next() => self.timer(),
            }
        }
        let left = self.link.all().iter().map(|circuit| circuit.pending()).sum::<u64>();
        self.tell(Event::StorageClosed { discarded: left + self.link.lost() });
    }

    fn connect(&mut self) {
        self.phase = Phase::Connecting;
        self.watched = Arc::new(Watched::default());
        // Nobody tells of what Python processes do.
        self.hears = !self.options.registers;
        self.link.forget_offset();
        let (storage, watched) = (Arc::clone(&self.storage), Arc::clone(&self.watched));
        let watcher = watch::watcher(&self.link, &self.watched);
        self.watch.spawn(async move {
            let watching = storage.watch(watcher)?;
            tokio::select! {
                biased;
                cause = watching => Some(cause),
                cause = watched.late() => Some(cause),
            }
        });
    }

    fn watch_ended(&mut self, end: Result<WatchEnd, JoinError>) {
        match end {
            Ok(Some(cause)) => self.down(cause),
            Ok(None) => {
                self.hears = false;
                self.sync();
            }
            Err(error) => self.broken(&error),
        }
    }

    fn down(&mut self, cause: StorageError) {
        if self.phase == Phase::Down {
            return;
        }
        if self.up_since.elapsed() > self.options.max_backoff && self.is_up() {
            self.backoff = FIRST_BACKOFF;
        }
        self.phase = Phase::Down;
        self.watched.end();
        // What belongs to this connection ends, and is not heard of.
        self.watch = JoinSet::new();
        self.requests = JoinSet::new();
        let tells = !mem::replace(&mut self.told_down, true);
        // First the calls that wait: a listener may take its time.
        self.pump_all();
        if tells {
            self.down_since = Instant::now();
            self.tell(Event::StorageDown { cause });
        }
        let backoff = self.backoff.min(self.options.max_backoff);
        let spread = backoff.mul_f64(0.5 + (self.link.draw() >> 40) as f64 / (1 << 25) as f64);
        self.timers.after(spread, Timer::Connect);
        self.backoff = backoff * 2;
    }

    /// A task has not come to its end: it panicked, or the runtime is ending.
    fn broken(&mut self, error: &JoinError) {
        if error.is_panic() {
            self.down(StorageError::Unavailable("the storage panicked".to_owned()));
        }
    }

    fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Syncing(_) | Phase::Up)
    }

    /// Somebody has news: circuits, the watch, or those who wait for a flush.
    fn news(&mut self) {
        if self.phase == Phase::Connecting && self.watched.is_ready() {
            self.sync();
        }
        let News { unannounced, announced } = self.watched.take();
        if let Some(cause) = unannounced {
            self.hears = false;
            let cause = StorageError::Refused(cause);
            self.tell(Event::StorageRefused { circuit: None, cause });
        }
        if announced {
            self.hears = !self.options.registers;
            // And what came before that.
            if self.is_up() {
                self.look(|_| true);
            }
        }
        for circuit in self.link.take_news() {
            for wait in circuit.begins_to_wait() {
                let patience = match wait {
                    Wait::Ask(_) => self.options.probe_wait,
                    Wait::Read(_) => self.options.operation_timeout,
                };
                self.timers.after(patience, Timer::Wait(Arc::downgrade(&circuit), wait));
            }
            self.pump(&circuit);
        }
        self.take_flushes();
        self.end_flushes();
    }

    fn pump_all(&mut self) {
        for circuit in self.link.all() {
            self.pump(&circuit);
        }
    }

    /// Sends the next request of a circuit, if it has one.
    fn pump(&mut self, circuit: &Arc<LockedCircuit>) {
        if self.is_up() {
            let impatient = !self.flushes.is_empty() || self.ending.is_some();
            if let Some(request) = circuit.next(self.link.offset(), impatient) {
                self.spawn(circuit, request);
            }
        } else {
            if self.phase == Phase::Down || self.told_down {
                // What is under way ends with it, and so does the wait of a new one.
                circuit.unanswered();
            }
            circuit.news_taken();
        }
        self.hold(circuit);
    }

    fn hold(&mut self, circuit: &Arc<LockedCircuit>) {
        if !circuit.is_held() {
            self.held.remove(circuit.name());
        } else if !self.held.contains_key(circuit.name()) {
            self.held.insert(circuit.name().clone(), Arc::clone(circuit));
        }
    }

    fn timer(&mut self) {
        match self.timers.pop() {
            Some(Timer::Connect) => self.connect(),
            Some(Timer::Tick) => self.tick(),
            Some(Timer::Linger(circuit)) => {
                if let Some(circuit) = circuit.upgrade() {
                    circuit.linger_over();
                    self.pump(&circuit);
                }
            }
            Some(Timer::Wait(circuit, wait)) => {
                if let Some(circuit) = circuit.upgrade() {
                    circuit.give_up(wait);
                }
            }
            Some(Timer::Gone) => self.awaits_gone = false,
            Some(Timer::Flush) => self.end_flushes(),
            None => {}
        }
    }

    /// Looks where news may have been missed.
    fn tick(&mut self) {
        if self.is_up() {
            let round = (LOOK_AT_ALL.as_nanos() / self.options.poll.as_nanos()).max(1) as u64;
            // Not all at the same time, and each in its turn, whichever others come and go.
            let turns = BuildHasherDefault::<DefaultHasher>::default();
            let turn = |circuit: &LockedCircuit| turns.hash_one(circuit.name()) >> 32;
            let (hears, ticks) = (self.hears, self.ticks);
            self.look(|circuit| {
                !hears || (turn(circuit) + ticks) % round == 0 || circuit.is_uneasy()
            });
            self.ticks += 1;
        }
        self.end_flushes();
        self.timers.after(self.options.poll, Timer::Tick);
    }

    /// Reads circuits again about which something may have been missed.
    fn look(&mut self, is_due: impl Fn(&LockedCircuit) -> bool) {
        for circuit in &self.link.all() {
            if is_due(circuit) {
                circuit.doubt();
                self.pump(circuit);
            }
        }
    }

    /// Whether nobody can use the circuits any more, and what they counted has arrived or will not.
    fn is_over(&mut self) -> bool {
        if !self.link.is_closed() || self.awaits_gone {
            return false;
        }
        if self.ending.is_none() {
            // Whoever waited for them had the factory.
            self.flushes.clear();
            let abandoned = |circuit: &Arc<LockedCircuit>| {
                let ours = 1 + usize::from(self.held.contains_key(circuit.name()));
                Arc::strong_count(circuit) <= ours
            };
            if !self.link.all().iter().all(abandoned) {
                self.awaits_gone = true;
                self.timers.after(self.until_gone, Timer::Gone);
                self.until_gone = (self.until_gone * 2).min(LONGEST_UNTIL_GONE);
                return false;
            }
            self.ending = Some(Instant::now() + FAREWELL);
            self.timers.after(FAREWELL, Timer::Gone);
            self.pump_all();
        }
        let late = self.ending.is_some_and(|end| Instant::now() >= end);
        // Nobody has news any more, so what has not arrived is held.
        late || self.phase == Phase::Down || self.held.is_empty()
    }

    fn tell(&self, event: Event) {
        self.common.listeners.notify(&event);
    }
}
