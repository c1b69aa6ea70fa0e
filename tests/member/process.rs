//! One process of a fleet, for tests: does what its standard input says, and answers each line with a line of
//! JSON.
//!
//!     member --url URL --circuit NAME [--threshold N] [--ttl SECONDS] [--lease SECONDS] [--probes N]
//!         [--prefix P] [--sentinel NAME] [--cluster] [--consistency strict] [--no-bump] --stdin
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
//! | `reset`, `flush MILLIS` | as the methods |
//! | `report` | only answers |
//!
//! Every answer is a report: the circuit, what calls came to, and the events since the last one.

#[path = "args.rs"]
mod args;
#[path = "load.rs"]
mod load;

use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use purgatory::{CircuitBreaker, CircuitBreakerFactory, Event, Permit};
use serde_json::{Value, json};

use self::load::Load;

pub(super) fn run() {
    let args = args::Args::parse();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let factory = args.builder().listener(move |event: &Event| note(&log, event)).build();
    let factory = factory.expect("the options of a test are valid");
    let breaker = factory.get_breaker_with(&args.circuit, args.config);
    let breaker = breaker.expect("the name of a test is valid");
    let mut member = Member { factory, load: Load::new(&breaker), breaker, held: None, events };
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

struct Member {
    factory: CircuitBreakerFactory,
    breaker: CircuitBreaker,
    load: Load,
    held: Option<Permit>,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Member {
    fn act(&mut self, line: &str) -> Value {
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
            ["reset"] => {
                self.breaker.reset();
                Value::Null
            }
            ["flush", millis] => {
                json!(self.factory.flush(Duration::from_millis(number(millis))).is_ok())
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
            "first_failure_at": self.load.first_failure().map(since_1970),
            "observed": self.load.failures(),
            "probes": self.load.probes(),
            "longest_us": self.load.longest().as_secs_f64() * 1e6,
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
    let at = since_1970(SystemTime::now());
    let text = event.to_string();
    let event = json!({ "at": at, "name": event.name(), "text": text });
    events.lock().unwrap().push(event);
}

fn since_1970(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}
