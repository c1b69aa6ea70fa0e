//! A circuit as threads share it: behind its lock, with the word that most calls read instead.

mod machine;
#[cfg_attr(not(feature = "storage"), path = "locked/alone.rs")]
mod shared;

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use crate::circuit::{Circuit, Effect, Refusal, Settled, Ticket, View};
use crate::clock::{TimeSource, Timestamp};
use crate::config::{Config, Settings};
use crate::error::Rejected;
use crate::event::{Change, Event};
use crate::listener::Listeners;
use crate::name::Name;
use crate::outbox::{AT_ONCE, Outbox};
use crate::outcome::Outcome;
use crate::rules::Rules;
use crate::snapshot::Snapshot;
use crate::state::State;
use crate::sync::{self, AtomicU64, Mutex, Ordering};
use crate::word::Word;

use self::machine::{Acquired, Machine};
#[cfg(feature = "storage")]
pub(crate) use self::shared::FleetLink;
pub use self::shared::Pause;
use self::shared::Stage;

// A wait that a panic ends gives back what it would have got, as any other that ends.
impl UnwindSafe for Pause<'_> {}
impl RefUnwindSafe for Pause<'_> {}

/// What the circuits of a factory have in common.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) clock: TimeSource,
    pub(crate) listeners: Listeners,
    pub(crate) rules: Rules,
}

/// One circuit, shared.
///
/// The word is a cache of the circuit with one writer, the holder of the lock. Calls of a closed
/// circuit, and rejections that nobody listens to, are decided from the word alone.
#[derive(Debug)]
pub(crate) struct LockedCircuit {
    word: Word,
    rejected: AtomicU64,
    inner: Mutex<Inner>,
    name: Name,
    common: Arc<Common>,
}

#[derive(Debug)]
struct Inner {
    machine: Machine,
    outbox: Outbox,
    late: u64,
}

/// Why a call is not admitted at once.
#[derive(Debug)]
pub(crate) enum Declined<'a> {
    Rejected(Rejected),
    /// It has to wait for the storage.
    Pause(Pause<'a>),
}

impl LockedCircuit {
    /// A closed circuit. The event of its creation is delivered by [`announce`](Self::announce).
    pub(crate) fn new(name: Name, settings: Settings, common: Arc<Common>) -> Self {
        let machine = Machine::Local(Circuit::new(settings, common.clock.now()));
        Self::with_machine(name, settings, machine, common)
    }

    fn with_machine(name: Name, settings: Settings, machine: Machine, common: Arc<Common>) -> Self {
        let mut outbox = Outbox::default();
        if !common.listeners.is_empty() {
            outbox.push(Event::Created { circuit: name.clone(), settings });
            // Whoever else has an event before that is told leaves it to `announce`.
            outbox.begin();
        }
        Self {
            word: Word::new(machine.view()),
            rejected: AtomicU64::new(0),
            inner: Mutex::new(Inner { machine, outbox, late: 0 }),
            name,
            common,
        }
    }

    /// Tells the listeners of the circuit's creation, and of what has happened since.
    pub(crate) fn announce(&self) {
        let deliver = sync::lock(&self.inner).outbox.is_untold();
        if deliver {
            self.deliver();
        }
    }

    /// Asks for leave to make one call.
    #[inline(always)]
    pub(crate) fn acquire(&self) -> Result<Ticket, Rejected> {
        match self.word.closed() {
            Some(generation) => Ok(Ticket { generation, probe: None }),
            None => self.acquire_unless_closed(),
        }
    }

    #[inline(never)]
    fn acquire_unless_closed(&self) -> Result<Ticket, Rejected> {
        match self.admit() {
            Ok(ticket) => Ok(ticket),
            Err(Declined::Rejected(rejected)) => Err(rejected),
            Err(Declined::Pause(pause)) => self.wait(pause),
        }
    }

