//! A plain implementation of the rules in FORMAT.md, with a switch for where we differ.
//!
//! As the package it must give every recorded answer: that shows that it is right. As ourselves it
//! says what the library must do instead. It shares no code with the library.

use std::collections::{BTreeMap, HashMap};
use std::mem;

use crate::circuit::Circuit;
use crate::format::{
    Answer, Answers, Asked, Body, Event, Exclude, Kind, Op, Outcome, Refused, Status, Target, Told,
    Trace, is_name,
};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum As {
    Package,
    Ourselves,
}

/// What is to come of a trace.
pub(crate) fn expected(trace: &Trace, who: As) -> Result<Answers, Refused> {
    let defaults = &trace.factory;
    if who == As::Ourselves {
        refuse_zero(defaults.default_threshold, defaults.default_ttl_ms)?; // zero-default
    }
    let mut oracle = Oracle {
        who,
        trace,
        now: trace.start_ms,
        admitted: 0,
        circuits: BTreeMap::new(),
        handles: HashMap::new(),
        running: HashMap::new(),
        listeners: Vec::new(),
        told: Vec::new(),
    };
    let steps = trace.steps.iter().map(|step| oracle.step(&step.op)).collect();
    let end = oracle.circuits.values().map(|it| (it.name.to_owned(), it.full())).collect();
    Ok(Answers { steps, end })
}

struct Oracle<'t> {
    who: As,
    trace: &'t Trace,
    now: u64,
    admitted: u64,
    circuits: BTreeMap<&'t str, Circuit<'t>>,
    handles: HashMap<&'t str, Breaker<'t>>,
    running: HashMap<&'t str, (&'t str, Option<Call<'t>>)>,
    listeners: Vec<Listener<'t>>,
    told: Vec<Told>,
}

/// The circuit of a breaker, and its own exclude list.
type Breaker<'t> = (&'t str, Result<&'t [Exclude], Refused>);

#[derive(Clone, Copy)]
struct Call<'t> {
    number: u64,
    generation: u64,
    exclude: &'t [Exclude],
}

struct Listener<'t> {
    label: &'t str,
    removable: bool,
}

impl<'t> Oracle<'t> {
    fn step(&mut self, op: &'t Op) -> Answer {
        match op {
            Op::GetBreaker { asked, handle } => {
                let breaker = self.obtain(asked);
                let outcome = breaker.1.clone().map_or_else(Outcome::Refused, |_| Outcome::Ok);
                self.handles.extend(handle.as_deref().map(|handle| (handle, breaker)));
                self.answer(Some(outcome), &asked.circuit, Circuit::full)
            }
            Op::Call { target, body } => {
                let (circuit, call, outcome) = self.enter(target);
                self.exit(circuit, call, *body);
                self.answer(Some(outcome), circuit, Circuit::brief)
            }
            Op::Enter { call: label, target } => {
                let (circuit, call, outcome) = self.enter(target);
                self.running.insert(label, (circuit, call));
                self.answer(Some(outcome), circuit, Circuit::brief)
            }
            Op::Exit { call: label, body } => {
                let (circuit, call) = self.running.remove(&**label).expect("it was entered");
                self.exit(circuit, call, *body);
                self.answer(None, circuit, Circuit::brief)
            }
            Op::Advance { ms } => {
                self.now = self.now.checked_add_signed(*ms).expect("after the epoch");
                Answer::default()
            }
            Op::AddListener { listener } => {
                self.add_listener(listener);
                Answer { outcome: Some(Outcome::Ok), ..Answer::default() }
            }
            Op::RemoveListener { listener } => {
                Answer { outcome: Some(self.remove_listener(listener)), ..Answer::default() }
            }
            Op::Inspect { circuit } => self.answer(None, circuit, Circuit::full),
        }
    }

