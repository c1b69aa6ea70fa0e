//! What people do to a circuit, done to the library and to the model at once.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, ManualClock, Outcome, Permit, Timestamp,
};
use purgatory_tests::Log;

use crate::model::{Call, Model};

/// One thing that somebody does. Times are so short that the boundaries are hit.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Acquire,
    /// Of one of the calls that are out.
    End(Index, End),
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

pub(crate) fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Failure),
        2 => Just(End::Success),
        1 => any::<bool>().prop_map(End::Settle),
        1 => Just(End::Ignore),
        1 => Just(End::Drop),
        1 => Just(End::Panic),
        1 => Just(End::Forget),
    ]
}

/// While time passes as it should.
pub(crate) fn ordinary() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Acquire),
        4 => (any::<Index>(), end()).prop_map(|(which, end)| Op::End(which, end)),
        3 => (0..=9_u64).prop_map(Op::Forward),
        1 => Just(Op::Reset),
    ]
}

pub(crate) fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => ordinary(),
        1 => (0..=9_u64).prop_map(Op::Back),
        1 => prop_oneof![Just(Timestamp::MAX), Just(Timestamp::ORIGIN)].prop_map(Op::To),
    ]
}

pub(crate) fn config() -> impl Strategy<Value = Config> {
    let lease = proptest::option::of(1..=12_u64);
    let threshold = prop_oneof![Just(1), 1..=5_u32];
    (threshold, 1..=8_u64, 1..=3_u32, 1..=4_u32, lease).prop_map(
        |(threshold, ttl, probes, successes, lease)| {
            let config = Config::new()
                .threshold(threshold)
                .ttl(Duration::from_nanos(ttl))
                .half_open_probes(probes)
                .success_threshold(successes);
            lease.map_or(config, |lease| config.probe_lease(Duration::from_nanos(lease)))
        },
    )
}

/// A circuit of the library, and what it is to be.
pub(crate) struct Pair {
    pub(crate) clock: ManualClock,
    pub(crate) breaker: CircuitBreaker,
    pub(crate) log: Option<Log>,
    model: Model,
    pub(crate) out: Vec<Out>,
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
        Self { clock, breaker, log, model, out: Vec::new() }
    }

    pub(crate) fn apply(&mut self, op: &Op) -> Result<(), TestCaseError> {
        let now = self.clock.now();
        match op {
            Op::Acquire => self.acquire(now)?,
            Op::End(which, end) if !self.out.is_empty() => {
                let Out { permit, call, .. } = self.out.remove(which.index(self.out.len()));
                if let Some(outcome) = end.apply(permit) {
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

    fn acquire(&mut self, now: Timestamp) -> Result<(), TestCaseError> {
        match (self.breaker.acquire(), self.model.acquire(now)) {
            (Ok(permit), Ok(call)) => {
                prop_assert_eq!(permit.is_probe(), call.probe.is_some());
                self.out.push(Out { permit: permit.into_owned(), call, admitted: now });
            }
            (Err(rejected), Err(expected)) => {
                prop_assert_eq!((rejected.reason(), rejected.retry_after()), expected);
                prop_assert_eq!(rejected.state(), self.model.state);
            }
            (got, expected) => prop_assert!(false, "expected {expected:?}, got {got:?}"),
        }
        Ok(())
    }

    fn agree(&mut self) -> Result<(), TestCaseError> {
        let (now, model) = (self.clock.now(), &mut self.model);
        let got = self.breaker.snapshot();
        prop_assert_eq!(self.breaker.state(), got.state);
        prop_assert_eq!(
            (got.state, got.failures, got.generation, got.since, got.taken_at),
            (model.state, model.failures, model.generation, model.since, now)
        );
        let age = now.since_origin().saturating_sub(model.since.since_origin());
        prop_assert_eq!(got.age(), age);
        prop_assert_eq!((got.rejected, got.late), (model.rejected, model.late));
        prop_assert_eq!((got.settings, got.events_dropped), (model.settings, 0));
        let told = mem::take(&mut model.told);
        if let Some(log) = &self.log {
            prop_assert_eq!(log.lines(), told);
        }
        Ok(())
    }
}

impl End {
    /// What the circuit is told, if it is.
    pub(crate) fn apply(self, permit: Permit) -> Option<Outcome> {
        match self {
            Self::Success => permit.success(),
            Self::Failure => permit.failure(),
            Self::Settle(true) => permit.settle(&Ok::<_, Broken>(())),
            Self::Settle(false) => permit.settle(&Err::<(), _>(Broken)),
            Self::Ignore => permit.ignore(),
            Self::Drop => drop(permit),
            Self::Panic => panic_with(permit),
            Self::Forget => mem::forget(permit),
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
