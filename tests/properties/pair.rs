//! What people do to a circuit, done to the library and to the model at once.

use std::fmt::{self, Debug};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, ManualClock, Outcome, Permit, Timestamp,
};
use purgatory_tests::Log;

use crate::model::{Call, Model};

/// One thing that somebody does. Times are so short that the boundaries are hit.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Acquire,
    /// Of the one with this number of the calls that are out, which are counted over and over.
    End(usize, End),
    Reset,
    Forward(u64),
    Back(u64),
    To(Timestamp),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Success,
    Failure,
    Settle(bool),
    Ignore,
    Drop,
    Panic,
    Forget,
}

/// A circuit of the library, and what it is to be.
pub(crate) struct Pair {
    pub(crate) clock: ManualClock,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) log: Option<Log>,
    model: Model,
    pub(crate) out: Vec<Out>,
    /// Nobody settles these. Really forgotten, each would keep its circuit after the history is over.
    pub(crate) forgotten: Vec<Permit>,
}

pub(crate) struct Out {
    pub(crate) permit: Permit,
    pub(crate) call: Call,
    pub(crate) admitted: Timestamp,
}

impl Pair {
    /// Without a listener, rejections are decided without the lock.
    pub(crate) fn new(config: Config, listening: bool) -> Self {
        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(1));
        let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
        let breaker = factory.get_breaker_with("payments", config).unwrap();
        let log = listening.then(Log::default);
        if let Some(log) = &log {
            factory.add_listener(log.clone());
        }
        let model = Model::new(breaker.settings(), clock.now());
        Self { clock, breaker, log, model, out: Vec::new(), forgotten: Vec::new() }
    }

    pub(crate) fn apply(&mut self, op: &Op) -> Result<(), Difference> {
        let now = self.clock.now();
        match op {
            Op::Acquire => self.acquire(now)?,
            Op::End(which, end) if !self.out.is_empty() => {
                let Out { permit, call, .. } = self.out.remove(which % self.out.len());
                if let Some(outcome) = end.apply(permit, &mut self.forgotten) {
                    self.model.end(&call, outcome, now);
                }
            }
            Op::End(..) => {}
            Op::Reset => {
                self.breaker.reset();
                self.model.reset(now);
            }
            Op::Forward(nanos) => self.clock.advance(Duration::from_nanos(*nanos)),
            Op::Back(nanos) => {
                let nanos = Duration::from_nanos(*nanos);
                self.clock.set(Timestamp::from_origin(now.since_origin().saturating_sub(nanos)));
            }
            Op::To(time) => self.clock.set(*time),
        }
        self.agree()
    }

    fn acquire(&mut self, now: Timestamp) -> Result<(), Difference> {
        match (self.breaker.acquire(), self.model.acquire(now)) {
            (Ok(permit), Ok(call)) => {
                same("a probe", permit.is_probe(), call.probe.is_some())?;
                self.out.push(Out { permit: permit.into_owned(), call, admitted: now });
                Ok(())
            }
            (Err(rejected), Err(expected)) => {
                same("rejected", (rejected.reason(), rejected.retry_after()), expected)?;
                same("rejected while", rejected.state(), self.model.state)
            }
            (got, expected) => Err(Difference::new("admitted", &got, &expected)),
        }
    }

    fn agree(&mut self) -> Result<(), Difference> {
        let (now, model) = (self.clock.now(), &mut self.model);
        let got = self.breaker.snapshot();
        same("state", self.breaker.state(), got.state)?;
        same(
            "state, failures, generation, since, taken at",
            (got.state, got.failures, got.generation, got.since, got.taken_at),
            (model.state, model.failures, model.generation, model.since, now),
        )?;
        let age = now.since_origin().saturating_sub(model.since.since_origin());
        same("age", got.age(), age)?;
        same("rejected, late", (got.rejected, got.late), (model.rejected, model.late))?;
        same("settings", got.settings, model.settings)?;
        same("events dropped", got.events_dropped, 0)?;
        let told = mem::take(&mut model.told);
        self.log.as_ref().map_or(Ok(()), |log| same("told", log.lines(), told))
    }
}

impl End {
    /// What the circuit is told, if it is.
    fn apply(self, permit: Permit, forgotten: &mut Vec<Permit>) -> Option<Outcome> {
        match self {
            Self::Success => permit.success(),
            Self::Failure => permit.failure(),
            Self::Settle(true) => permit.settle(&Ok::<_, Broken>(())),
            Self::Settle(false) => permit.settle(&Err::<(), _>(Broken)),
            Self::Ignore => permit.ignore(),
            Self::Drop => drop(permit),
            Self::Panic => panic_with(permit),
            Self::Forget => forgotten.push(permit),
        }
        match self {
            Self::Success | Self::Settle(true) => Some(Outcome::Success),
            Self::Failure | Self::Settle(false) | Self::Panic => Some(Outcome::Failure),
            Self::Ignore | Self::Drop => Some(Outcome::Ignored),
            Self::Forget => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken;

fn panic_with(permit: Permit) {
    let panic = AssertUnwindSafe(|| {
        let _permit = permit;
        resume_unwind(Box::new(())) // Without a message.
    });
    let _ = catch_unwind(panic);
}

/// Where the library does something else than the model.
pub(crate) struct Difference(String);

impl Difference {
    fn new(what: &str, got: &impl Debug, expected: &impl Debug) -> Self {
        Self(format!("{what}: expected {expected:?}, got {got:?}"))
    }
}

fn same<T: PartialEq + Debug>(what: &str, got: T, expected: T) -> Result<(), Difference> {
    if got == expected { Ok(()) } else { Err(Difference::new(what, &got, &expected)) }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it is shown.
impl Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Difference {}