    fn answer(
        &mut self,
        outcome: Option<Outcome>,
        circuit: &str,
        status: fn(&Circuit<'t>) -> Status,
    ) -> Answer {
        let after = self.circuits.get(circuit).map(status);
        Answer { outcome, events: mem::take(&mut self.told), after }
    }

    fn obtain(&mut self, asked: &'t Asked) -> Breaker<'t> {
        (&asked.circuit, self.register(asked))
    }

    fn register(&mut self, asked: &'t Asked) -> Result<&'t [Exclude], Refused> {
        let Asked { circuit: name, threshold, ttl_ms, exclude } = asked;
        if self.who == As::Ourselves {
            refuse_zero(*threshold, *ttl_ms)?; // zero-config
            if !is_name(name) {
                return Err(Refused("name".into()));
            }
        }
        if !self.circuits.contains_key(&**name) {
            let defaults = &self.trace.factory;
            let threshold = threshold.filter(|it| *it > 0).or(defaults.default_threshold);
            let ttl = ttl_ms.filter(|it| *it > 0).or(defaults.default_ttl_ms);
            let circuit = Circuit::new(name, threshold.unwrap_or(5), ttl.unwrap_or(30_000));
            self.tell(name, vec![circuit.created()]);
            self.circuits.insert(name, circuit);
        }
        self.circuit(name).exclude = exclude;
        Ok(exclude)
    }

    fn enter(&mut self, target: &'t Target) -> (&'t str, Option<Call<'t>>, Outcome) {
        let (name, exclude) = match target {
            Target::Kept { handle } => self.handles[&**handle].clone(),
            Target::Asked(asked) => self.obtain(asked),
        };
        let exclude = match exclude {
            Ok(exclude) => exclude,
            Err(refused) => return (name, None, Outcome::Refused(refused)),
        };
        self.admitted += 1;
        let (who, now, number) = (self.who, self.now, self.admitted);
        let circuit = self.circuit(name);
        let half_opened = circuit.half_open(now);
        let admitted = circuit.admit(who, now, number);
        let call = Call { number, generation: circuit.generation, exclude };
        match who {
            As::Package => circuit.deferred.extend(half_opened), // deferred-event
            As::Ourselves => self.tell(name, half_opened),
        }
        if admitted {
            (name, Some(call), Outcome::Permitted)
        } else {
            (name, None, Outcome::Rejected)
        }
    }

    fn exit(&mut self, name: &'t str, call: Option<Call<'t>>, body: Body) {
        let Some(call) = call else { return };
        let (who, now, trace) = (self.who, self.now, self.trace);
        let circuit = self.circuit(name);
        let mut events = mem::take(&mut circuit.deferred);
        let exclude = match who {
            As::Package => circuit.exclude, // shared-exclude
            As::Ourselves => call.exclude,
        };
        let failed = match (body, who) {
            (Body::Return, _) => Some(false),
            (Body::Raise { kind, code }, _) => {
                Some(!excluded(exclude.iter().chain(&trace.factory.exclude), kind, code))
            }
            (Body::Abort, As::Package) => Some(true),
            (Body::Abort, As::Ourselves) => None, // abort
        };
        let late = call.generation != circuit.generation;
        if who == As::Package || !late {
            // overlap-stale-effect
            circuit.give_back(call.number);
            events.extend(failed.map(|failed| circuit.end(failed, now)).unwrap_or_default());
        }
        self.tell(name, events);
    }

    fn add_listener(&mut self, label: &'t str) {
        if self.who == As::Package {
            // listener-twice: only the one added last can be removed.
            let same = self.listeners.iter_mut().filter(|it| it.label == label);
            same.for_each(|it| it.removable = false);
        }
        self.listeners.push(Listener { label, removable: true });
    }

    fn remove_listener(&mut self, label: &str) -> Outcome {
        let last = self.listeners.iter().rposition(|it| it.label == label && it.removable);
        match last.map(|index| self.listeners.remove(index)) {
            Some(_) => Outcome::Ok,
            None => Outcome::Error,
        }
    }

    fn tell(&mut self, circuit: &str, events: Vec<Event>) {
        for event in events {
            self.told.extend(self.listeners.iter().map(|listener| Told {
                listener: listener.label.to_owned(),
                circuit: circuit.to_owned(),
                event: event.clone(),
            }));
        }
    }

    fn circuit(&mut self, name: &str) -> &mut Circuit<'t> {
        self.circuits.get_mut(name).expect("it was registered")
    }
}

fn refuse_zero(threshold: Option<u32>, ttl: Option<u64>) -> Result<(), Refused> {
    match (threshold, ttl) {
        (Some(0), _) => Err(Refused("threshold".into())),
        (_, Some(0)) => Err(Refused("ttl".into())),
        _ => Ok(()),
    }
}

/// The first entry whose type matches decides.
fn excluded<'t>(mut list: impl Iterator<Item = &'t Exclude>, raised: Kind, code: i64) -> bool {
    list.find(|entry| match entry.kind {
        Kind::Anything => true,
        Kind::A => matches!(raised, Kind::A | Kind::A1),
        kind => kind == raised,
    })
    .is_some_and(|entry| entry.when.is_none_or(|when| when.holds(code)))
}
