//! The fields of a record of the Python package.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::number::{Number, time_text};
use crate::clock::Timestamp;

/// The fields of a record, as far as they mean anything.
///
/// It is read as the package reads it: what it does not look at may be anything, such as an `opened_at` that
/// is a text while the circuit is closed. A threshold or ttl that is no number is refused here at once; there
/// it is an error as soon as it is needed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields {
    pub(super) threshold: Number,
    pub(super) ttl: Number,
    pub(super) state: Word,
    /// Nobody writes it, but the package goes by it where there is no counter.
    pub(super) failure_count: Option<i64>,
}

/// The state in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Closed,
    /// Since then; if it does not say when, since now, at every look.
    Opened(Option<Timestamp>),
    HalfOpened,
}

impl Fields {
    /// Reads a record; the error says what is wrong with it.
    pub(super) fn parse(record: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(record).map_err(|_| "is not UTF-8")?;
        // The package reads it past such a mark, which editors leave there.
        let text = finite(text.strip_prefix('\u{FEFF}').unwrap_or(text));
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&text)
            .map_err(|error| format!("is not a JSON object: {error}"))?;
        let known = ["name", "threshold", "ttl", "state", "opened_at", "failure_count", "exclude"];
        if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("has a field {name:?}, which the Python package refuses"));
        }
        let field = |name: &str| fields.get(name).map(|value| value.get());
        let required = |name: &str| field(name).ok_or_else(|| format!("has no {name:?}"));
        let number = |name: &str, value: &str| {
            Number::parse(value).ok_or_else(|| format!("has a {name:?} that is not a number"))
        };
        // It has to be there, but it may be any: it is not what decides about the keys here.
        required("name")?;
        let ttl = number("ttl", required("ttl")?)?;
        let opened_at = || match field("opened_at") {
            None | Some("null") => Ok(None),
            Some(value) => number("opened_at", value).map(|at| Some(opening(&at, &ttl))),
        };
        let state = field("state").and_then(|value| serde_json::from_str::<String>(value).ok());
        let state = match state.as_deref() {
            Some("opened") => Word::Opened(opened_at()?),
            Some("half-opened") => Word::HalfOpened,
            // Whatever else it is.
            _ => Word::Closed,
        };
        let failures = field("failure_count").map(|value| number("failure_count", value));
        Ok(Self {
            threshold: number("threshold", required("threshold")?)?,
            ttl,
            state,
            failure_count: failures.transpose()?.map(|number| number.integer()),
        })
    }

    /// The record of a circuit as Python's `json.dumps` writes it, all five fields of it: one with fewer
    /// cannot be read by the package.
    pub(super) fn dump(&self, name: &str) -> Vec<u8> {
        let (threshold, ttl) = (self.threshold.text(), self.ttl.text());
        let (state, opened_at) = match self.state {
            Word::Closed => ("closed", None),
            Word::Opened(at) => ("opened", at.map(time_text)),
            Word::HalfOpened => ("half-opened", None),
        };
        let (name, opened_at) = (quoted(name), opened_at.as_deref().unwrap_or("null"));
        format!(
            r#"{{"name": {name}, "threshold": {threshold}, "ttl": {ttl}, "state": "{state}", "opened_at": {opened_at}}}"#
        )
        .into_bytes()
    }
}

/// When a circuit opened. If that is later than can be said here, it is such that the ttl ends with what can.
fn opening(at: &Number, ttl: &Number) -> Timestamp {
    match at.time() {
        Timestamp::MAX => Timestamp::from_origin(Timestamp::MAX.since_origin() - ttl.ttl()),
        at => at,
    }
}

/// The text with numbers of JSON in place of those that Python writes and JSON does not have, see [`Number`].
/// They have spaces around them, so that no number comes about where something is amiss, such as in `1NaN`.
///
/// In quotes they become the same: there nobody looks at them, as no word that means something has one in it.
fn finite(text: &str) -> String {
    let text = text.replace("-Infinity", " -1e999 ");
    text.replace("Infinity", " 1e999 ").replace("NaN", " 1e999 ")
}

/// A text in quotes and in ASCII, as `json.dumps` writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x08' => quoted.push_str("\\b"),
            '\x0C' => quoted.push_str("\\f"),
            ' '..='~' => quoted.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    quoted.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    quoted.push('"');
    quoted
}
