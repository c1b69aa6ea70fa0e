//! One circuit of the oracle.

use crate::format::{Event, Exclude, State, Status};
use crate::oracle::As;

pub(crate) struct Circuit<'t> {
    pub(crate) name: &'t str,
    threshold: u32,
    ttl: u64,
    phase: Phase,
    pub(crate) generation: u64,
    /// Of the package: the list of the last `get_breaker`.
    pub(crate) exclude: &'t [Exclude],
    /// Of the package: what is told when the next call ends.
    pub(crate) deferred: Vec<Event>,
}

#[derive(Clone, Copy)]
enum Phase {
    Closed { failures: u32 },
    Opened { at: u64 },
    HalfOpened { probe: Option<Probe> },
}

#[derive(Clone, Copy)]
struct Probe {
    number: u64,
    until: u64,
}

impl<'t> Circuit<'t> {
    pub(crate) fn new(name: &'t str, threshold: u32, ttl: u64) -> Self {
        let phase = Phase::Closed { failures: 0 };
        Self { name, threshold, ttl, phase, generation: 0, exclude: &[], deferred: Vec::new() }
    }

    pub(crate) fn half_open(&mut self, now: u64) -> Vec<Event> {
        match self.phase {
            Phase::Opened { at } if now > at + self.ttl => {
                vec![self.change(Phase::HalfOpened { probe: None })]
            }
            _ => Vec::new(),
        }
    }

    pub(crate) fn admit(&mut self, who: As, now: u64, number: u64) -> bool {
        match &mut self.phase {
            Phase::Closed { .. } => true,
            Phase::Opened { .. } => false,
            Phase::HalfOpened { probe } => {
                // overlap-multi-probe
                let free = who == As::Package || probe.is_none_or(|probe| now > probe.until);
                if free {
                    *probe = Some(Probe { number, until: now + self.ttl });
                }
                free
            }
        }
    }

    pub(crate) fn give_back(&mut self, number: u64) {
        if let Phase::HalfOpened { probe } = &mut self.phase {
            probe.take_if(|probe| probe.number == number);
        }
    }

    pub(crate) fn end(&mut self, failed: bool, now: u64) -> Vec<Event> {
        let name = self.name.to_owned();
        match (self.phase, failed) {
            (Phase::Closed { failures }, true) => {
                let failures = failures + 1;
                self.phase = Phase::Closed { failures };
                let mut events = vec![Event::Failed { name, failure_count: failures }];
                if failures >= self.threshold {
                    events.push(self.change(Phase::Opened { at: now }));
                }
                events
            }
            (Phase::Closed { failures: 0 }, false) | (Phase::Opened { .. }, _) => Vec::new(),
            (Phase::Closed { .. }, false) => {
                self.phase = Phase::Closed { failures: 0 };
                vec![Event::Recovered { name }]
            }
            (Phase::HalfOpened { .. }, true) => vec![self.change(Phase::Opened { at: now })],
            (Phase::HalfOpened { .. }, false) => {
                vec![Event::Recovered { name }, self.change(Phase::Closed { failures: 0 })]
            }
        }
    }

    fn change(&mut self, phase: Phase) -> Event {
        self.phase = phase;
        self.generation += 1;
        let Status { state, opened_at_ms, .. } = self.brief();
        Event::StateChanged { name: self.name.to_owned(), state, opened_at_ms }
    }

    pub(crate) fn created(&self) -> Event {
        let Self { name, threshold, ttl, .. } = *self;
        Event::CircuitBreakerCreated { name: name.to_owned(), threshold, ttl_ms: ttl }
    }

    pub(crate) fn full(&self) -> Status {
        Status { threshold: Some(self.threshold), ttl_ms: Some(self.ttl), ..self.brief() }
    }

    pub(crate) fn brief(&self) -> Status {
        let (state, failure_count, opened_at_ms) = match self.phase {
            Phase::Closed { failures } => (State::Closed, Some(failures), None),
            Phase::Opened { at } => (State::Opened, None, Some(at)),
            Phase::HalfOpened { .. } => (State::HalfOpened, None, None),
        };
        Status { state, failure_count, opened_at_ms, threshold: None, ttl_ms: None }
    }
}
