//! What a builder accepts.

use std::time::Duration;

use super::super::address::Login;
use super::{RedisStorageBuilder, Servers, invalid};
use crate::config::Config;
use crate::error::ConfigError;
use crate::name::{Name, shortened};

impl RedisStorageBuilder {
    /// All but what a URL and certificates have to be.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let of_keys = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.bytes().all(of_keys) {
            let rule = "prefix must be 1 to 64 of A-Z, a-z, 0-9 and _.:/-";
            return Err(ConfigError::new("prefix", shortened(&self.prefix), rule));
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
        if self.python_layout && self.scope.is_some() {
            let rule = "python_layout has no place for a scope";
            return Err(invalid("scope", "given", rule));
        }
        #[cfg(feature = "redis-cluster")]
        if let (true, Servers::Cluster { .. }) = (self.python_layout, &self.servers) {
            // A script can change both keys of a circuit at once only if they are in one place.
            let rule = "python_layout must be on one server, or under Sentinel";
            return Err(invalid("python_layout", "on a cluster", rule));
        }
        let Self { heartbeat, options, .. } = self;
        for (field, time, longest, rule) in [
            (
                "operation_timeout",
                options.operation_timeout,
                HOUR,
                "operation_timeout must be more than zero and at most an hour",
            ),
            ("heartbeat", *heartbeat, HOUR, "heartbeat must be more than zero and at most an hour"),
            (
                "max_backoff",
                options.max_backoff,
                HOUR,
                "max_backoff must be more than zero and at most an hour",
            ),
            (
                "expiry",
                options.expiry,
                Config::MAX_TTL,
                "expiry must be more than zero and at most 2147483647 seconds",
            ),
        ] {
            if time.is_zero() || time > longest {
                return Err(ConfigError::new(field, format!("{time:?}"), rule));
            }
        }
        if options.probe_wait > HOUR {
            let value = format!("{:?}", options.probe_wait);
            return Err(ConfigError::new(
                "probe_wait",
                value,
                "probe_wait must be at most an hour",
            ));
        }
        Ok(())
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// By the rules of the names of circuits, which a scope is the beginning of.
fn is_name(text: &str) -> bool {
    (1..=Name::MAX_LEN).contains(&text.len()) && !text.chars().any(char::is_control)
}
