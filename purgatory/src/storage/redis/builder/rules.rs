//! What a builder accepts.

use super::super::address::Login;
use super::{RedisStorageBuilder, Servers, invalid};
use crate::error::ConfigError;
use crate::name::{Name, shortened};
use crate::storage::options::DAY;

impl RedisStorageBuilder {
    /// All but what a URL and certificates have to be.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let of_keys = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        let is_prefix = |text: &&str| (1..=64).contains(&text.len()) && text.bytes().all(of_keys);
        if let Some(prefix) = self.prefix.as_deref().filter(|prefix| !is_prefix(prefix)) {
            let rule = "prefix must be 1 to 64 of A-Z, a-z, 0-9 and _.:/-";
            return Err(ConfigError::new("prefix", shortened(prefix), rule));
        }
        if let Some(scope) = self.scope.as_deref().filter(|scope| !is_name(scope)) {
            let rule = "scope must be 1 to 255 bytes without control characters";
            return Err(ConfigError::new("scope", shortened(scope), rule));
        }
        match &self.servers {
            Servers::Sentinels { master, .. } if !is_name(master) => {
                let rule = "sentinel must have the name of a master";
                return Err(ConfigError::new("sentinel", shortened(master), rule));
            }
            Servers::Sentinels { .. } => {}
            _ if self.sentinel_login != Login::default() => {
                let rule = "sentinel_login must come with sentinel";
                return Err(invalid("sentinel_login", "alone", rule));
            }
            _ => {}
        }
        for (field, given, rule) in [
            ("prefix", self.prefix.is_some(), "python_layout has no place for a prefix"),
            ("scope", self.scope.is_some(), "python_layout has no place for a scope"),
        ] {
            if self.python_layout && given {
                return Err(invalid(field, "given", rule));
            }
        }
        #[cfg(feature = "redis-cluster")]
        if let (true, Servers::Cluster { .. }) = (self.python_layout, &self.servers) {
            // A script can change both keys of a circuit at once only if they are in one place.
            let rule = "python_layout must be on one server, or under Sentinel";
            return Err(invalid("python_layout", "on a cluster", rule));
        }
        if self.heartbeat.is_zero() || self.heartbeat > DAY {
            let rule = "heartbeat must be more than zero and at most a day";
            return Err(ConfigError::new("heartbeat", format!("{:?}", self.heartbeat), rule));
        }
        self.options.check()
    }
}

/// By the rules of the names of circuits, which a scope is the beginning of.
fn is_name(text: &str) -> bool {
    (1..=Name::MAX_LEN).contains(&text.len()) && !text.chars().any(char::is_control)
}
