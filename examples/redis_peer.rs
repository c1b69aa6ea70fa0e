//! A process that a test drives from outside: to see whether processes in several languages share their
//! circuits.
//!
//!     redis_peer --url URL --circuit NAME [--threshold N] [--ttl SECONDS] [--layout native] [ACTION...] [--stdin]
//!
//! It does the actions in order, then with `--stdin` one a line, and answers each with a line of JSON:
//!
//! | action | does |
//! | --- | --- |
//! | `register` | obtains the breaker |
//! | `ok`, `fail`, `excluded` | makes a call that ends so; `fail:3` makes three, `fail:3@0.5` three of half a second |
//! | `begin:LABEL` | starts a call and leaves it running |
//! | `end-ok:LABEL`, `end-fail:LABEL`, `end-excluded:LABEL` | ends it |
//! | `state`, `raw` | reads what is stored |
//! | `sleep:SECONDS` | waits |
//!
//! The layout is that of the Python package, unless it is `native`.

#[path = "redis_peer/stored.rs"]
mod stored;

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Consistency, Event, Permit, RedisStorage,
    Snapshot, State,
};
use serde_json::{Map, Value, json};

use self::stored::Store;

type Answer = Result<Value, Box<dyn Error>>;

// A test has it as a program of its own.
pub(crate) fn main() -> ExitCode {
    // Arguments, or the first thing that does not fit.
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    match run(args) {
        Ok(failed) => ExitCode::from(u8::from(failed)),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Whether an action was answered with an error.
fn run(args: Args) -> Result<bool, Box<dyn Error>> {
    let (actions, stdin) = (args.actions.clone(), args.stdin);
    let mut peer = Peer::new(args)?;
    let mut failed = false;
    for action in actions {
        failed |= peer.answer(&action)?;
    }
    if stdin {
        for action in io::stdin().lock().lines() {
            failed |= peer.answer(action?.trim())?;
        }
    }
    Ok(failed)
}

struct Args {
    url: String,
    circuit: String,
    config: Config,
    native: bool,
    actions: Vec<String>,
    stdin: bool,
}

impl Args {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut parsed = Self {
            url: String::new(),
            circuit: String::new(),
            config: Config::new().threshold(5).ttl(Duration::from_secs(30)),
            native: false,
            actions: Vec::new(),
            stdin: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
            match &*arg {
                "--url" => parsed.url = value()?,
                "--circuit" => parsed.circuit = value()?,
                "--threshold" => parsed.config.threshold = Some(value()?.parse()?),
                "--ttl" => parsed.config.ttl = Some(seconds(&value()?)?),
                "--layout" => parsed.native = value()? == "native",
                "--stdin" => parsed.stdin = true,
                option if option.starts_with("--") => {
                    return Err(format!("there is no option {option}").into());
                }
                _ => parsed.actions.push(arg),
            }
        }
        if parsed.url.is_empty() || parsed.circuit.is_empty() {
            return Err("--url and --circuit are needed".into());
        }
        Ok(parsed)
    }
}

fn seconds(text: &str) -> Result<Duration, Box<dyn Error>> {
    Ok(Duration::try_from_secs_f64(text.parse()?)?)
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("a failure")]
    Failed,
    #[error("no failure")]
    Excluded,
}

struct Peer {
    factory: CircuitBreakerFactory,
    store: Store,
    circuit: String,
    config: Config,
    running: HashMap<String, Permit>,
    events: Arc<Mutex<Vec<Value>>>,
    refused: Arc<AtomicBool>,
}

impl Peer {
    fn new(args: Args) -> Result<Self, Box<dyn Error>> {
        let storage = RedisStorage::builder(&*args.url);
        let storage = storage.operation_timeout(PATIENCE).probe_wait(PATIENCE);
        // A process that makes one call has to know before that what the others did.
        let storage = storage.consistency(Consistency::Strict);
        let storage = if args.native { storage } else { storage.python_layout() }.build()?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let refused = Arc::new(AtomicBool::new(false));
        let told = (Arc::clone(&events), Arc::clone(&refused));
        let factory = CircuitBreakerFactory::builder()
            .exclude::<CallError>(|error| matches!(error, CallError::Excluded))
            .listener(move |event: &Event| {
                told.0.lock().unwrap().extend(kind(event));
                told.1.fetch_or(matches!(event, Event::StorageRefused { .. }), Ordering::Relaxed);
            })
            .storage(storage)
            .build()?;
        let store = Store::new(&args.url, &args.circuit, args.native)?;
        let Args { circuit, config, .. } = args;
        Ok(Self { factory, store, circuit, config, running: HashMap::new(), events, refused })
    }

