//! A trace, played through the public API of the library.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Clock, Config, ConfigError, Error, ListenerId,
    ManualClock, Permit, Snapshot, Timestamp,
};

use crate::errors::{BoxError, TakesRules, error};
use crate::format::{
    Answer, Answers, Asked, Body, Defaults, Event, Op, Outcome, Refused, State, Status, Target,
    Told, Trace,
};

/// What the library does.
pub(crate) fn replay(trace: &Trace) -> Result<Answers, Refused> {
    let mut replay = Replay::new(trace)?;
    let steps = trace.steps.iter().map(|step| replay.step(&step.op)).collect();
    let end = replay.factory.snapshot().iter().map(|it| (it.name.to_string(), full(it))).collect();
    Ok(Answers { steps, end })
}

struct Replay {
    clock: ManualClock,
    factory: CircuitBreakerFactory,
    told: Arc<Mutex<Vec<Told>>>,
    listeners: HashMap<String, Vec<ListenerId>>,
    handles: HashMap<String, Obtained>,
    running: HashMap<String, Running>,
}

#[derive(Clone)]
struct Obtained {
    circuit: String,
    breaker: Result<CircuitBreaker, Refused>,
}

/// A call; without a permit if it did not begin.
struct Running {
    circuit: String,
    permit: Option<Permit>,
}

impl Replay {
    fn new(trace: &Trace) -> Result<Self, Refused> {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_origin(Duration::from_millis(trace.start_ms)));
        let Defaults { default_threshold, default_ttl_ms, exclude } = &trace.factory;
        let factory = CircuitBreakerFactory::builder()
            .clock(clock.clone())
            .defaults(config(*default_threshold, *default_ttl_ms))
            .rules(exclude)
            .build()?;
        Ok(Self {
            clock,
            factory,
            told: Arc::default(),
            listeners: HashMap::new(),
            handles: HashMap::new(),
            running: HashMap::new(),
        })
    }

    fn step(&mut self, op: &Op) -> Answer {
        match op {
            Op::GetBreaker { asked, handle } => {
                let obtained = self.obtain(asked);
                let breaker = obtained.breaker.clone();
                if let Some(handle) = handle {
                    self.handles.insert(handle.clone(), obtained);
                }
                let outcome = breaker.map_or_else(Outcome::Refused, |_| Outcome::Ok);
                self.answer(Some(outcome), &asked.circuit, full)
            }
            Op::Call { target, body } => {
                let Obtained { circuit, breaker } = self.target(target);
                let outcome = breaker.map_or_else(Outcome::Refused, |it| call(&it, *body));
                self.answer(Some(outcome), &circuit, brief)
            }
            Op::Enter { call, target } => {
                let Obtained { circuit, breaker } = self.target(target);
                let (outcome, permit) = match breaker.map(|it| it.acquire().map(Permit::into_owned))
                {
                    Ok(Ok(permit)) => (Outcome::Permitted, Some(permit)),
                    Ok(Err(_)) => (Outcome::Rejected, None),
                    Err(refused) => (Outcome::Refused(refused), None),
                };
                let answer = self.answer(Some(outcome), &circuit, brief);
                self.running.insert(call.clone(), Running { circuit, permit });
                answer
            }
            Op::Exit { call, body } => {
                let Running { circuit, permit } =
                    self.running.remove(call).expect("it was entered");
                if let Some(permit) = permit {
                    match result(*body) {
                        Some(result) => permit.settle(&result),
                        None => drop(permit),
                    }
                }
                self.answer(None, &circuit, brief)
            }
            Op::Advance { ms } => {
                let now = self.clock.now().since_origin();
                let by = Duration::from_millis(ms.unsigned_abs());
                let then = if *ms < 0 { now - by } else { now + by };
                self.clock.set(Timestamp::from_origin(then));
                Answer::default()
            }
            Op::AddListener { listener } => {
                self.add_listener(listener);
                Answer { outcome: Some(Outcome::Ok), ..Answer::default() }
            }
            Op::RemoveListener { listener } => {
                let removed = self.remove_listener(listener);
                let outcome = if removed { Outcome::Ok } else { Outcome::Error };
                Answer { outcome: Some(outcome), ..Answer::default() }
            }
            Op::Inspect { circuit } => self.answer(None, circuit, full),
        }
    }

    fn answer(
        &self,
        outcome: Option<Outcome>,
        circuit: &str,
        status: fn(&Snapshot) -> Status,
    ) -> Answer {
        let events = std::mem::take(&mut *self.told.lock().unwrap());
        let after = self.factory.find(circuit).map(|breaker| status(&breaker.snapshot()));
        Answer { outcome, events, after }
    }

    fn obtain(&self, asked: &Asked) -> Obtained {
        let config = config(asked.threshold, asked.ttl_ms);
        let breaker = self.factory.get_breaker_with(&asked.circuit, config);
        Obtained {
            circuit: asked.circuit.clone(),
            breaker: breaker.map(|it| it.rules(&asked.exclude)).map_err(Refused::from),
        }
    }

    fn target(&self, target: &Target) -> Obtained {
        match target {
            Target::Kept { handle } => self.handles[handle].clone(),
            Target::Asked(asked) => self.obtain(asked),
        }
    }

    fn add_listener(&mut self, label: &str) {
        let told = Arc::clone(&self.told);
        let listener = label.to_owned();
        let id = self.factory.add_listener(move |event: &purgatory::Event| {
            let circuit = event.circuit().to_owned();
            let event = counterpart(event);
            let tell = |event| Told { listener: listener.clone(), circuit, event };
            told.lock().unwrap().extend(event.map(tell));
        });
        self.listeners.entry(label.to_owned()).or_default().push(id);
    }

    fn remove_listener(&mut self, label: &str) -> bool {
        let ids = self.listeners.get_mut(label).and_then(Vec::pop);
        // The id of another factory's listener stands for one that is not there.
        let id = ids.unwrap_or_else(|| CircuitBreakerFactory::new().add_listener(|_: &_| ()));
        self.factory.remove_listener(id)
    }
}

