//! What the values of both keys mean.

use std::time::Duration;

use super::fields::Fields;

/// The values of both keys of a circuit, as they are. Absent is not the same as empty: a write has to tell
/// them apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Raw {
    pub(super) record: Option<Vec<u8>>,
    pub(super) counter: Option<Vec<u8>>,
}

/// What the values of both keys mean to the Python package.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Reading {
    /// `None` if there is no record: the circuit is not registered.
    pub(super) fields: Option<Fields>,
    /// The failures in a row. By hand they may have become less than none: so many more are needed then.
    pub(super) count: i64,
}

impl Reading {
    /// Reads both values; the error says what is wrong with them.
    pub(super) fn of(raw: &Raw) -> Result<Self, String> {
        let fields = present(&raw.record)
            .map(Fields::parse)
            .transpose()
            .map_err(|wrong| format!("the record {wrong}"))?;
        let counter = present(&raw.counter)
            .map(|text| count(text).ok_or("the counter is not an integer"))
            .transpose()?;
        let written = fields.as_ref().and_then(|fields| fields.failure_count);
        Ok(Self { count: counter.or(written).unwrap_or(0), fields })
    }

    /// The failures in a row, for a circuit of ours. That it is one less than there can be leaves room for
    /// the next one; all that reach the threshold do the same.
    pub(super) fn failures(&self) -> u32 {
        self.count.clamp(0, i64::from(u32::MAX - 1)) as u32
    }
}

impl Fields {
    /// The threshold and the ttl in the terms of this crate.
    pub(super) fn limits(&self) -> (u32, Duration) {
        (self.threshold.threshold(), self.ttl.ttl())
    }
}

/// To the package an empty value is none.
fn present(value: &Option<Vec<u8>>) -> Option<&[u8]> {
    value.as_deref().filter(|value| !value.is_empty())
}

/// What `int` of Python reads: spaces around, a sign, single underscores between digits. What has no place in
/// 64 bits is as far off as they reach.
fn count(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.trim_matches([' ', '\t', '\n', '\r', '\x0B', '\x0C']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let group =
        |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !digits.split('_').all(group) {
        return None;
    }
    let digits = digits.bytes().filter(u8::is_ascii_digit).map(|byte| i64::from(byte - b'0'));
    let count = digits.fold(0_i64, |count, digit| count.saturating_mul(10).saturating_add(digit));
    Some(if negative { -count } else { count })
}
