//! A shared circuit, as one process sees it.

mod adopt;
mod answer;
mod exchange;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use crate::circuit::{Circuit, Phase, ProbeId, Refusal, Run, Settled, Ticket, View};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::error::Reason;
use crate::event::Change;
use crate::outcome::Outcome;
use crate::random::Random;
use crate::record::UpdateId;
use crate::snapshot::SharedSnapshot;
use crate::storage::{Consistency, StorageOptions, Versioned};
use crate::update::Decision;
use crate::waiter::{Stage, Waiter, Waiting};

pub(crate) use self::exchange::Request;
use self::told::Reported;
pub(crate) use self::told::{Notice, Told, Wait};

/// A shared circuit, as one process sees it: what the storage has, and on top of it what happened here and
/// the storage does not have yet.
///
/// It decides about calls by itself, at once: while it is closed, failures count here and trip here, and
/// the storage is told. What it takes leave of the storage for is probes, as they are counted over all
/// processes; while it has no storage, it gives that leave itself.
///
/// Like [`Circuit`] it does no I/O and knows no clock. Callers use what is in this file; the driver,
/// what is in `exchange` and `answer`.
#[derive(Debug)]
pub(crate) struct Mirror {
    circuit: Circuit,
    /// The generation that the storage gave what `circuit` is now, and whether it was read there.
    generation: u64,
    heard: bool,
    /// What the storage had when it was last heard of.
    base: Option<Versioned>,
    /// The version of what it does not have any more.
    lost: u64,
    sync: Sync,
    /// Whether nothing is known of the storage yet, neither what it has nor that it is down.
    joining: bool,
    /// Whether the storage has agreed to what `circuit` is.
    confirmed: bool,
    options: StorageOptions,
    /// Outcomes that are not sent, and when the last failure among them was.
    run: Run,
    failed: Timestamp,
    decision: Option<Decision>,
    outcomes: Vec<(ProbeId, Outcome)>,
    /// What probes came to that have the storage's leave, while it could not be told.
    unreported: Vec<(ProbeId, Outcome)>,
    ask: Option<Ask>,
    /// Calls that wait for a reading that begins after they came.
    readers: Vec<Reader>,
    /// How many readers there have been, and of how many the driver measures the time.
    readers_ever: u64,
    readers_timed: u64,
    /// Whether to read without a reason of its own.
    stale: bool,
    sent: Option<Sent>,
    /// What was sent and never answered: it is sent again before anything else.
    retry: Option<Parcel>,
    lingering: bool,
    /// Whether the driver has it on its list, and whether it keeps it until everything has arrived.
    pub(crate) listed: bool,
    held: bool,
    next_id: UpdateId,
    random: Random,
    tally: Tally,
    told: Reported,
}

/// Failures that were counted here, and what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub(crate) recorded: u64,
    pub(crate) discarded: u64,
}

/// How a mirror stands to its storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    /// It has not heard of the storage since that was last up.
    Alone,
    Synced,
    /// What the storage has cannot be changed by this process.
    Foreign,
}

/// A call that wants to be a probe.
#[derive(Debug)]
struct Ask {
    id: ProbeId,
    /// None, if it does not wait any more.
    waiter: Option<Waiter>,
    /// Whether the driver measures its time.
    timed: bool,
    /// What other calls are told until then.
    until: Timestamp,
}

/// A call that waits for a reading, and how many came before it.
#[derive(Debug)]
struct Reader {
    number: u64,
    waiter: Waiter,
}

/// A request under way, with the readers that it will answer.
#[derive(Debug)]
struct Sent {
    parcel: Option<Parcel>,
    /// What probes of that generation came to.
    outcomes: Vec<(ProbeId, Outcome)>,
    generation: u64,
    asked: bool,
    again: bool,
    readers: Vec<Reader>,
    /// The newest version that was pushed meanwhile.
    pushed: u64,
}

/// What has to arrive exactly once. Times are the factory's.
#[derive(Debug, Clone, Copy)]
struct Parcel {
    id: UpdateId,
    generation: u64,
    run: Run,
    decision: Option<Decision>,
    /// Whether the circuit has recovered here since: then it is only to find out whether it arrived.
    moot: bool,
}