fn config(threshold: Option<u32>, ttl_ms: Option<u64>) -> Config {
    let config = threshold.map_or(Config::new(), |it| Config::new().threshold(it));
    ttl_ms.map_or(config, |it| config.ttl(Duration::from_millis(it)))
}

fn call(breaker: &CircuitBreaker, body: Body) -> Outcome {
    let Some(result) = result(body) else {
        return breaker.acquire().map_or(Outcome::Rejected, |_dropped| Outcome::Permitted);
    };
    match breaker.call(|| result) {
        Err(Error::Rejected(_)) => Outcome::Rejected,
        Ok(()) | Err(Error::Inner(_)) => Outcome::Permitted,
    }
}

/// What the protected code returns, if it does.
fn result(body: Body) -> Option<Result<(), BoxError>> {
    match body {
        Body::Return => Some(Ok(())),
        Body::Raise { kind, code } => Some(Err(error(kind, code))),
        Body::Abort => None,
    }
}

/// The package's word for an event, if it has one.
fn counterpart(event: &purgatory::Event) -> Option<Event> {
    let name = event.circuit().to_owned();
    match event {
        purgatory::Event::Created { settings, .. } => Some(Event::CircuitBreakerCreated {
            name,
            threshold: settings.threshold,
            ttl_ms: ms(settings.ttl),
        }),
        purgatory::Event::StateChanged { change, .. } => Some(Event::StateChanged {
            name,
            state: state(change.to),
            opened_at_ms: change.opened_at.map(|at| ms(at.since_origin())),
        }),
        purgatory::Event::Failed { failures, .. } => {
            Some(Event::Failed { name, failure_count: *failures })
        }
        purgatory::Event::Recovered { .. } => Some(Event::Recovered { name }),
        _ => None,
    }
}

fn full(snapshot: &Snapshot) -> Status {
    let settings = snapshot.settings;
    Status {
        threshold: Some(settings.threshold),
        ttl_ms: Some(ms(settings.ttl)),
        ..brief(snapshot)
    }
}

fn brief(snapshot: &Snapshot) -> Status {
    let state = state(snapshot.state);
    Status {
        state,
        failure_count: (state == State::Closed).then_some(snapshot.failures),
        opened_at_ms: snapshot.opened_at().map(|at| ms(at.since_origin())),
        threshold: None,
        ttl_ms: None,
    }
}

fn state(state: purgatory::State) -> State {
    match state {
        purgatory::State::Closed => State::Closed,
        purgatory::State::Open => State::Opened,
        purgatory::State::HalfOpen => State::HalfOpened,
    }
}

fn ms(time: Duration) -> u64 {
    time.as_millis() as u64
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Self {
        Self(error.field().to_owned())
    }
}
