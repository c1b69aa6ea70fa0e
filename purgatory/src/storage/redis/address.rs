//! Where a server is, and who speaks to it.

use std::fmt;

use super::keys::decoded;
use crate::error::ConfigError;

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What a URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) address: Address,
    pub(super) tls: bool,
    pub(super) login: Login,
    pub(super) database: u32,
}

/// The user, and the password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
}

/// A text that nothing shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl Location {
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, ConfigError> {
        let invalid = |rule| ConfigError::new("url", shown(text), rule);
        let of_that_form =
            invalid("url must be redis://[[user]:password@]host[:port][/database], or rediss://");
        let Some(url) = redis::parse_redis_url(text) else { return Err(of_that_form) };
        let tls = match url.scheme() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(invalid("url must begin with redis:// or rediss://")),
        };
        if tls && cfg!(not(feature = "redis-tls")) {
            return Err(invalid("url can be rediss:// only with the feature redis-tls"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("url must have nothing after the database"));
        }
        let address = Address::of(url.host_str(), url.port().unwrap_or(default_port));
        let Some(address) = address else { return Err(invalid("url must have a host")) };
        let database = match url.path().trim_matches('/') {
            "" => Some(0),
            digits => digits.parse().ok(),
        };
        let Some(database) = database else {
            return Err(invalid("url must have a number for a database"));
        };
        let part = |text: &str| match text {
            "" => Ok(None),
            _ => decoded(text).map(Some).ok_or_else(|| of_that_form.clone()),
        };
        let login = Login {
            user: part(url.username())?,
            password: part(url.password().unwrap_or_default())?.map(Secret),
        };
        Ok(Self { address, tls, login, database })
    }
}

impl Address {
    /// `host:port`, or just the host.
    pub(super) fn parse(text: &str, default_port: u16) -> Result<Self, ConfigError> {
        let url = redis::parse_redis_url(&format!("redis://{text}"));
        let plain = !text.contains(['@', '/', '?', '#']);
        url.filter(|_| plain)
            .and_then(|url| Self::of(url.host_str(), url.port().unwrap_or(default_port)))
            .ok_or_else(|| {
                // No host has an `@`, but a URL has, after its password.
                let value = if text.contains('@') { shown(text) } else { format!("{text:?}") };
                ConfigError::new("nodes", value, "nodes must be host:port")
            })
    }

    fn of(host: Option<&str>, port: u16) -> Option<Self> {
        // The brackets of an IPv6 address belong to the URL.
        let host = host?.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port })
    }

    /// As clusters and Sentinels name servers. If the host is left out, it is that of the one who answered.
    pub(super) fn of_reply(text: &str, answered_by: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if matches!(host, "" | "?") { &answered_by.host } else { host };
        Self::of(Some(host), port.parse().ok()?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What may be shown of what may be a URL, which may have a password: host and port. What stands before the
/// last `@` is never shown, wherever it may be, as passwords have all sorts of characters.
pub(super) fn shown(text: &str) -> String {
    let host = match text.rsplit_once('@') {
        Some((_, host)) => host.split(['/', '?', '#']).next(),
        None => None,
    };
    if let Some(host) = host {
        return format!("{host:?}");
    }
    match redis::parse_redis_url(text) {
        Some(url) => match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("\"{host}:{port}\""),
            (Some(host), None) => format!("{host:?}"),
            (None, _) => format!("\"{}:\"", url.scheme()),
        },
        // A password whose `@` was forgotten looks like a port.
        None => format!("a text of {} bytes", text.len()),
    }
}