/// What a call gets.
#[derive(Debug)]
pub(crate) enum Acquired {
    Answer(Result<Ticket, Refusal>, Option<Change>),
    /// It has to wait for the driver.
    Wait(Waiting),
}

impl Mirror {
    pub(crate) fn new(
        settings: Settings,
        now: Timestamp,
        options: StorageOptions,
        seed: u64,
    ) -> Self {
        let mut mirror = Self {
            circuit: Circuit::new(settings, now),
            generation: 0,
            heard: false,
            base: None,
            lost: 0,
            sync: Sync::Alone,
            joining: true,
            confirmed: true,
            options,
            run: Run::default(),
            failed: now,
            decision: None,
            outcomes: Vec::new(),
            unreported: Vec::new(),
            ask: None,
            readers: Vec::new(),
            readers_ever: 0,
            readers_timed: 0,
            stale: true,
            sent: None,
            retry: None,
            lingering: false,
            listed: false,
            held: false,
            next_id: UpdateId { writer: 0, sequence: 1 },
            random: Random::new(seed),
            tally: Tally::default(),
            told: Reported::default(),
        };
        mirror.draw_writer(seed);
        mirror
    }

    fn draw_writer(&mut self, seed: u64) {
        self.random = Random::new(seed);
        // 48 bits: in a thousand processes two have the same once in 500 million fleets.
        self.next_id.writer = self.random.draw() >> 16;
    }

