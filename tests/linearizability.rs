//! Short histories of several threads, each explained by some order of whole operations.
//!
//! Run with `RUSTFLAGS="--cfg shuttle"`. The method is that of Wing and Gong, *Testing and Verifying
//! Concurrent Objects* (1993): an order must exist that keeps every operation between its call and
//! its return, and in which a plain sequential model gives the answers that were seen. It covers I1
//! to I6, I8 and I15 at once.
#![cfg(shuttle)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, ManualClock, Outcome, State};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread;

/// One operation of a history, and what it answered.
#[derive(Debug, Clone, Copy)]
enum Op {
    /// The permit gets the number of the operation that acquired it.
    Acquire(Answer),
    Settle {
        acquired_by: usize,
        outcome: Outcome,
    },
    Reset,
    /// At the end, by one thread alone.
    Look {
        state: State,
        failures: u32,
        generation: u64,
        late: u64,
        rejected: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Call,
    Probe,
    Rejected(State),
}

#[derive(Debug, Clone, Copy)]
struct Done {
    id: usize,
    op: Op,
    called: usize,
    returned: usize,
}

/// The specification: plain fields, one thread, and a clock that stands still.
#[derive(Debug, Clone)]
struct Model {
    config: Limits,
    state: State,
    /// Whether the ttl of the opening has passed; no later opening's does.
    ttl_passed: bool,
    failures: u32,
    generation: u64,
    out: Vec<usize>,
    succeeded: u32,
    late: u64,
    rejected: u64,
    /// Which operation got a permit in which generation.
    permits: Vec<(usize, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    threshold: u32,
    probes: usize,
    successes: u32,
}

impl Model {
    /// Closed, or open with the ttl passed.
    fn new(config: Limits, state: State) -> Self {
        Self {
            config,
            state,
            ttl_passed: true,
            failures: 0,
            generation: u64::from(state == State::Open),
            out: Vec::new(),
            succeeded: 0,
            late: 0,
            rejected: 0,
            permits: Vec::new(),
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
        self.ttl_passed = false;
        self.failures = 0;
        self.succeeded = 0;
        self.out.clear();
    }

    fn acquire(&mut self, id: usize) -> Answer {
        if self.state == State::Open && self.ttl_passed {
            self.enter(State::HalfOpen);
        }
        let answer = match self.state {
            State::Closed => Answer::Call,
            State::HalfOpen if self.out.len() < self.config.probes => Answer::Probe,
            state => Answer::Rejected(state),
        };
        match answer {
            Answer::Rejected(_) => self.rejected += 1,
            Answer::Probe => self.out.push(id),
            Answer::Call => {}
        }
        self.permits.push((id, self.generation));
        answer
    }

    fn settle(&mut self, id: usize, outcome: Outcome) {
        let generation = self.permits.iter().find(|permit| permit.0 == id).map(|permit| permit.1);
        if generation != Some(self.generation) {
            self.late += 1;
            return;
        }
        self.out.retain(|probe| *probe != id);
        match (self.state, outcome) {
            (State::Closed, Outcome::Success) => self.failures = 0,
            (State::Closed, Outcome::Failure) => {
                self.failures += 1;
                if self.failures == self.config.threshold {
                    self.enter(State::Open);
                }
            }
            (State::HalfOpen, Outcome::Success) => {
                self.succeeded += 1;
                if self.succeeded == self.config.successes {
                    self.enter(State::Closed);
                }
            }
            (State::HalfOpen, Outcome::Failure) => self.enter(State::Open),
            (_, Outcome::Ignored) => {}
            (State::Open, _) => unreachable!("an open circuit gives no permit"),
        }
    }

    /// Whether the model, in its present state, answers as was seen.
    fn explains(&mut self, done: Done) -> bool {
        match done.op {
            Op::Acquire(answer) => self.acquire(done.id) == answer,
            Op::Settle { acquired_by, outcome } => {
                self.settle(acquired_by, outcome);
                true
            }
            Op::Reset => {
                self.enter(State::Closed);
                true
            }
            Op::Look { state, failures, generation, late, rejected } => {
                (self.state, self.failures, self.generation) == (state, failures, generation)
                    && (self.late, self.rejected) == (late, rejected)
            }
        }
    }
}

/// Searches for an order of the rest that the model explains.
fn linearizable(model: &Model, rest: &[Done]) -> bool {
    if rest.is_empty() {
        return true;
    }
    let first_return = rest.iter().map(|done| done.returned).min().unwrap_or_default();
    (0..rest.len()).filter(|&next| rest[next].called <= first_return).any(|next| {
        let mut model = model.clone();
        let mut others = rest.to_vec();
        model.explains(others.remove(next)) && linearizable(&model, &others)
    })
}

/// What the threads do, with the times of a clock that only counts.
#[derive(Clone, Default)]
struct Recorder {
    ticks: Arc<AtomicUsize>,
    history: Arc<Mutex<Vec<Done>>>,
}

impl Recorder {
    fn tick(&self) -> usize {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }

