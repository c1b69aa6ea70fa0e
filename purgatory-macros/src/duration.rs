//! Durations as text: `"30s"`, `"1m 30s"`, `"250ms"`.

use std::time::Duration;

/// Reads numbers with units: the longest unit first, each once at most, decimals allowed.
///
/// # Errors
///
/// Says what is wrong with the text, in words that fit behind `not "text": `.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim_start_matches(' ');
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    let mut nanos = 0;
    let mut units = UNITS.as_slice();
    while !rest.is_empty() {
        let (number, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
        if number.is_empty() {
            return Err(format!("a number is missing before {rest:?}"));
        }
        let (name, after) = split(after, char::is_alphabetic);
        let unit;
        (unit, units) = take_unit(units, number, name)?;
        nanos += in_nanos(number, unit).map_err(|why| format!("{number}{name} is {why}"))?;
        rest = after.trim_start_matches(' ');
    }
    match u64::try_from(nanos / SECOND) {
        Ok(secs) => Ok(Duration::new(secs, (nanos % SECOND) as u32)),
        Err(_) => Err("it is too long".to_owned()),
    }
}

/// Splits `text` before the first character that does not belong to its start.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// The length of the unit called `name`, and the units that may follow it.
fn take_unit<'a>(
    allowed: &'a [Unit],
    number: &str,
    name: &str,
) -> Result<(u128, &'a [Unit]), String> {
    if let Some(at) = allowed.iter().position(|unit| unit.0 == name) {
        return Ok((allowed[at].1, &allowed[at + 1..]));
    }
    if UNITS.iter().any(|unit| unit.0 == name) {
        return Err(format!(
            "units go from long to short, each once at most, and {name} comes too late"
        ));
    }
    let what = if name.is_empty() {
        format!("{number} has no unit")
    } else {
        format!("there is no unit {name}")
    };
    let names = UNITS.map(|unit| unit.0).join(", ");
    Err(format!("{what}, expected one of {names}"))
}

/// `number` times `unit`, exactly.
fn in_nanos(number: &str, unit: u128) -> Result<u128, &'static str> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err("not a number");
    }
    let whole: u64 = whole.parse().map_err(|_| "too long")?;
    let fraction = fraction.trim_end_matches('0');
    let scale = u32::try_from(fraction.len()).ok().filter(|&digits| digits <= MAX_DECIMALS);
    let scale = 10_u128.pow(scale.ok_or(TOO_FINE)?);
    let part = unit * fraction.bytes().fold(0, |part, digit| part * 10 + u128::from(digit - b'0'));
    if part % scale != 0 {
        return Err(TOO_FINE);
    }
    Ok(u128::from(whole) * unit + part / scale)
}

type Unit = (&'static str, u128);

/// From long to short, in nanoseconds.
const UNITS: [Unit; 7] = [
    ("d", 86_400 * SECOND),
    ("h", 3_600 * SECOND),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SECOND: u128 = 1_000_000_000;

/// As many as a day can have before it is finer than a nanosecond, and then some.
const MAX_DECIMALS: u32 = 18;

const TOO_FINE: &str = "finer than a nanosecond";

#[cfg(any(test, fuzzing))]
pub(crate) mod tests;