    pub(crate) fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// How long a call may wait at most.
    pub(crate) fn patience(&self) -> Duration {
        match self.options.consistency {
            Consistency::Mirror => self.options.probe_wait,
            Consistency::Strict => self.options.operation_timeout + self.options.probe_wait,
        }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// Failures of which the storage has not said yet whether it has them.
    pub(crate) fn pending(&self) -> u64 {
        let sent = self.sent.as_ref().and_then(|sent| sent.parcel);
        let parcels = [sent, self.retry].into_iter().flatten();
        self.run.total + parcels.map(|parcel| parcel.run.total).sum::<u64>()
    }

    pub(crate) fn snapshot(&self) -> SharedSnapshot {
        SharedSnapshot {
            recorded: self.tally.recorded,
            discarded: self.tally.discarded,
            pending: self.pending(),
            in_sync: self.sync == Sync::Synced,
            version: self.base.as_ref().map(|base| base.version),
        }
    }

    pub(crate) fn view(&self) -> View {
        if self.reads() {
            return View::Probing;
        }
        match (&self.ask, self.circuit.view()) {
            (Some(ask), view @ (View::Refusing(_) | View::Probing)) => {
                View::Refusing(Refusal { reason: reason(view), until: ask.until })
            }
            (_, view) => view,
        }
    }

    /// Whether every call has to ask what the storage has.
    fn reads(&self) -> bool {
        let reachable = self.sync == Sync::Synced || self.sync == Sync::Alone && self.joining;
        reachable && self.options.consistency == Consistency::Strict
    }

    /// Asks for leave to make one call.
    pub(crate) fn acquire(&mut self, now: Timestamp, stage: Stage) -> Acquired {
        if self.reads() && stage == Stage::First {
            let (waiter, waiting) = Waiter::new();
            self.readers.push(Reader { number: self.readers_ever, waiter });
            self.readers_ever += 1;
            return Acquired::Wait(waiting);
        }
        if self.sync != Sync::Synced {
            // Should it come to the storage, it must not be the id of another's probe.
            let id = Some(self.probe_id());
            let (answer, change) = self.circuit.acquire_as(now, id);
            self.confirmed &= change.is_none();
            return Acquired::Answer(answer, change);
        }
        let view = self.circuit.view();
        let refused = |until| Acquired::Answer(Err(Refusal { reason: reason(view), until }), None);
        match view {
            View::Closed { generation, .. } => {
                Acquired::Answer(Ok(Ticket { generation, probe: None }), None)
            }
            View::Refusing(Refusal { until, .. }) if now <= until => refused(until),
            View::Refusing(_) | View::Probing => {
                let until = now.saturating_add(self.options.probe_wait);
                if self.ask.is_some() || stage == Stage::Last {
                    return refused(until);
                }
                let (waiter, waiting) = Waiter::new();
                let id = self.probe_id();
                self.ask = Some(Ask { id, waiter: Some(waiter), timed: false, until });
                Acquired::Wait(waiting)
            }
        }
    }

    /// Takes what an admitted call came to.
    pub(crate) fn settle(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: impl Fn() -> Timestamp,
    ) -> Settled {
        let current = ticket.generation == self.circuit.generation();
        match (self.circuit.phase(), ticket.probe) {
            // A success after which nothing is different is nothing to tell.
            (Phase::Closed { failures: 0 }, _) if current && outcome != Outcome::Failure => {}
            (Phase::Closed { .. }, _) if current => {
                self.run.push(outcome);
                if outcome == Outcome::Failure {
                    self.failed = now();
                }
            }
            // All processes wait for this, so it is for the storage to say what it does.
            (Phase::HalfOpen(_), Some(id)) if current && self.sync == Sync::Synced => {
                self.outcomes.push((id, outcome));
                return Settled::default();
            }
            (Phase::HalfOpen(_), Some(id)) if current => self.report_later(id, outcome),
            _ => {}
        }
        let settled = self.circuit.settle(ticket, outcome, &now);
        self.decided_here(settled.change, &now);
        settled
    }

    /// Closes the circuit and forgets its failures.
    pub(crate) fn reset(&mut self, now: Timestamp) -> Option<Change> {
        self.drop_run();
        self.outcomes.clear();
        self.unreported.clear();
        if self.sync == Sync::Synced {
            // It would be repeated after this.
            let retry = self.retry.take();
            self.tally.discarded += retry.map_or(0, |retry| retry.run.total);
        }
        self.moot();
        self.decision = Some(Decision::Reset { at: now });
        self.confirmed = false;
        self.circuit.reset(now)
    }

    /// Remembers a change that this process made by itself.
    fn decided_here(&mut self, change: Option<Change>, now: impl Fn() -> Timestamp) {
        if change.is_none() {
            return;
        }
        self.confirmed = false;
        match *self.circuit.phase() {
            Phase::Open { until } => {
                let at = self.circuit.since();
                // What the storage has may be from before it.
                let reset = match self.decision {
                    Some(Decision::Reset { at }) => Some(at),
                    Some(Decision::Trip { reset, .. }) => reset,
                    Some(Decision::Register) | None => None,
                };
                self.decision = Some(Decision::Trip { at, until, reset });
                if self.sync != Sync::Synced {
                    self.spread(until.since(now()), until);
                }
            }
            // That the dependency is well again is nothing to tell those who may know better.
            Phase::Closed { .. } => {
                self.decision = None;
                self.drop_run();
                self.moot();
            }
            Phase::HalfOpen(_) => {}
        }
    }

    /// What is under way is over: what remains to be known is whether it arrived.
    fn moot(&mut self) {
        let sent = self.sent.as_mut().and_then(|sent| sent.parcel.as_mut());
        self.retry.iter_mut().chain(sent).for_each(|parcel| parcel.moot = true);
    }

    /// Lets processes that cannot agree on one probe at least not probe in step: up to a quarter of the
    /// time later.
    fn spread(&mut self, open: Duration, until: Timestamp) {
        let share = (self.random.draw() >> 48) as u32;
        let later = open / 4 * share / (1 << 16);
        self.circuit.correct(Phase::Open { until: until.saturating_add(later) });
    }

    fn drop_run(&mut self) {
        self.tally.discarded += std::mem::take(&mut self.run).total;
    }

    /// Ids of probes come from many processes, so they are drawn.
    fn probe_id(&mut self) -> ProbeId {
        let id = (self.random.draw() >> 32) as u32;
        ProbeId::new(id).unwrap_or(ProbeId::MIN)
    }
}

fn reason(view: View) -> Reason {
    match view {
        View::Refusing(Refusal { reason, .. }) => reason,
        View::Closed { .. } | View::Probing => Reason::ProbesBusy,
    }
}