    /// Records what `act` does; its id is the time of its call.
    fn record<R>(&self, act: impl FnOnce() -> (Op, R)) -> (usize, R) {
        let id = self.tick();
        let (op, result) = act();
        let done = Done { id, op, called: id, returned: self.tick() };
        self.history.lock().unwrap().push(done);
        (id, result)
    }

    /// One permit's life: two operations, or one if it is rejected.
    fn call(&self, breaker: &CircuitBreaker, outcome: Outcome) {
        let (id, permit) = self.record(|| {
            let permit = breaker.acquire();
            let answer = match &permit {
                Ok(permit) if permit.is_probe() => Answer::Probe,
                Ok(_) => Answer::Call,
                Err(rejected) => Answer::Rejected(rejected.state()),
            };
            (Op::Acquire(answer), permit)
        });
        let Ok(permit) = permit else { return };
        self.record(|| {
            match outcome {
                Outcome::Success => permit.success(),
                Outcome::Failure => permit.failure(),
                Outcome::Ignored => permit.ignore(),
            }
            (Op::Settle { acquired_by: id, outcome }, ())
        });
    }

    fn reset(&self, breaker: &CircuitBreaker) {
        self.record(|| (Op::Reset, breaker.reset()));
    }

    fn look(&self, breaker: &CircuitBreaker) {
        self.record(|| {
            let now = breaker.snapshot();
            let look = Op::Look {
                state: now.state,
                failures: now.failures,
                generation: now.generation,
                late: now.late,
                rejected: now.rejected,
            };
            (look, ())
        });
    }
}

fn scenario(limits: Limits, start: State) -> Vec<Done> {
    let clock = ManualClock::new();
    let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
    let ttl = Duration::from_secs(30);
    let config = Config::new()
        .threshold(limits.threshold)
        .half_open_probes(limits.probes as u32)
        .success_threshold(limits.successes)
        .ttl(ttl);
    let breaker = factory.get_breaker_with("history", config).unwrap();
    if start == State::Open {
        (0..limits.threshold).for_each(|_| breaker.acquire().unwrap().failure());
        clock.advance(ttl + Duration::from_nanos(1));
    }

    let recorder = Recorder::default();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let (recorder, breaker) = (recorder.clone(), breaker.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    match thread_rng().gen_range(0..8) {
                        0..=2 => recorder.call(&breaker, Outcome::Success),
                        3..=5 => recorder.call(&breaker, Outcome::Failure),
                        6 => recorder.call(&breaker, Outcome::Ignored),
                        _ => recorder.reset(&breaker),
                    }
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    recorder.look(&breaker);
    recorder.history.lock().unwrap().clone()
}

fn check(limits: Limits, start: State) {
    let overlapping = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&overlapping);
    let run = move || {
        let history = scenario(limits, start);
        let model = Model::new(limits, start);
        let overlap =
            |a: &Done, b: &Done| a.id != b.id && a.called < b.called && b.called < a.returned;
        if history.iter().any(|a| history.iter().any(|b| overlap(a, b))) {
            seen.fetch_add(1, Ordering::Relaxed);
        }
        assert!(linearizable(&model, &history), "no order explains {history:#?}");
    };
    let run = Arc::new(run);
    let again = Arc::clone(&run);
    shuttle::check_random(move || again(), 3000);
    shuttle::check_pct(move || run(), 3000, 3);
    let overlapping = overlapping.load(Ordering::Relaxed);
    assert!(overlapping > 1000, "only {overlapping} histories had operations at the same time");
}

#[test]
fn histories_from_closed_are_linearizable() {
    check(Limits { threshold: 2, probes: 1, successes: 1 }, State::Closed);
}

#[test]
fn histories_after_the_ttl_are_linearizable() {
    check(Limits { threshold: 1, probes: 1, successes: 1 }, State::Open);
}

#[test]
fn histories_with_several_probes_are_linearizable() {
    check(Limits { threshold: 2, probes: 2, successes: 2 }, State::Open);
}

/// The check itself: a history with one answer falsified has no explanation.
#[test]
fn a_wrong_answer_has_no_explanation() {
    shuttle::check_random(
        || {
            let limits = Limits { threshold: 2, probes: 1, successes: 1 };
            let mut history = scenario(limits, State::Open);
            let model = Model::new(limits, State::Open);
            assert!(linearizable(&model, &history));
            let Op::Look { generation, .. } = &mut history.last_mut().unwrap().op else {
                panic!("a look ends every history")
            };
            *generation += 100;
            assert!(!linearizable(&model, &history));
        },
        200,
    );
}
