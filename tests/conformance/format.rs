//! The traces as FORMAT.md describes them.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(crate) struct File {
    pub(crate) format: u32,
    pub(crate) traces: Vec<Trace>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Trace {
    pub(crate) id: String,
    pub(crate) tags: Vec<String>,
    pub(crate) start_ms: u64,
    pub(crate) factory: Defaults,
    pub(crate) steps: Vec<Step>,
    #[serde(rename = "final")]
    pub(crate) end: BTreeMap<String, Status>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Defaults {
    pub(crate) default_threshold: Option<u32>,
    pub(crate) default_ttl_ms: Option<u64>,
    #[serde(default)]
    pub(crate) exclude: Vec<Exclude>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    #[serde(flatten)]
    pub(crate) op: Op,
    pub(crate) expect: Answer,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    GetBreaker {
        #[serde(flatten)]
        asked: Asked,
        handle: Option<String>,
    },
    Call {
        #[serde(flatten)]
        target: Target,
        body: Body,
    },
    Enter {
        call: String,
        #[serde(flatten)]
        target: Target,
    },
    Exit {
        call: String,
        body: Body,
    },
    Advance {
        ms: i64,
    },
    AddListener {
        listener: String,
    },
    RemoveListener {
        listener: String,
    },
    Inspect {
        circuit: String,
    },
}

/// What is asked of the factory.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    pub(crate) circuit: String,
    pub(crate) threshold: Option<u32>,
    pub(crate) ttl_ms: Option<u64>,
    #[serde(default)]
    pub(crate) exclude: Vec<Exclude>,
}

/// Whose call it is: that of a breaker kept earlier, or of one asked for now.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Target {
    Kept { handle: String },
    Asked(Asked),
}

/// How the protected code ends.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Body {
    Return,
    Raise {
        #[serde(rename = "type")]
        kind: Kind,
        code: i64,
    },
    Abort,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Exclude {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) when: Option<When>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) enum Kind {
    A,
    A1,
    B,
    C,
    #[serde(rename = "*")]
    Anything,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(tag = "op", content = "code", rename_all = "snake_case")]
pub(crate) enum When {
    Ge(i64),
    Lt(i64),
    Eq(i64),
}

impl When {
    pub(crate) fn holds(self, code: i64) -> bool {
        match self {
            Self::Ge(limit) => code >= limit,
            Self::Lt(limit) => code < limit,
            Self::Eq(other) => code == other,
        }
    }
}

/// What came of a step.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) outcome: Option<Outcome>,
    #[serde(default)]
    pub(crate) events: Vec<Told>,
    pub(crate) after: Option<Status>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Ok,
    Error,
    Permitted,
    Rejected,
    /// Only ours: a setting or a name that cannot be.
    #[serde(skip)]
    Refused(Refused),
}

/// The field that cannot be what it was to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refused(pub(crate) String);

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Status {
    pub(crate) state: State,
    pub(crate) failure_count: Option<u32>,
    pub(crate) opened_at_ms: Option<u64>,
    pub(crate) threshold: Option<u32>,
    pub(crate) ttl_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    Closed,
    Opened,
    HalfOpened,
}

/// An event, as one listener got it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Told {
    pub(crate) listener: String,
    pub(crate) circuit: String,
    #[serde(flatten)]
    pub(crate) event: Event,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", content = "payload", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Event {
    CircuitBreakerCreated { name: String, threshold: u32, ttl_ms: u64 },
    StateChanged { name: String, state: State, opened_at_ms: Option<u64> },
    Failed { name: String, failure_count: u32 },
    Recovered { name: String },
}

/// What came of a whole trace: of every step, and the circuits after the last.
#[derive(Debug, PartialEq)]
pub(crate) struct Answers {
    pub(crate) steps: Vec<Answer>,
    pub(crate) end: BTreeMap<String, Status>,
}

impl Trace {
    /// What the package did.
    pub(crate) fn recorded(&self) -> Answers {
        Answers {
            steps: self.steps.iter().map(|step| step.expect.clone()).collect(),
            end: self.end.clone(),
        }
    }
}

/// The package takes any name.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=255).contains(&name.len()) && !name.chars().any(char::is_control)
}
