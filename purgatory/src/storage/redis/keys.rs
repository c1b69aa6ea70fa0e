//! Where a circuit's record is, and which circuit a record is of.

use std::fmt::Write;

/// The names of everything that a storage has on its server: they all begin with the prefix.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    /// What comes before the name of a circuit: nothing, or the scope and a slash.
    scope: String,
    channel: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, scope: Option<&str>, database: u32) -> Self {
        let scope = scope.map(|scope| format!("{scope}/")).unwrap_or_default();
        // A message reaches the subscribers of every database, and says nothing of its own.
        let channel = match database {
            0 => format!("{prefix}:ev"),
            _ => format!("{prefix}:ev:{database}"),
        };
        Self { prefix: prefix.to_owned(), scope, channel }
    }

    /// In the braces is what a cluster chooses the node by.
    pub(super) fn of(&self, circuit: &str) -> String {
        let Self { prefix, scope, .. } = self;
        format!("{prefix}:{{{}{}}}", encoded(scope), encoded(circuit))
    }

    /// The inverse of [`Self::of`]. None for what is not a circuit's, or of another scope.
    pub(super) fn circuit(&self, key: &str) -> Option<String> {
        let name = key.strip_prefix(&self.prefix)?.strip_prefix(":{")?.strip_suffix('}')?;
        Some(decoded(name)?.strip_prefix(&self.scope)?.to_owned())
    }

    /// Written to find out whether the server can be written to. No circuit has this key.
    pub(super) fn health(&self) -> String {
        format!("{}:health", self.prefix)
    }

    /// Where changes are announced, of all scopes.
    pub(super) fn channel(&self) -> &str {
        &self.channel
    }
}

/// Neither space nor brace is left, so that keys can be told apart in a message.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b':' | b'/' | b'-' => {
                encoded.push(char::from(byte));
            }
            // Writing to a string does not fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

/// Text with `%` and two hexadecimal digits for a byte, as in keys and in URLs.
pub(super) fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => 16 * nibble(rest.next()?)? + nibble(rest.next()?)?,
            _ => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

fn nibble(digit: u8) -> Option<u8> {
    // A digit is less than 16.
    char::from(digit).to_digit(16).map(|nibble| nibble as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_circuit_is_its_encoded_name_in_braces() {
        let keys = Keys::new("cb", None, 0);
        assert_eq!(keys.of("payments"), "cb:{payments}");
        assert_eq!(keys.of("svc/1.a_b:c-d"), "cb:{svc/1.a_b:c-d}");
        assert_eq!(keys.of("a b}{%é"), "cb:{a%20b%7D%7B%25%C3%A9}");
        assert_eq!(Keys::new("app:cb", Some("eu 1"), 0).of("x"), "app:cb:{eu%201/x}");
    }

    #[test]
    fn a_key_leads_back_to_its_circuit() {
        for scope in [None, Some("eu-1"), Some("zone é/shard 3")] {
            let keys = Keys::new("cb", scope, 0);
            for name in ["payments", "a b}{%é", "%41", "/", "😀"] {
                assert_eq!(keys.circuit(&keys.of(name)).as_deref(), Some(name), "{scope:?}");
            }
        }
    }

    #[test]
    fn keys_of_others_are_not_taken_for_ones_own() {
        let keys = Keys::new("cb", Some("eu"), 0);
        for key in [
            "cb:{us/payments}",
            "cb:{payments}",
            "other:{eu/payments}",
            "cb:{eu/payments",
            "cb:eu/payments",
            "cb:{eu/%F}",
            "cb:{eu/%FF}",
            "cb:{eu/%+1}",
            "cb:health",
            "",
        ] {
            assert_eq!(keys.circuit(key), None, "{key}");
        }
    }

    #[test]
    fn no_circuit_has_the_health_key() {
        let keys = Keys::new("cb", None, 0);
        assert_ne!(keys.of("health"), keys.health());
        assert_eq!(keys.circuit(&keys.health()), None);
    }

    #[test]
    fn databases_do_not_hear_each_other() {
        assert_eq!(Keys::new("cb", None, 0).channel(), "cb:ev");
        assert_eq!(Keys::new("cb", None, 3).channel(), "cb:ev:3");
    }
}
