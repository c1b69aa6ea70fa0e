//! Numbers as Python reads and writes them.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::Config;

/// A number of a record: its text, which is written again as it was, and its value.
///
/// `NaN` is not told from infinity: it is only ever the right side of `>` and `>=`, and there both are never
/// reached.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Number {
    text: String,
    value: f64,
}

impl Number {
    /// A JSON number; `true` and `false` are 1 and 0 to Python. `None` if it is something else.
    pub(super) fn parse(json: &str) -> Option<Self> {
        let value = match json {
            "true" => 1.0,
            "false" => 0.0,
            // Rust would also read words, such as `inf`.
            _ if json
                .strip_prefix('-')
                .unwrap_or(json)
                .starts_with(|c: char| c.is_ascii_digit()) =>
            {
                json.parse().ok()?
            }
            _ => return None,
        };
        // An infinity may have any text here, such as `1e999`.
        let text = if f64::is_infinite(value) { repr(value) } else { json.to_owned() };
        Some(Self { text, value })
    }

    /// A count.
    pub(super) fn count(count: u32) -> Self {
        Self { text: count.to_string(), value: count.into() }
    }

    /// A span of time in seconds: an integer if it can be one, as somebody who writes Python would.
    pub(super) fn span(time: Duration) -> Self {
        let value = seconds(time);
        let text = if time.subsec_nanos() == 0 { time.as_secs().to_string() } else { repr(value) };
        Self { text, value }
    }

    /// The text, for JSON.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// As a threshold. One failure is enough for what is less, as `1 >= threshold` then; what is infinite is
    /// never reached, as 4 thousand million are not.
    pub(super) fn threshold(&self) -> u32 {
        // Casts of floating point numbers saturate.
        (self.value.ceil() as u32).max(1)
    }

    /// As a ttl, to the nearest microsecond. What is zero or less is over at once, and so is one microsecond;
    /// what is longer than [`Config::MAX_TTL`] does not end, and neither do 68 years.
    pub(super) fn ttl(&self) -> Duration {
        let least = Duration::from_micros(1);
        self.micros().clamp(least, Config::MAX_TTL)
    }

    /// As a time of day, to the nearest microsecond: in a `float` of today less is no more than noise.
    pub(super) fn time(&self) -> Timestamp {
        Timestamp::from_origin(self.micros())
    }

    /// As seconds, no less than zero and rounded to microseconds.
    fn micros(&self) -> Duration {
        let time = Duration::try_from_secs_f64(self.value.max(0.0)).unwrap_or(Duration::MAX);
        let micros = (time.as_nanos() + 500) / 1_000;
        Duration::from_micros(micros.try_into().unwrap_or(u64::MAX))
    }

    /// As an integer.
    pub(super) fn integer(&self) -> i64 {
        self.value as i64
    }
}

/// A time of day as a Python `float`, to the microsecond.
pub(super) fn time_text(time: Timestamp) -> String {
    repr(seconds(time.since_origin()))
}

/// Rounded once: the number that Python makes of the decimal text with six places.
fn seconds(time: Duration) -> f64 {
    // Less than 2^53: the longest times of the crate are 146 years.
    (time.as_nanos() / 1_000) as f64 / 1e6
}

/// A `float` as Python writes it: the shortest text that reads back the same, with an exponent of at least
/// two digits if it is below -4 or above 15. Of two texts that are as short and as close Python takes the even
/// one, Rust does not; a number of microseconds has only one.
fn repr(value: f64) -> String {
    if value.is_infinite() {
        return String::from(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("`{:e}` writes an exponent");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let text = value.to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_does() {
        // Made with Python 3.11: `json.dumps(x)`; the first word is the bits of x.
        let mut lines = 0;
        for line in include_str!("tests/floats.txt").lines() {
            let (bits, text) = line.split_once(' ').unwrap();
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            assert_eq!(repr(value), text);
            lines += 1;
        }
        assert!(lines > 100, "{lines} lines");
    }

    #[test]
    fn times_of_day_come_back_to_the_microsecond() {
        let mut seed = 1;
        for _ in 0..20_000 {
            seed = super::super::tests::next(seed);
            // From 1970 to 2116.
            let time = Timestamp::from_origin(Duration::from_micros(seed % 4_611_686_018_427_387));
            let text = time_text(time);
            assert_eq!(Number::parse(&text).unwrap().time(), time, "{text}");
        }
    }

    #[test]
    fn spans_come_back() {
        let mut seed = 2;
        for _ in 0..20_000 {
            seed = super::super::tests::next(seed);
            let micros = ((seed % 2_147_483_647_000_000) >> (seed % 50)).max(1);
            let (time, number) =
                (Duration::from_micros(micros), Number::span(Duration::from_micros(micros)));
            assert_eq!(number.ttl(), time, "{}", number.text());
            assert_eq!(Number::parse(number.text()).unwrap(), number);
        }
    }

    #[test]
    fn numbers_out_of_range_do_what_they_do_in_python() {
        let number = |text| Number::parse(text).unwrap();
        for (text, threshold) in [
            ("3", 3),
            ("3.0", 3),
            ("2.5", 3),
            ("0", 1),
            ("-7", 1),
            ("-1e999", 1),
            ("true", 1),
            ("false", 1),
            ("1e999", u32::MAX),
            ("99999999999999999999", u32::MAX),
        ] {
            assert_eq!(number(text).threshold(), threshold, "{text}");
        }
        for (text, micros) in [
            ("0.4", 400_000),
            ("30", 30_000_000),
            ("1e-07", 1),
            ("1.5e-06", 2),
            ("0", 1),
            ("-5", 1),
            ("-1e999", 1),
            ("1e999", Config::MAX_TTL.as_micros() as u64),
            ("3e9", Config::MAX_TTL.as_micros() as u64),
            ("1e300", Config::MAX_TTL.as_micros() as u64),
        ] {
            assert_eq!(number(text).ttl(), Duration::from_micros(micros), "{text}");
        }
        assert_eq!(number("-5").time(), Timestamp::ORIGIN);
        assert_eq!(number("1e999").time(), Timestamp::MAX);
        assert_eq!(number("1e30").time(), Timestamp::MAX);
    }

    #[test]
    fn infinities_are_written_in_words() {
        let text = |json| Number::parse(json).unwrap().text;
        assert_eq!(text("1e999"), "Infinity");
        assert_eq!(text("-1e999"), "-Infinity");
        assert_eq!(text("3.00"), "3.00");
    }

    #[test]
    fn what_is_no_number_is_none() {
        for json in ["null", "\"3\"", "[]", "{}", "nan", "inf", "-inf", "infinity", ""] {
            assert_eq!(Number::parse(json), None, "{json}");
        }
    }
}
