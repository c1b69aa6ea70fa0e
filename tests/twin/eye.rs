//! What is seen of one process.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use purgatory::{Cause, Change, CircuitBreaker, Event, State};
use tokio::time::Instant;

use crate::line::Line;
use crate::sights::Sight;
use crate::world::{APART, World, Written};

/// What is seen of one process, from its start to its end.
#[derive(Debug, Default)]
pub(crate) struct Eye {
    /// None any more, after its end.
    pub(crate) breakers: Vec<CircuitBreaker>,
    seen: BTreeMap<String, Seen>,
    /// How often it has looked for the storage: each time it may have to give leave by itself anew.
    pub(crate) periods: u64,
    /// What it said at its end.
    pub(crate) closed: Vec<u64>,
    /// What it had at its end: recorded, and not known.
    pub(crate) left: (u64, u64),
}

/// What is seen of one circuit of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) failed: u64,
    pub(crate) version: u64,
    state: State,
    generation: u64,
    /// When it opened by itself, here and by the storage's clock in microseconds.
    tripped: Option<(Instant, u64)>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { failed: 0, version: 0, state: State::Closed, generation: 0, tripped: None }
    }
}

impl Eye {
    pub(crate) fn seen(&mut self, circuit: &str) -> &mut Seen {
        self.seen.entry(circuit.to_owned()).or_default()
    }
}

impl Seen {
    /// Takes an event, and returns the promise that it breaks.
    pub(crate) fn told(
        &mut self,
        world: &World,
        records: &[Written],
        event: &Event,
    ) -> Option<String> {
        if let Some(sight) = sight(event) {
            world.sights.see(sight);
        }
        match event {
            Event::StorageUp { merged: 1.., .. } => world.sights.see(Sight::Merged),
            Event::Failed { .. } => self.failed += 1,
            Event::StateChanged { change, .. } => return self.changed(world, records, change),
            Event::StorageDown { cause, .. } if cause.to_string().contains("panicked") => {
                return Some(cause.to_string());
            }
            _ => {}
        }
        None
    }

    fn changed(&mut self, world: &World, records: &[Written], change: &Change) -> Option<String> {
        let chained = change.from == self.state && change.generation > self.generation;
        let before = (self.state, self.generation);
        (self.state, self.generation) = (change.to, change.generation);
        if !chained {
            return Some(format!("{before:?} and then {change:?}"));
        }
        if change.to == State::Closed && world.hopeless.load(Ordering::Relaxed) {
            return Some("closed, though nothing works".to_owned());
        }
        if change.cause == Cause::Reset {
            self.tripped = None;
        }
        if change.to == State::Open {
            let ours = change.cause != Cause::Shared;
            self.tripped = ours.then(|| (Instant::now(), world.store_time().as_micros() as u64));
            return None;
        }
        let (at, there) = self.tripped.take()?;
        if change.cause == Cause::Shared {
            world.sights.see(Sight::Overruled);
        }
        let plan = &world.plan;
        if plan.steps || plan.tampers || at.elapsed() + APART >= plan.ttl {
            return None;
        }
        (!says_so(world, records, change.to, at, there))
            .then(|| format!("{change} {:?} after it tripped", at.elapsed()))
    }
}

/// What the event shows by itself.
fn sight(event: &Event) -> Option<Sight> {
    Some(match event {
        Event::StateChanged { change, .. } => match (change.to, change.cause) {
            (_, Cause::Tripped { .. }) => Sight::Tripped,
            (State::Open, Cause::Shared) => Sight::Told,
            (_, Cause::ProbeFailed) => Sight::ProbeFailed,
            (_, Cause::ProbesSucceeded) => Sight::Recovered,
            (_, Cause::Reset) => Sight::Reset,
            _ => return None,
        },
        Event::Late { .. } => Sight::Late,
        Event::StorageDown { .. } => Sight::StorageDown,
        Event::StorageUp { discarded: 1.., .. } => Sight::Discarded,
        Event::StorageRefused { circuit: Some(_), .. } => Sight::Refused,
        Event::RecordNewer { .. } => Sight::RecordNewer,
        Event::RecordGarbled { .. } => Sight::RecordGarbled,
        _ => return None,
    })
}

/// Whether the storage has, or had a moment ago, a record for which a circuit that tripped then may admit
/// calls.
fn says_so(world: &World, records: &[Written], to: State, at: Instant, there: u64) -> bool {
    let apart = APART.as_micros() as u64;
    let now = world.store_time().as_micros() as u64;
    let since = |at: Instant| &records[records.partition_point(|w| w.at <= at).saturating_sub(1)..];
    let lines = |from| since(from).iter().filter_map(|written| written.line.as_ref());
    let recently = Instant::now().checked_sub(MOMENT).unwrap_or(at);
    // Its time is over. Who lost the storage goes by what that had, of before or after the trip.
    let over = |line: &Line| line.state == 'O' && line.since + line.open <= now + apart;
    to == State::HalfOpen && lines(at).any(over)
        || lines(recently).any(|line| match line.state {
            'O' => false,
            // All probe by now.
            'H' => to == State::HalfOpen,
            // Somebody found out later that it works, or closed it by hand.
            _ => line.since + apart >= there,
        })
}

/// For how long an answer may be under way.
const MOMENT: Duration = Duration::from_millis(500);
