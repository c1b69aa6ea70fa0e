//! One process of a fleet, for tests: does what its standard input says, and answers each line with a line of
//! JSON.
//!
//!     member --url URL --circuit NAME [--threshold N] [--ttl SECONDS] [--lease SECONDS] [--probes N]
//!         [--prefix P] [--sentinel NAME] [--cluster] [--consistency strict] [--no-bump]
//!         [--max-backoff SECONDS] [--poll SECONDS] [--patience SECONDS] --stdin
//!
//! The patience is for operations and for leave to probe.
//!
//! With `--sentinel` and `--cluster`, the URL is a list with commas. Actions are:
//!
//! | action | does |
//! | --- | --- |
//! | `load THREADS RATE` | begins to make calls, so many a second on each thread; 0 is as fast as it goes |
//! | `mode ok`, `mode fail`, `mode hang MILLIS` | what calls come to from now on |
//! | `stop` | ends the load |
//! | `call ok`, `call fail` | makes one call |
//! | `hold`, `release ok`, `release fail`, `release drop` | acquires a permit, and ends it |
//! | `ask` | begins to acquire a permit, and waits for it no further |
//! | `circuit NAME` | from now on calls are those of that circuit |
//! | `reset`, `flush MILLIS` | as the methods |
//! | `at SECONDS ACTION` | the action, once it is so many seconds since 1970: for members that act as one |
//! | `fork` | makes a copy of this process |
//! | `child ACTION`, `child N ACTION` | has the first or the N-th copy do something, and gives its report |
//! | `report` | only answers |
//!
//! Every answer is a report: the circuit, what calls came to, and the events since the last one.

#[path = "args.rs"]
mod args;
#[path = "copy.rs"]
mod copy;
#[path = "counted.rs"]
mod counted;
#[path = "load.rs"]
mod load;

use std::io::{BufRead, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Event, Permit, Rejected};
use purgatory_tests::poll_once;
use serde_json::{Value, json};

use self::copy::Copy;
use self::counted::Counts;
use self::load::Load;

pub(super) fn run() {
    let args = args::Args::parse();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let factory = args.builder().listener(move |event: &Event| note(&log, event)).build();
    let factory = factory.expect("the options of a test are valid");
    let args::Args { circuit, config, counts, .. } = args;
    let breaker = factory.get_breaker_with(&circuit, config);
    let breaker = breaker.expect("the name of a test is valid");
    let (load, copies) = (Load::new(&breaker), Vec::new());
    let (held, asking) = (None, None);
    let mut member =
        Member { factory, config, breaker, load, held, asking, copies, events, counts };
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = member.act(&line);
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            break;
        }
    }
    // As a service that ends in order.
    drop(member);
    std::thread::sleep(Duration::from_millis(150)); // The driver has 100 ms to take its leave.
}

/// A call that waits for leave.
type Call = Pin<Box<dyn Future<Output = Result<(), Rejected>>>>;

struct Member {
    factory: CircuitBreakerFactory,
    config: Config,
    breaker: CircuitBreaker,
    load: Load,
    held: Option<Permit>,
    asking: Option<Call>,
    copies: Vec<Copy>,
    events: Arc<Mutex<Vec<Value>>>,
    counts: Arc<Counts>,
}

impl Member {
    fn act(&mut self, line: &str) -> Value {
        let timed = line.strip_prefix("at ").and_then(|timed| timed.split_once(' '));
        if let Some((time, action)) = timed {
            let left = number::<f64>(time) - time_of_day();
            // What the action asks for.
            std::thread::sleep(Duration::try_from_secs_f64(left).unwrap_or_default());
            return self.act(action);
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let result = match words[..] {
            ["load", threads, rate] => self.load.begin(number(threads), number(rate)),
            ["mode", "ok"] => self.load.mode(load::OK),
            ["mode", "fail"] => self.load.mode(load::FAIL),
            ["mode", "hang", millis] => self.load.mode(number(millis)),
            ["stop"] => self.load.end(),
            ["call", kind] => self.load.call(kind == "ok"),
            ["hold"] => match self.breaker.acquire() {
                Ok(permit) => {
                    let probe = permit.is_probe();
                    self.held = Some(permit.into_owned());
                    json!(if probe { "probe" } else { "permit" })
                }
                Err(rejected) => json!(rejected.to_string()),
            },
            ["release", kind] => {
                let permit = self.held.take().expect("something is held");
                match kind {
                    "ok" => permit.success(),
                    "fail" => permit.failure(),
                    _ => drop(permit),
                }
                Value::Null
            }
            ["ask"] => {
                let breaker = self.breaker.clone();
                let call = async move { breaker.acquire_async().await.map(drop) };
                let call = self.asking.insert(Box::pin(call));
                json!(if poll_once(Pin::new(call)).is_pending() { "waits" } else { "does not" })
            }
            ["circuit", name] => {
                let breaker = self.factory.get_breaker_with(name, self.config);
                self.breaker = breaker.expect("the name of a test is valid");
                self.load = Load::new(&self.breaker);
                Value::Null
            }
            ["reset"] => {
                self.breaker.reset();
                Value::Null
            }
            ["flush", millis] => {
                json!(self.factory.flush(Duration::from_millis(number(millis))).is_ok())
            }
            ["fork"] => {
                self.fork();
                Value::Null
            }
            ["child", ref rest @ ..] => {
                let (place, action) = match rest.split_first() {
                    Some((place, action)) if place.parse::<usize>().is_ok() => {
                        (number(place), action)
                    }
                    _ => (1, rest),
                };
                return self.copies[place - 1].act(&action.join(" "));
            }
            ["report"] => Value::Null,
            _ => panic!("what is {line:?}?"),
        };
        self.report(&result)
    }

    fn report(&self, result: &Value) -> Value {
        let snapshot = self.breaker.snapshot();
        let shared = snapshot.shared.expect("the circuit is shared");
        let events = std::mem::take(&mut *self.events.lock().unwrap());
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        json!({
            "result": result,
            "state": snapshot.state.as_str(),
            "failures": snapshot.failures,
            "generation": snapshot.generation,
            "rejected": snapshot.rejected,
            "late": snapshot.late,
            "retry_after_ms": self.load.retry_after().as_secs_f64() * 1e3,
            "recorded": shared.recorded,
            "discarded": shared.discarded,
            "pending": shared.pending,
            "in_sync": shared.in_sync,
            "calls": self.load.calls(),
            "observed": self.load.failures(),
            "failed_at": self.load.failed_at(),
            "probes": self.load.probes(),
            "longest_us": self.load.longest().as_secs_f64() * 1e6,
            "loads": count(&self.counts.loads),
            "bumps": count(&self.counts.bumps),
            "swaps": count(&self.counts.swaps),
            "conflicts": count(&self.counts.conflicts),
            "resident_kb": resident_kb(),
            "events": events,
        })
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error:?}"))
}

/// The time of day too: processes of one machine are compared by it.
fn note(events: &Mutex<Vec<Value>>, event: &Event) {
    // Calls at full speed would fill the memory with these.
    if matches!(event, Event::Failed { .. } | Event::Recovered { .. } | Event::Rejected { .. }) {
        return;
    }
    let (at, name) = (time_of_day(), event.name());
    let (text, debug) = (event.to_string(), format!("{event:?}"));
    let event = json!({ "at": at, "name": name, "text": text, "debug": debug });
    events.lock().unwrap().push(event);
}

/// In seconds since 1970.
fn time_of_day() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
