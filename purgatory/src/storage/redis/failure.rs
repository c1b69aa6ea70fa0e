//! What the client reports, in the words of a storage.

use redis::{ErrorKind, RedisError};

use super::address::Secret;
use crate::storage::StorageError;

/// An answer that says no is a refusal; that none came, or none that makes sense, leaves open what was done.
pub(super) fn failure(error: &RedisError) -> StorageError {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => {
            let text = reply(error);
            // Only a script on a key reads something.
            if text.starts_with("WRONGTYPE") {
                StorageError::Unusable(text)
            } else {
                StorageError::Refused(text)
            }
        }
        ErrorKind::RESP3NotSupported => StorageError::Refused(
            "the server does not know HELLO 3: it is older than Redis 6".into(),
        ),
        ErrorKind::AuthenticationFailed => StorageError::Refused(error.to_string()),
        _ if error.is_timeout() => StorageError::Unavailable("no answer in time".into()),
        ErrorKind::Io => StorageError::Unavailable(error.to_string()),
        _ => StorageError::Unavailable(format!("{}: {error}", error.category())),
    }
}

/// The answer of the server: its code, and its text.
pub(super) fn reply(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    };
    // What follows is the command itself, and a greeting has the password.
    let end = text.find(", with args beginning with").unwrap_or(text.len());
    text[..end].to_owned()
}

impl StorageError {
    /// The same without the password, should a server, or a proxy before it, have sent it back.
    pub(super) fn without(self, password: Option<&Secret>) -> Self {
        let Some(Secret(password)) = password.filter(|Secret(password)| !password.is_empty())
        else {
            return self;
        };
        self.map(|text| text.replace(password.as_str(), "***"))
    }

    /// The same, with whom it is about.
    pub(super) fn of(self, whom: &impl std::fmt::Display) -> Self {
        self.map(|text| format!("{whom}: {text}"))
    }

    fn map(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Unavailable(text) => Self::Unavailable(change(text)),
            Self::Refused(text) => Self::Refused(change(text)),
            Self::Unusable(text) => Self::Unusable(change(text)),
            Self::Unreachable(text) => Self::Unreachable(change(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::{RedisResult, Value, parse_redis_value};

    use super::*;

    fn answer(text: &str) -> StorageError {
        let value = parse_redis_value(format!("-{text}\r\n").as_bytes()).unwrap();
        let error: RedisResult<Value> = value.extract_error();
        failure(&error.unwrap_err())
    }

    #[test]
    fn what_a_server_answers_is_a_refusal_in_its_words() {
        for text in [
            "READONLY You can't write against a read only replica.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "NOPERM this user has no permissions to run the 'evalsha' command",
            "NOAUTH Authentication required.",
            "WRONGPASS invalid username-password pair or user is disabled.",
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "MISCONF Redis is configured to save RDB snapshots",
            "NOREPLICAS Not enough good replicas to write.",
            "BUSY Redis is busy running a script.",
            "CLUSTERDOWN Hash slot not served",
            "ERR max number of clients reached",
            "ERR unknown command 'EVALSHA'",
            "SOMETHINGNEW to come",
        ] {
            assert_eq!(answer(text), StorageError::Refused(text.into()));
        }
    }

    #[test]
    fn another_type_makes_one_circuit_unusable() {
        let text = "WRONGTYPE Operation against a key holding the wrong kind of value";
        assert_eq!(answer(text), StorageError::Unusable(text.into()));
    }

    #[test]
    fn what_was_sent_is_not_in_the_text() {
        let text =
            "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'app' 'geheim'";
        assert_eq!(answer(text), StorageError::Refused("ERR unknown command 'HELLO'".into()));
        let echo = StorageError::Refused("ERR what is geheim?".into());
        let clean = StorageError::Refused("ERR what is ***?".into());
        assert_eq!(echo.without(Some(&Secret("geheim".into()))), clean);
    }

    #[test]
    fn that_no_answer_came_leaves_it_open() {
        let kinds = [std::io::ErrorKind::TimedOut, std::io::ErrorKind::BrokenPipe];
        let failures = kinds.map(|kind| failure(&std::io::Error::from(kind).into()));
        assert_eq!(
            failures,
            [
                StorageError::Unavailable("no answer in time".into()),
                StorageError::Unavailable("broken pipe".into()),
            ]
        );
        let garbage = parse_redis_value(b"?nonsense\r\n").unwrap_err();
        assert!(matches!(failure(&garbage), StorageError::Unavailable(_)));
    }
}
