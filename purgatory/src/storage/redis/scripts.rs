//! What runs on the server, and what it answers.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::aio::ConnectionLike;
use redis::{ErrorKind, RedisResult, Script, ServerErrorKind, Value};

use crate::record::MAX_LEN;
use crate::storage::{StorageError, Stored, Versioned};

pub(super) static LOAD: LazyLock<Script> = LazyLock::new(|| native(include_str!("load.lua")));
pub(super) static COMPARE_AND_SET: LazyLock<Script> =
    LazyLock::new(|| native(include_str!("compare_and_set.lua")));
pub(super) static BUMP: LazyLock<Script> = LazyLock::new(|| native(include_str!("bump.lua")));

pub(super) static PYTHON: LazyLock<Script> = LazyLock::new(|| Script::new(super::python::SCRIPT));

/// A script that knows how records are stored.
fn native(text: &str) -> Script {
    Script::new(&format!("local END, LONGEST = {END}, {LONGEST}\n{text}"))
}

/// A script with what it is about. It touches one key, as a cluster wants it; that of the Python layout, which
/// is for no cluster, touches a second.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) script: &'static Script,
    pub(super) key: String,
    second_key: Option<String>,
    pub(super) arguments: Vec<Vec<u8>>,
}

impl Call {
    pub(super) fn new(script: &'static LazyLock<Script>, key: String) -> Self {
        Self { script, key, second_key: None, arguments: Vec::new() }
    }

    pub(super) fn and_key(mut self, key: String) -> Self {
        self.second_key = Some(key);
        self
    }

    pub(super) fn arg(mut self, argument: impl Into<Vec<u8>>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// How long a record is kept, which is never no time at all.
    pub(super) fn millis(self, time: Duration) -> Self {
        let millis = time.as_nanos().div_ceil(1_000_000).clamp(1, MAX_MILLIS);
        self.arg(millis.to_string())
    }

    /// Runs it, and hands the script itself over if the server does not know it (any more).
    pub(super) async fn run(&self, connection: &mut impl ConnectionLike) -> RedisResult<Value> {
        let mut invocation = self.script.key(&self.key);
        if let Some(key) = &self.second_key {
            invocation.key(key);
        }
        for argument in &self.arguments {
            invocation.arg(argument);
        }
        for _ in 0..FORGETFUL {
            match invocation.invoke_async(connection).await {
                Err(error) if error.kind() == NO_SCRIPT => {}
                answer => return answer,
            }
        }
        invocation.invoke_async(connection).await
    }
}

/// How often a server may forget a script between loading and running it.
const FORGETFUL: usize = 3;

const NO_SCRIPT: ErrorKind = ErrorKind::Server(ServerErrorKind::NoScript);

/// A server adds the time to live to its clock, in 63 bits: this is 31 thousand years.
const MAX_MILLIS: u128 = 1_000_000_000_000_000;

/// What a script answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) stored: Stored,
    pub(super) outcome: i64,
    /// Why it was not announced, if it had to be.
    pub(super) unannounced: Option<String>,
}

impl Answer {
    pub(super) fn of(value: Value) -> Result<Self, StorageError> {
        let unexpected = || StorageError::Unavailable("an answer that makes no sense".into());
        let Value::Array(fields) = value else { return Err(unexpected()) };
        let mut fields = fields.into_iter();
        let now = match fields.next() {
            Some(Value::Int(micros)) => from_micros(micros).ok_or_else(unexpected)?,
            _ => return Err(unexpected()),
        };
        let record = match fields.next() {
            Some(Value::BulkString(value)) => Some(versioned(&value)),
            Some(Value::Nil) => None,
            _ => return Err(unexpected()),
        };
        let outcome = match fields.next() {
            Some(Value::Int(outcome)) => outcome,
            None => 0,
            Some(_) => return Err(unexpected()),
        };
        let unannounced = match fields.next() {
            Some(Value::BulkString(cause)) => Some(String::from_utf8_lossy(&cause).into_owned()),
            _ => None,
        };
        Ok(Self { stored: Stored { record, now: Some(now) }, outcome, unannounced })
    }
}

fn from_micros(micros: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_micros(u64::try_from(micros).ok()?))
}

/// A stored value is the version, a space, and the record. What looks different was written by somebody else,
/// and has version 0; the scripts see it the same way.
pub(super) fn versioned(value: &[u8]) -> Versioned {
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let version = std::str::from_utf8(&value[..digits]).ok().and_then(|digits| digits.parse().ok());
    match version {
        Some(version) if version < END && value.get(digits) == Some(&b' ') => {
            Versioned { version, bytes: value[digits + 1..].to_vec() }
        }
        _ => Versioned { version: 0, bytes: value.to_vec() },
    }
}

/// No more of a value is sent than shows that it is too long for a record, with the version before it: somebody may
/// have put something there that takes longer than an operation may.
const LONGEST: usize = MAX_LEN + 32;

/// Versions are less than this, as numbers of Lua are exact until here. After the last one the time comes again.
const END: u64 = (1 << 53) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn split(value: &str) -> (u64, String) {
        let Versioned { version, bytes } = versioned(value.as_bytes());
        (version, String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_value_is_a_version_and_a_record() {
        assert_eq!(split("1234567890123456 1 C 0"), (1_234_567_890_123_456, "1 C 0".into()));
        assert_eq!(split("7 "), (7, String::new()));
        assert_eq!(split("9007199254740990 x"), (9_007_199_254_740_990, "x".into()));
        for other in ["", "7", " 1 C", "x 1 C", "+7 1 C", "-7 1 C", "9007199254740991 1 C"] {
            assert_eq!(split(other), (0, other.into()));
        }
    }

    #[test]
    fn a_record_is_kept_for_a_while_at_least() {
        let millis = |time| Call::new(&LOAD, String::new()).millis(time).arguments[0].clone();
        assert_eq!(millis(Duration::ZERO), b"1");
        assert_eq!(millis(Duration::from_nanos(1_000_001)), b"2");
        assert_eq!(millis(Duration::MAX), b"1000000000000000");
    }

    #[test]
    fn an_answer_of_another_form_is_none() {
        for value in [
            Value::Nil,
            Value::Okay,
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(-1), Value::Nil]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Int(1), Value::Int(1)]),
            Value::Array(vec![Value::Int(1), Value::Nil, Value::Nil]),
        ] {
            assert!(matches!(Answer::of(value), Err(StorageError::Unavailable(_))));
        }
    }
}