    /// As [`acquire`](Self::acquire), without ever blocking the thread.
    #[inline(always)]
    pub(crate) fn acquire_or_wait(&self) -> Result<Ticket, Declined<'_>> {
        match self.word.closed() {
            Some(generation) => Ok(Ticket { generation, probe: None }),
            None => self.admit(),
        }
    }

    #[inline(never)]
    fn admit(&self) -> Result<Ticket, Declined<'_>> {
        // In this order: a listener that has been told of what the word shows is seen as well.
        if let View::Refusing(refusal) = self.word.view() {
            if self.common.listeners.is_empty() {
                if let Some(at) = self.common.clock.not_after(refusal.until) {
                    return Err(Declined::Rejected(self.reject(refusal, at)));
                }
            }
        }
        self.acquire_locked(Stage::First)
    }

    #[cold]
    fn acquire_locked(&self, stage: Stage) -> Result<Ticket, Declined<'_>> {
        let now = self.common.clock.now();
        self.with(|inner| match inner.machine.acquire(now, stage) {
            Acquired::Answer(answer, change) => {
                self.note_change(inner, change);
                answer.map_err(|refusal| {
                    let rejected = self.reject(refusal, now);
                    self.note(inner, |circuit| Event::Rejected {
                        circuit,
                        rejected: rejected.clone(),
                    });
                    Declined::Rejected(rejected)
                })
            }
            Acquired::Wait(waiting) => Err(Declined::Pause(self.pause(waiting))),
        })
    }

    fn reject(&self, Refusal { reason, until }: Refusal, at: Timestamp) -> Rejected {
        self.rejected.fetch_add(1, Ordering::Relaxed);
        Rejected::new(&self.name, reason, at, until)
    }

    /// Takes what an admitted call came to.
    #[inline(always)]
    pub(crate) fn settle(&self, ticket: Ticket, outcome: Outcome) {
        let changes_nothing = match outcome {
            Outcome::Success => ticket.probe.is_none() && self.word.is_clean(ticket.generation),
            Outcome::Failure => false,
            Outcome::Ignored => {
                ticket.probe.is_none() && self.word.closed() == Some(ticket.generation)
            }
        };
        if !changes_nothing {
            self.settle_locked(ticket, outcome);
        }
    }

    #[inline(never)]
    fn settle_locked(&self, ticket: Ticket, outcome: Outcome) {
        let now = self.common.clock.before_lock();
        self.with(|inner| {
            let Settled { effect, change } = inner.machine.settle(ticket, outcome, now);
            match effect {
                Some(Effect::Failed(failures)) => {
                    self.note(inner, |circuit| Event::Failed { circuit, failures });
                }
                Some(Effect::Recovered) => {
                    self.note(inner, |circuit| Event::Recovered { circuit });
                }
                Some(Effect::Late) => {
                    inner.late += 1;
                    let generation = ticket.generation;
                    self.note(inner, |circuit| Event::Late { circuit, outcome, generation });
                }
                None => {}
            }
            self.note_change(inner, change);
        });
    }

    /// Closes the circuit and forgets its failures.
    pub(crate) fn reset(&self) {
        let now = self.common.clock.now();
        self.with(|inner| {
            let change = inner.machine.reset(now);
            self.note_change(inner, change);
        });
    }

    /// Reports a registration that asks for something else than what is in force. Whether the circuit is
    /// shared matters if the factory `shares` any.
    pub(crate) fn compare(&self, asked: Config, shares: bool) {
        if self.common.listeners.is_empty() {
            return;
        }
        self.with(|inner| {
            let in_force = *inner.machine.circuit().settings();
            let shared = asked.shared.filter(|_| shares);
            let differs = shared.is_some_and(|asked| asked != inner.machine.is_shared());
            if differs || !asked.agrees_with(&in_force) {
                self.note(inner, |circuit| Event::ConfigConflict { circuit, asked, in_force });
            }
        });
    }

    pub(crate) fn name(&self) -> &Name {
        &self.name
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.common.rules
    }

    pub(crate) fn state(&self) -> State {
        match self.word.view() {
            // The word of a circuit that has to ask its storage says so in this way.
            View::Probing => sync::lock(&self.inner).machine.circuit().state(),
            view => view.state(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        *sync::lock(&self.inner).machine.circuit().settings()
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let now = self.common.clock.now();
        let inner = sync::lock(&self.inner);
        let circuit = inner.machine.circuit();
        Snapshot {
            name: self.name.clone(),
            state: circuit.state(),
            failures: circuit.failures(),
            generation: circuit.generation(),
            since: circuit.since(),
            taken_at: now,
            settings: *circuit.settings(),
            rejected: self.rejected.load(Ordering::Relaxed),
            late: inner.late,
            events_dropped: inner.outbox.dropped(),
            #[cfg(feature = "storage")]
            shared: inner.machine.shared(),
        }
    }

    /// Changes the circuit under its lock, and afterwards, without it, tells the listeners.
    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let (answer, delivery) = self.change(change);
        drop(delivery);
        answer
    }

    /// Changes the circuit under its lock. It is for the caller when to tell the listeners.
    fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> (R, Option<Delivery<'_>>) {
        let mut inner = sync::lock(&self.inner);
        let answer = change(&mut inner);
        self.word.publish(inner.machine.view());
        let delivery = inner.outbox.begin().then(|| Delivery(self));
        let news = Self::news(&mut inner);
        drop(inner);
        news.tell();
        (answer, delivery)
    }

    fn note(&self, inner: &mut Inner, event: impl FnOnce(Name) -> Event) {
        if !self.common.listeners.is_empty() {
            inner.outbox.push(event(self.name.clone()));
        }
    }

    fn note_change(&self, inner: &mut Inner, change: Option<Change>) {
        if let Some(change) = change {
            self.note(inner, |circuit| Event::StateChanged { circuit, change });
        }
    }

    /// Tells the listeners, after [`begin`](Outbox::begin).
    #[cold]
    fn deliver(&self) {
        for _ in 0..AT_ONCE {
            // A statement of its own, so that the lock is free while the listeners work.
            let next = sync::lock(&self.inner).outbox.next();
            let Some(event) = next else { return };
            self.common.listeners.notify(&event);
        }
        sync::lock(&self.inner).outbox.pause();
    }
}

/// What listeners are to be told when this is dropped: also if that is by the panic of somebody who is woken
/// before.
struct Delivery<'a>(&'a LockedCircuit);

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        self.0.deliver();
    }
}
