//! A circuit that is shared with other processes: what callers and the driver do with it.

use std::future::{Future, poll_fn};
use std::mem;
use std::pin::Pin;
use std::process;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use super::machine::Machine;
use super::{Common, Declined, Inner, LockedCircuit};
use crate::circuit::{Effect, Ticket};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::error::{Rejected, StorageError};
use crate::event::Event;
use crate::link::Link;
use crate::mirror::{Mirror, Notice, Request, Tally, Told, Wait};
use crate::name::Name;
use crate::offset::Offset;
use crate::outcome::Outcome;
use crate::storage::{Stored, Versioned};
use crate::sync;
use crate::waiter::{self, Verdict};
pub(super) use crate::waiter::{Stage, Waiting};

/// The link of a factory's circuits.
pub(crate) type FleetLink = Link<LockedCircuit>;

/// A circuit's share in the circuit of all processes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) mirror: Mirror,
    link: Arc<FleetLink>,
    this: Weak<LockedCircuit>,
    /// The process that counts.
    process: u32,
}

/// A call that waits for the storage. Dropped, it gives back what it would have got.
#[derive(Debug)]
pub struct Pause<'a> {
    circuit: &'a LockedCircuit,
    waiting: Waiting,
}

/// What the driver has to be told, without the lock.
pub(super) struct News(Option<(Arc<FleetLink>, Arc<LockedCircuit>)>);

impl News {
    pub(super) fn tell(self) {
        if let Some((link, circuit)) = self.0 {
            if let Some(circuit) = link.list(circuit) {
                circuit.unanswered();
            }
        }
    }
}

impl LockedCircuit {
    /// A circuit that is shared over that link.
    pub(crate) fn shared(
        name: Name,
        settings: Settings,
        common: Arc<Common>,
        link: &Arc<FleetLink>,
    ) -> Arc<Self> {
        let now = common.clock.now();
        let mut mirror = Mirror::new(settings, now, link.options(), link.draw());
        // By `join`: what is not known to the driver yet is not for it to send.
        mirror.listed = true;
        Arc::new_cyclic(|this| {
            let (link, this) = (Arc::clone(link), this.clone());
            let machine =
                Machine::Shared(Box::new(Shared { mirror, link, this, process: process::id() }));
            Self::with_machine(name, settings, machine, common)
        })
    }

    /// Makes the circuit known to the driver.
    pub(crate) fn join(self: &Arc<Self>) {
        let link = match &sync::lock(&self.inner).machine {
            Machine::Local(_) => return,
            Machine::Shared(shared) => Arc::clone(&shared.link),
        };
        if let Some(alone) = link.join(self.name.clone(), self) {
            alone.unanswered();
        }
    }

    /// Whether something has not arrived, as far as the driver knows, which keeps it until then.
    pub(crate) fn is_held(&self) -> bool {
        self.look(Mirror::is_held).unwrap_or(false)
    }

    /// Failures of which it is not known whether they have arrived.
    pub(crate) fn pending(&self) -> u64 {
        self.look(Mirror::pending).unwrap_or(0)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.look(Mirror::tally).unwrap_or_default()
    }

    pub(crate) fn is_uneasy(&self) -> bool {
        self.look(Mirror::is_uneasy).unwrap_or(false)
    }

    /// Up to what [`has_arrived`](Self::has_arrived) is asked for all that was counted by now.
    pub(crate) fn owed(&self) -> Option<u64> {
        self.look(Mirror::owed).flatten()
    }

    pub(crate) fn has_arrived(&self, owed: u64) -> bool {
        self.look(|mirror| mirror.has_arrived(owed)).unwrap_or(true)
    }

    pub(crate) fn is_stranded(&self) -> bool {
        self.look(Mirror::is_stranded).unwrap_or(false)
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.look(Mirror::is_synced).unwrap_or(true)
    }

    fn look<R>(&self, look: impl FnOnce(&Mirror) -> R) -> Option<R> {
        match &sync::lock(&self.inner).machine {
            Machine::Local(_) => None,
            Machine::Shared(shared) => Some(look(&shared.mirror)),
        }
    }

    /// The next request for the storage. From here on the circuit lists itself again.
    pub(crate) fn next(&self, offset: Offset, impatient: bool) -> Option<Request> {
        self.drive(|mirror, _| {
            let request = mirror.next(offset, impatient);
            mirror.news_taken();
            request
        })
        .flatten()
    }

    /// There is no storage to send anything to.
    pub(crate) fn news_taken(&self) {
        self.drive(|mirror, _| mirror.news_taken());
    }

    pub(crate) fn answered(&self, stored: Stored, offset: Offset) {
        let now = self.common.clock.now();
        self.drive(|mirror, told| *told = mirror.answered(stored, offset, now));
    }

    pub(crate) fn pushed(&self, record: Versioned, offset: Offset) {
        let now = self.common.clock.now();
        self.drive(|mirror, told| *told = mirror.pushed(record, offset, now));
    }

    /// The storage is down.
    pub(crate) fn unanswered(&self) {
        let now = self.common.clock.before_lock();
        self.drive(|mirror, told| *told = mirror.unanswered(now));
    }

    /// The storage cannot share this circuit.
    pub(crate) fn cut_off(&self, cause: StorageError) {
        let now = self.common.clock.before_lock();
        self.drive(|mirror, told| *told = mirror.cut_off(cause, now));
    }

