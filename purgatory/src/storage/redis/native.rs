//! How this library keeps its records on a server.

use super::keys::Keys;
use super::scripts::{BUMP, COMPARE_AND_SET, Call, LOAD, versioned};
use crate::record::Record;
use crate::storage::{Bump, Versioned, Write};

/// One string for every circuit, with the version before the record.
///
/// What is particular about this is all here: which key, which script with which arguments, and what a
/// message means.
#[derive(Debug, Clone)]
pub(super) struct Native {
    keys: Keys,
}

/// What a message on the channel says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    Changed {
        circuit: String,
        record: Versioned,
    },
    /// The health key has this version.
    Health(u64),
}

/// What [`BUMP`] answers about a record that it does not know how to change.
pub(super) const NOT_PLAIN: i64 = -1;

impl Native {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys }
    }

    pub(super) fn channel(&self) -> &str {
        self.keys.channel()
    }

    pub(super) fn load(&self, circuit: &str) -> Call {
        Call::new(&LOAD, self.keys.of(circuit))
    }

    pub(super) fn compare_and_set(&self, write: &Write<'_>) -> Call {
        Call::new(&COMPARE_AND_SET, self.keys.of(write.circuit))
            .arg(write.expected.to_string())
            .arg(write.bytes)
            .millis(write.expires_in)
            .arg(if write.announce { self.channel() } else { "" })
    }

    /// The write that shows that everything needed works: master, script, memory, and announcements.
    pub(super) fn probe(&self) -> Call {
        Call::new(&COMPARE_AND_SET, self.keys.health())
            .arg("*")
            .arg("up")
            .millis(std::time::Duration::from_secs(60))
            .arg(self.channel())
    }

    /// None if it is more than a run of outcomes: scripts know no decisions.
    pub(super) fn bump(&self, bump: &Bump<'_>) -> Option<Call> {
        let update = bump.update();
        if !update.is_run() {
            return None;
        }
        let (run, id) = (update.run, update.id);
        let call = Call::new(&BUMP, self.keys.of(bump.circuit()))
            .arg(Record::new(update.own.clone()).encode())
            .arg(update.generation.to_string())
            .arg(run.head.to_string())
            .arg(if run.reset { "1" } else { "0" })
            .arg(run.tail.to_string())
            .arg(run.total.to_string())
            .arg(format!("{:x}", id.writer))
            .arg(format!("{:x}", id.sequence))
            .millis(bump.expires_in())
            .arg(self.channel());
        Some(call)
    }

    /// A message is a key, a space, and what is stored there.
    pub(super) fn news(&self, message: &[u8]) -> Option<News> {
        let end = message.iter().position(|&byte| byte == b' ')?;
        let (key, value) = (std::str::from_utf8(&message[..end]).ok()?, &message[end + 1..]);
        let record = versioned(value);
        if key == self.keys.health() {
            return Some(News::Health(record.version));
        }
        let circuit = self.keys.circuit(key)?;
        (record.version > 0).then_some(News::Changed { circuit, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_a_key_and_what_is_stored_there() {
        let native = Native::new(Keys::new("cb", Some("eu"), 0));
        let record = Versioned { version: 17, bytes: b"1 C 0".to_vec() };
        let changed = News::Changed { circuit: "a b".into(), record };
        assert_eq!(native.news(b"cb:{eu/a%20b} 17 1 C 0"), Some(changed));
        assert_eq!(native.news(b"cb:health 18 up"), Some(News::Health(18)));
        for other in [&b"cb:{us/x} 17 1 C 0"[..], b"cb:{eu/x} C 0", b"cb:{eu/x}", b"\xFF 1 x", b""]
        {
            assert_eq!(native.news(other), None);
        }
    }
}
