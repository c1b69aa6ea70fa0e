#![cfg_attr(fuzzing, allow(dead_code))]

pub(crate) mod fuzz;

use super::*;

/// The shortest text for a duration, one number for each unit that it needs.
fn print(duration: Duration) -> String {
    let mut nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let mut parts = Vec::new();
    for (name, unit) in UNITS {
        if nanos >= unit {
            parts.push(format!("{}{name}", nanos / unit));
            nanos %= unit;
        }
    }
    parts.join(" ")
}

fn error(text: &str) -> String {
    parse(text).expect_err("it is no duration")
}

#[test]
fn each_unit_has_its_length() {
    let lengths = ["1d", "1h", "1m", "1s", "1ms", "1us", "1ns"].map(|text| parse(text).unwrap());
    let [d, h, m, s, ms, us, ns] = lengths;
    assert_eq!(s, Duration::from_secs(1));
    assert_eq!((d, h, m), (24 * h, 60 * m, 60 * s));
    assert_eq!((s, ms, us), (1000 * ms, 1000 * us, 1000 * ns));
}

#[test]
fn parts_add_up_with_and_without_spaces() {
    let expected = Ok(Duration::from_millis(5_405_250));
    assert_eq!(parse("1h 30m 5s 250ms"), expected);
    assert_eq!(parse("1h30m5s250ms"), expected);
    assert_eq!(parse(" 1h   30m5s 250ms "), expected);
}

#[test]
fn decimals_are_exact() {
    assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
    assert_eq!(parse("0.000000001s"), Ok(Duration::from_nanos(1)));
    assert_eq!(parse("1.10s"), Ok(Duration::from_millis(1100)));
    assert_eq!(parse("1.234s"), Ok(Duration::from_millis(1234)));
    assert_eq!(parse("0.1d"), Ok(Duration::from_secs(8640)));
    assert_eq!(parse("1.000000000000000000000000s"), Ok(Duration::from_secs(1)));
}

#[test]
fn what_is_finer_than_a_nanosecond_is_an_error() {
    assert_eq!(error("1.5ns"), "1.5ns is finer than a nanosecond");
    assert_eq!(error("0.0000000001s"), "0.0000000001s is finer than a nanosecond");
    let tiny = format!("0.{}1s", "0".repeat(100));
    assert_eq!(error(&tiny), format!("{tiny} is finer than a nanosecond"));
}

#[test]
fn a_number_needs_a_unit() {
    let units = "expected one of d, h, m, s, ms, us, ns";
    assert_eq!(error("30"), format!("30 has no unit, {units}"));
    assert_eq!(error("1m 30"), format!("30 has no unit, {units}"));
    assert_eq!(error("30 s"), format!("30 has no unit, {units}"));
    assert_eq!(error("30 sec"), format!("30 has no unit, {units}"));
    assert_eq!(error("30sec"), format!("there is no unit sec, {units}"));
    assert_eq!(error("30S"), format!("there is no unit S, {units}"));
    assert_eq!(error("30µs"), format!("there is no unit µs, {units}"));
}

#[test]
fn a_unit_needs_a_number() {
    assert_eq!(error("s"), r#"a number is missing before "s""#);
    assert_eq!(error("-5s"), r#"a number is missing before "-5s""#);
    assert_eq!(error("1m, 30s"), r#"a number is missing before ", 30s""#);
    for text in [".5s", "5.s", "1.2.3s", "..s"] {
        assert_eq!(error(text), format!("{text} is not a number"));
    }
}

#[test]
fn units_come_in_order_and_once() {
    let rule = "units go from long to short, each once at most";
    assert_eq!(error("30s 1m"), format!("{rule}, and m comes too late"));
    assert_eq!(error("1s 2s"), format!("{rule}, and s comes too late"));
    assert_eq!(error("1h 5s 2m"), format!("{rule}, and m comes too late"));
}

#[test]
fn nothing_is_no_duration() {
    assert_eq!(error(""), "it is empty");
    assert_eq!(error("   "), "it is empty");
}

#[test]
fn overflow_is_an_error() {
    assert_eq!(error("18446744073709551616s"), "18446744073709551616s is too long");
    assert_eq!(error("18446744073709551615d"), "it is too long");
    assert_eq!(parse("18446744073709551615s"), Ok(Duration::from_secs(u64::MAX)));
}

#[test]
fn what_is_printed_is_read_back() {
    let powers = (0..91).map(|shift| 0x0123_4567_89ab_cdef_u128 << shift >> 60);
    for nanos in powers {
        let duration = Duration::new((nanos / SECOND) as u64, (nanos % SECOND) as u32);
        assert_eq!(parse(&print(duration)), Ok(duration));
    }
}