    /// This process was forked.
    pub(crate) fn forked(&self) {
        let now = self.common.clock.before_lock();
        self.with(|inner| {
            if let Machine::Shared(shared) = &mut inner.machine {
                shared.here(now);
            }
        });
    }

    pub(crate) fn doubt(&self) {
        self.drive(|mirror, _| mirror.doubt());
    }

    pub(crate) fn linger_over(&self) {
        self.drive(|mirror, _| mirror.linger_over());
    }

    pub(crate) fn begins_to_wait(&self) -> Vec<Wait> {
        self.drive(|mirror, _| mirror.begins_to_wait()).unwrap_or_default()
    }

    pub(crate) fn give_up(&self, wait: Wait) {
        self.drive(|mirror, told| *told = mirror.give_up(wait));
    }

    /// Does the driver's work under the lock, and tells of it without: first the calls that wait, as listeners
    /// may take their time.
    fn drive<R>(&self, work: impl FnOnce(&mut Mirror, &mut Told) -> R) -> Option<R> {
        let mut told = Told::default();
        let (answer, delivery) = self.change(|inner| {
            let Machine::Shared(shared) = &mut inner.machine else { return None };
            let answer = work(&mut shared.mirror, &mut told);
            for notice in mem::take(&mut told.notices) {
                self.note_notice(inner, notice);
            }
            Some(answer)
        });
        for (waiter, verdict) in told.verdicts {
            let told = waiter.tell(verdict);
            if let (false, Verdict::Granted(ticket)) = (told, verdict) {
                self.settle(ticket, Outcome::Ignored);
            }
        }
        drop(delivery);
        answer
    }

    fn note_notice(&self, inner: &mut Inner, notice: Notice) {
        match notice {
            Notice::Effect(Effect::Recovered) => {
                self.note(inner, |circuit| Event::Recovered { circuit });
            }
            Notice::Effect(Effect::Failed(_) | Effect::Late) => {}
            Notice::Late(outcome, generation) => {
                inner.late += 1;
                self.note(inner, |circuit| Event::Late { circuit, outcome, generation });
            }
            Notice::Change(change) => self.note_change(inner, Some(change)),
            Notice::Newer => self.note(inner, |circuit| Event::RecordNewer { circuit }),
            Notice::Garbled => self.note(inner, |circuit| Event::RecordGarbled { circuit }),
            Notice::CutOff(cause) => {
                self.note(inner, |circuit| Event::StorageRefused { circuit: Some(circuit), cause });
            }
            Notice::Settings(theirs) => {
                let ours = *inner.machine.circuit().settings();
                self.note(inner, |circuit| Event::FleetConflict { circuit, ours, theirs });
            }
        }
    }

    /// Puts the circuit on the driver's list, if it has news and is not on it.
    pub(super) fn news(inner: &mut Inner) -> News {
        let Machine::Shared(shared) = &mut inner.machine else { return News(None) };
        if shared.mirror.listed || !shared.mirror.has_news() {
            return News(None);
        }
        let Some(this) = shared.this.upgrade() else { return News(None) };
        shared.mirror.listed = true;
        News(Some((Arc::clone(&shared.link), this)))
    }

    /// Waits on this thread.
    #[cold]
    pub(super) fn wait(&self, mut pause: Pause<'_>) -> Result<Ticket, Rejected> {
        // The driver measures the time as well; it may not get to it.
        let patience = self.look(|mirror| mirror.patience()).unwrap_or_default();
        if let Some(answer) = waiter::block_on(poll_fn(|cx| pause.poll(cx)), patience) {
            return answer;
        }
        if let Some(ticket) = pause.waiting.give_up() {
            return Ok(ticket);
        }
        match self.acquire_locked(Stage::Last) {
            Ok(ticket) => Ok(ticket),
            Err(Declined::Rejected(rejected)) => Err(rejected),
            Err(Declined::Pause(_)) => unreachable!("nothing is asked in the last stage"),
        }
    }

    pub(super) fn pause(&self, waiting: Waiting) -> Pause<'_> {
        Pause { circuit: self, waiting }
    }
}

impl Shared {
    /// This process's mirror. After a fork it leaves what was counted before to the parent, before anything is
    /// counted or asked here.
    pub(super) fn here(&mut self, now: impl Fn() -> Timestamp) -> &mut Mirror {
        let here = process::id();
        if mem::replace(&mut self.process, here) != here {
            self.mirror.forked(self.link.draw(), now);
        }
        &mut self.mirror
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.process == process::id() {
            self.link.lose(self.mirror.pending());
        }
    }
}

impl Pause<'_> {
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Ticket, Rejected>> {
        loop {
            let stage = match ready!(Pin::new(&mut self.waiting).poll(cx)) {
                Verdict::Granted(ticket) => return Poll::Ready(Ok(ticket)),
                Verdict::Decide(stage) => stage,
            };
            match self.circuit.acquire_locked(stage) {
                Ok(ticket) => return Poll::Ready(Ok(ticket)),
                Err(Declined::Rejected(rejected)) => return Poll::Ready(Err(rejected)),
                Err(Declined::Pause(mut next)) => mem::swap(&mut self.waiting, &mut next.waiting),
            }
        }
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.waiting.give_up() {
            self.circuit.settle(ticket, Outcome::Ignored);
        }
    }
}