    /// Does an action, prints what came of it, and returns whether that is an error.
    fn answer(&mut self, action: &str) -> io::Result<bool> {
        let answer = self.act(action);
        // So that the next process sees what this one did.
        let flushed = self.factory.flush(PATIENCE);
        // What is no record is nothing that anybody else sees.
        let flushed = flushed.or_else(|error| if self.is_refused() { Ok(()) } else { Err(error) });
        let answer = answer.and_then(|answer| flushed.map(|()| answer).map_err(Into::into));
        let failed = answer.is_err();
        let fields = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
        let mut line = Map::from_iter([("action".to_owned(), json!(action))]);
        line.extend(fields.as_object().cloned().unwrap_or_default());
        line.insert("events".to_owned(), json!(std::mem::take(&mut *self.events.lock().unwrap())));
        let mut out = io::stdout().lock();
        writeln!(out, "{}", Value::Object(line))?;
        out.flush()?;
        Ok(failed)
    }

    fn act(&mut self, action: &str) -> Answer {
        let (verb, argument) = action.split_once(':').unwrap_or((action, ""));
        match verb {
            "ok" | "fail" | "excluded" => self.calls(verb, argument),
            "register" => {
                self.breaker()?;
                Ok(json!({ "results": ["registered"] }))
            }
            "begin" => {
                let begun = match self.breaker()?.acquire() {
                    Ok(permit) => {
                        self.running.insert(argument.to_owned(), permit.into_owned());
                        "permitted"
                    }
                    Err(_) => "rejected",
                };
                Ok(json!({ "results": [begun] }))
            }
            "end-ok" | "end-fail" | "end-excluded" => {
                let permit = self.running.remove(argument).ok_or("no such call is running")?;
                permit.settle(&result_of(verb.trim_start_matches("end-")));
                Ok(json!({ "results": ["ended"] }))
            }
            "state" => Ok(self.store.state()?),
            "raw" => Ok(self.store.raw()?),
            "sleep" => {
                thread::sleep(seconds(argument)?); // It is what was asked for.
                Ok(json!({}))
            }
            _ => Err("no such action".into()),
        }
    }

    fn calls(&self, ending: &str, argument: &str) -> Answer {
        let (count, lasting) = argument.split_once('@').unwrap_or((argument, "0"));
        let (count, lasting) =
            (if count.is_empty() { 1 } else { count.parse()? }, seconds(lasting)?);
        let mut results = Vec::new();
        for _ in 0..count {
            let breaker = self.breaker()?;
            let result = breaker.call(|| {
                thread::sleep(lasting); // The call takes this long.
                result_of(ending)
            });
            results.push(match result {
                Ok(()) => "ok",
                Err(purgatory::Error::Rejected(_)) => "rejected",
                Err(purgatory::Error::Inner(CallError::Failed)) => "failed",
                Err(purgatory::Error::Inner(CallError::Excluded)) => "excluded",
            });
        }
        let rejected = results.iter().filter(|&&result| result == "rejected").count();
        let permitted = results.len() - rejected;
        Ok(json!({ "results": results, "permitted": permitted, "rejected": rejected }))
    }

    /// Whether something else has the place of the circuit.
    fn is_refused(&self) -> bool {
        let alone = |circuit: &Snapshot| circuit.shared.is_some_and(|shared| !shared.in_sync);
        self.refused.load(Ordering::Relaxed) && self.factory.snapshot().iter().any(alone)
    }

    fn breaker(&self) -> Result<CircuitBreaker, purgatory::ConfigError> {
        self.factory.get_breaker_with(&self.circuit, self.config)
    }
}

fn result_of(ending: &str) -> Result<(), CallError> {
    match ending {
        "ok" => Ok(()),
        "fail" => Err(CallError::Failed),
        _ => Err(CallError::Excluded),
    }
}

/// The events that the Python package has.
fn kind(event: &Event) -> Option<Value> {
    let (circuit, kind) = (event.circuit(), event.name());
    Some(match event {
        Event::Created { settings, .. } => json!({
            "circuit": circuit, "kind": kind,
            "threshold": settings.threshold, "ttl": settings.ttl.as_secs_f64(),
        }),
        Event::StateChanged { change, .. } => json!({
            "circuit": circuit, "kind": kind, "state": word(change.to),
            "opened_at": change.opened_at.map(stored::time_of_day),
        }),
        Event::Failed { failures, .. } => {
            json!({ "circuit": circuit, "kind": kind, "failure_count": failures })
        }
        Event::Recovered { .. } => json!({ "circuit": circuit, "kind": kind }),
        _ => return None,
    })
}

/// The state in the words of the Python package.
fn word(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::Open => "opened",
        State::HalfOpen => "half-opened",
    }
}

/// How long the server may take. A service would not wait that long, and go on alone; here a busy machine is
/// not to look like an outage.
const PATIENCE: Duration = Duration::from_secs(2);
