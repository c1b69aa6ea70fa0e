//! Everything in one run, as its observer sees it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use purgatory::storage::Versioned;
use purgatory::{CircuitBreaker, Clock, Event, Listener, Timestamp};
use tokio::time::Instant;

use crate::eye::{Eye, Seen};
use crate::line::Line;
use crate::nth::Nth;
use crate::plan::Plan;
use crate::sights::{Sight, Sights};

/// Everything in one run, as its observer sees it: what the processes are told, what the storage has, and
/// which promises were broken.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    began: Instant,
    /// By how many milliseconds the storage's clock was set.
    shift: AtomicI64,
    dependency: AtomicU8,
    /// The longest pause of a caller, in milliseconds.
    pub(crate) pause: AtomicU64,
    /// Nothing may close any more.
    pub(crate) hopeless: AtomicBool,
    /// The one operation that goes wrong, in place of the weather.
    pub(crate) nth: Option<Nth>,
    pub(crate) sights: Sights,
    verbose: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) journal: Vec<String>,
    pub(crate) broken: Vec<String>,
    pub(crate) eyes: Vec<Eye>,
    pub(crate) written: BTreeMap<String, Vec<Written>>,
    pub(crate) probes: Vec<Probe>,
    pub(crate) probes_ever: u64,
    busy: Option<(Instant, u32)>,
}

/// A record that was announced, or was put there by somebody else.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) at: Instant,
    pub(crate) line: Option<Line>,
}

/// A probe that is out.
#[derive(Debug)]
pub(crate) struct Probe {
    id: u64,
    who: usize,
    circuit: String,
    since: Instant,
    /// The generation that the process has given it.
    here: u64,
    /// How often the process had looked for the storage by then.
    period: u64,
    /// The generation in the storage, if that gave leave.
    there: Option<u64>,
}

/// How the dependency fares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Dependency {
    Healthy,
    Failing,
    Flaky,
    Hanging,
}

pub(crate) const DEPENDENCIES: [Dependency; 4] =
    [Dependency::Healthy, Dependency::Failing, Dependency::Flaky, Dependency::Hanging];

/// What two processes may think the storage's clock shows, apart: both have measured it with an error of
/// half a round trip, which takes 250 ms at most.
pub(crate) const APART: Duration = Duration::from_millis(300);

/// More requests than these at one instant are an endless loop.
const BUSY: u32 = 2_000;

