//! What a circuit is to do, in plain fields.

use std::time::Duration;

use purgatory::{Outcome, Reason, Settings, State, Timestamp};

/// A circuit.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    pub(crate) generation: u64,
    pub(crate) failures: u32,
    pub(crate) since: Timestamp,
    pub(crate) rejected: u64,
    pub(crate) late: u64,
    /// A line for each event, as `purgatory_tests::line` writes it.
    pub(crate) told: Vec<String>,
    successes: u32,
    /// Until when each probe of this generation has its place, if it still has one.
    leases: Vec<Option<Timestamp>>,
}

/// An admitted call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) generation: u64,
    /// The number of its lease.
    pub(crate) probe: Option<usize>,
}

impl Model {
    pub(crate) fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            state: State::Closed,
            generation: 0,
            failures: 0,
            since: now,
            rejected: 0,
            late: 0,
            told: Vec::new(),
            successes: 0,
            leases: Vec::new(),
        }
    }

    pub(crate) fn acquire(&mut self, now: Timestamp) -> Result<Call, (Reason, Duration)> {
        let open_until = self.since.saturating_add(self.settings.ttl);
        if self.state == State::Open && now > open_until {
            self.change(State::HalfOpen, now, "TtlPassed");
        }
        let probe = match self.state {
            State::Closed => None,
            State::Open => return Err(self.reject(Reason::Open, open_until.since(now))),
            State::HalfOpen => Some(self.probe(now)?),
        };
        Ok(Call { generation: self.generation, probe })
    }

    fn probe(&mut self, now: Timestamp) -> Result<usize, (Reason, Duration)> {
        if self.is_full() {
            for lease in &mut self.leases {
                lease.take_if(|until| now > *until);
            }
        }
        if self.is_full() {
            let first = self.leases.iter().flatten().min().expect("there is at least one place");
            let wait = first.since(now);
            return Err(self.reject(Reason::ProbesBusy, wait));
        }
        self.leases.push(Some(now.saturating_add(self.settings.probe_lease)));
        Ok(self.leases.len() - 1)
    }

    fn is_full(&self) -> bool {
        self.leases.iter().flatten().count() == self.settings.half_open_probes as usize
    }

    fn reject(&mut self, reason: Reason, wait: Duration) -> (Reason, Duration) {
        self.rejected += 1;
        self.told.push(format!("rejected: {reason}, {wait:?} left"));
        (reason, wait)
    }

    pub(crate) fn end(&mut self, call: &Call, outcome: Outcome, now: Timestamp) {
        if call.generation != self.generation {
            self.late += 1;
            self.told.push(format!("late: {outcome:?} of generation {}", call.generation));
            return;
        }
        if let Some(number) = call.probe {
            self.leases[number] = None;
        }
        match (self.state, outcome) {
            (_, Outcome::Ignored) => {}
            (State::Closed, Outcome::Success) => {
                if self.failures > 0 {
                    self.failures = 0;
                    self.told.push("recovered".into());
                }
            }
            (State::Closed, Outcome::Failure) => {
                self.failures += 1;
                let (failures, threshold) = (self.failures, self.settings.threshold);
                self.told.push(format!("failed {failures}"));
                if failures == threshold {
                    let cause =
                        format!("Tripped {{ failures: {failures}, threshold: {threshold} }}");
                    self.change(State::Open, now, &cause);
                }
            }
            (State::HalfOpen, Outcome::Success) => {
                self.successes += 1;
                if self.successes == self.settings.success_threshold {
                    self.told.push("recovered".into());
                    self.change(State::Closed, now, "ProbesSucceeded");
                }
            }
            (State::HalfOpen, Outcome::Failure) => self.change(State::Open, now, "ProbeFailed"),
            (State::Open, _) => unreachable!("an open circuit has no calls of its generation"),
        }
    }

    pub(crate) fn reset(&mut self, now: Timestamp) {
        match self.state {
            State::Closed => {
                self.failures = 0;
                self.generation += 1;
            }
            State::Open | State::HalfOpen => self.change(State::Closed, now, "Reset"),
        }
    }

    fn change(&mut self, to: State, now: Timestamp, cause: &str) {
        let from = std::mem::replace(&mut self.state, to);
        self.generation += 1;
        self.since = now;
        self.failures = 0;
        self.successes = 0;
        self.leases.clear();
        let generation = self.generation;
        let opened = match to {
            State::Open => format!(", opened at {:?}", now.since_origin()),
            State::Closed | State::HalfOpen => String::new(),
        };
        self.told.push(format!("{from} to {to}, generation {generation}{opened}: {cause}"));
    }
}