impl World {
    pub(crate) fn new(plan: Plan, nth: Option<Nth>, verbose: bool) -> Arc<Self> {
        Arc::new(Self {
            plan,
            began: Instant::now(),
            shift: AtomicI64::new(0),
            dependency: AtomicU8::new(0),
            pause: AtomicU64::new(60),
            hopeless: AtomicBool::new(false),
            nth,
            sights: Sights::default(),
            verbose,
            state: Mutex::default(),
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn say(&self, what: impl FnOnce() -> String) {
        if self.verbose {
            let line = format!("{:>9.3} {}", self.began.elapsed().as_secs_f64(), what());
            self.state().journal.push(line);
        }
    }

    /// A promise was broken.
    pub(crate) fn blame(&self, what: impl Into<String>) {
        let what = what.into();
        self.say(|| format!("BROKEN: {what}"));
        self.state().broken.push(format!("{:.3} {what}", self.began.elapsed().as_secs_f64()));
    }

    /// An operation begins. False, if something loops.
    pub(crate) fn operates(&self) -> bool {
        let now = Instant::now();
        let mut state = self.state();
        let busy = match state.busy {
            Some((at, count)) if at == now => count + 1,
            _ => 0,
        };
        state.busy = Some((now, busy));
        drop(state);
        if busy == BUSY {
            self.blame("an endless loop at one instant");
        }
        busy < BUSY
    }

    pub(crate) fn store_time(&self) -> Duration {
        let shift = self.shift.load(Ordering::Relaxed);
        let millis = Duration::from_millis(shift.unsigned_abs());
        let now = Duration::from_secs(1_800_000_000) + self.began.elapsed();
        if shift < 0 { now - millis } else { now + millis }
    }

    pub(crate) fn shift_clock(&self, millis: i64) {
        self.shift.fetch_add(millis, Ordering::Relaxed);
        self.sights.see(Sight::ClockSet);
        self.say(|| format!("the storage's clock is set by {millis} ms"));
    }

    pub(crate) fn dependency(&self) -> Dependency {
        DEPENDENCIES[usize::from(self.dependency.load(Ordering::Relaxed))]
    }

    pub(crate) fn set_dependency(&self, dependency: Dependency) {
        self.dependency.store(dependency as u8, Ordering::Relaxed);
        self.say(|| format!("the dependency is {dependency:?}"));
    }

    /// The storage has another record.
    pub(crate) fn wrote(&self, circuit: &str, record: Option<&Versioned>) {
        let line = record.and_then(|record| Line::read(&record.bytes));
        self.say(|| {
            let text = record.map(|r| String::from_utf8_lossy(&r.bytes).into_owned());
            format!("record of {circuit}: {} {text:?}", record.map_or(0, |r| r.version))
        });
        if let Some(line) = line.as_ref().filter(|line| line.format == "1") {
            let plan = &self.plan;
            if line.state == 'H' && line.probes.len() > plan.probes as usize {
                self.blame(format!("{} leases of {circuit}", line.probes.len()));
            }
            if line.writers > 16 || record.is_some_and(|record| record.bytes.len() > 1000) {
                self.blame(format!("the record of {circuit} grows"));
            }
            let before = self.last_line(circuit);
            let falls = before.as_ref().is_some_and(|before| line.generation < before.generation);
            // Only a probe, or somebody by hand, closes what is open: that it works here is no evidence.
            let leaps = before.is_some_and(|before| (before.state, line.state) == ('O', 'C'));
            if (falls || leaps && !plan.resets) && !plan.tampers && !plan.steps {
                self.blame(format!("{circuit} goes back to {line:?}"));
            }
        }
        let written = Written { at: Instant::now(), line };
        self.state().written.entry(circuit.to_owned()).or_default().push(written);
    }

    fn last_line(&self, circuit: &str) -> Option<Line> {
        self.state().written.get(circuit)?.last()?.line.clone()
    }

    /// Looks whether a process has gone back to an older record.
    pub(crate) fn look(&self, who: usize) {
        let breakers = self.breakers(who);
        for breaker in breakers {
            let Some(version) = breaker.snapshot().shared.and_then(|shared| shared.version) else {
                continue;
            };
            let mut state = self.state();
            let seen = state.eyes[who].seen(breaker.name());
            let before = seen.version;
            seen.version = version.max(before);
            drop(state);
            if version < before {
                self.blame(format!("{who} goes back from {before} to {version}"));
            }
        }
    }

    pub(crate) fn breakers(&self, who: usize) -> Vec<CircuitBreaker> {
        self.state().eyes.get(who).map(|eye| eye.breakers.clone()).unwrap_or_default()
    }

    /// Compares what a process was told with what it says it has done with it.
    pub(crate) fn audit(&self, who: usize) {
        for breaker in self.breakers(who) {
            let Some(shared) = breaker.snapshot().shared else { continue };
            let failed = self.state().eyes[who].seen(breaker.name()).failed;
            if failed != shared.recorded + shared.discarded + shared.pending {
                self.blame(format!("{who} {} counted {failed}: {shared:?}", breaker.name()));
            }
        }
        self.look(who);
    }

    /// A call has waited so long for leave.
    pub(crate) fn waited(&self, who: usize, time: Duration) {
        if time > self.plan.patience() {
            self.blame(format!("{who} had to wait for {time:?}"));
        }
    }

    /// A probe begins.
    pub(crate) fn probe(&self, who: usize, breaker: &CircuitBreaker) -> u64 {
        let snapshot = breaker.snapshot();
        let synced = snapshot.shared.is_some_and(|shared| shared.in_sync);
        let (circuit, here) = (breaker.name().to_string(), snapshot.generation);
        let line = self.last_line(&circuit).filter(|line| line.state == 'H' && synced);
        let there = line.map(|line| line.generation);
        self.sights.see(if there.is_some() { Sight::Probed } else { Sight::ProbedAlone });
        let mut state = self.state();
        let period = state.eyes[who].periods;
        state.probes_ever += 1;
        let id = state.probes_ever;
        let since = Instant::now();
        let limit = self.plan.probes as usize;
        state.probes.push(Probe { id, who, circuit, since, here, period, there });
        let probe = state.probes.last().unwrap();
        let same = |other: &&Probe| other.circuit == probe.circuit;
        let own = |other: &&Probe| {
            (other.who, other.here, other.period, other.there) == (who, here, period, None)
                && other.since.elapsed() <= self.plan.lease
        };
        let fleet = |other: &&Probe| {
            other.there == there && other.since.elapsed() + APART < self.plan.lease
        };
        let owned = state.probes.iter().filter(same).filter(own).count();
        let all = state.probes.iter().filter(same).filter(fleet).count();
        drop(state);
        self.say(|| format!("{who} {} probe {id}, here {here}, there {there:?}", breaker.name()));
        if there.is_none() && owned > limit {
            self.blame(format!("{owned} probes of {who}"));
        }
        if there.is_some() && all > limit && !self.plan.steps && !self.plan.tampers {
            self.blame(format!("{all} probes of all"));
        }
        id
    }

    pub(crate) fn probe_ends(&self, id: u64) {
        self.state().probes.retain(|probe| probe.id != id);
    }
}

/// What one process is told.
#[derive(Debug)]
pub(crate) struct Ear(pub(crate) Arc<World>, pub(crate) usize);

impl Listener for Ear {
    fn on_event(&self, event: &Event) {
        let Self(world, who) = self;
        world.say(|| format!("{who} {}", purgatory_tests::line(event)));
        let mut state = world.state();
        let State { eyes, written, .. } = &mut *state;
        let records = written.get(event.circuit()).map_or(&[][..], Vec::as_slice);
        let seen = eyes[*who].seen(event.circuit());
        let broken = Seen::told(seen, world, records, event);
        if let Event::StorageClosed { discarded, .. } = event {
            eyes[*who].closed.push(*discarded);
        }
        drop(state);
        if let Some(broken) = broken {
            world.blame(format!("{who} {}: {broken}", event.circuit()));
        }
        if matches!(event, Event::StateChanged { .. }) {
            world.look(*who);
        }
    }
}

/// The clock of a process.
#[derive(Debug)]
pub(crate) struct Local(pub(crate) Instant, pub(crate) Duration);

impl Clock for Local {
    fn now(&self) -> Timestamp {
        Timestamp::from_origin(self.1 + self.0.elapsed())
    }
}

/// The clock of the storage.
pub(crate) struct Remote(pub(crate) Arc<World>);

impl Clock for Remote {
    fn now(&self) -> Timestamp {
        Timestamp::from_origin(self.0.store_time())
    }
}
