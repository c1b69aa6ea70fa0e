//! Numbers and durations that are written out, checked by the rules of their setting.

use std::ops::RangeInclusive;
use std::time::Duration;

use quote::ToTokens;
use syn::{Expr, Lit, UnOp};

use super::value::unwrapped;
use crate::duration;

/// A literal, with its minus.
pub(super) struct Literal<'a> {
    lit: &'a Lit,
    negative: bool,
    /// As it is written.
    text: String,
}

impl<'a> Literal<'a> {
    /// The literal that `expr` is, if it is one.
    pub(super) fn of(expr: &'a Expr) -> Option<Self> {
        let (negative, expr) = match unwrapped(expr) {
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
                (true, unwrapped(&unary.expr))
            }
            expr => (false, expr),
        };
        let Expr::Lit(expr) = expr else { return None };
        let minus = if negative { "-" } else { "" };
        let text = format!("{minus}{}", expr.lit.to_token_stream());
        Some(Self { lit: &expr.lit, negative, text })
    }

    /// A whole number in `range`.
    pub(super) fn count(&self, key: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
        let Self { lit, negative, text } = self;
        let Lit::Int(int) = lit else {
            return Err(format!("{key} must be a whole number, such as `{key} = 5`, not {text}"));
        };
        if !matches!(int.suffix(), "" | "u32") {
            return Err(format!("{key} must be a `u32`, not {text}"));
        }
        let count = int.base10_parse().ok().filter(|count| range.contains(count) && !negative);
        let (min, max) = range.into_inner();
        count.ok_or_else(|| format!("{key} must be {min} to {max}, not {text}"))
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &str) -> Result<bool, String> {
        let Self { lit, negative, text } = self;
        match lit {
            Lit::Bool(flag) if !negative => Ok(flag.value),
            _ => Err(format!("{key} must be `true` or `false`, not {text}")),
        }
    }

    /// A duration as text, or a number of seconds.
    pub(super) fn time(&self, key: &str) -> Result<Duration, String> {
        let Self { lit, negative, text } = self;
        let time = match lit {
            Lit::Str(text) if text.suffix().is_empty() => duration::parse(&text.value()),
            Lit::Str(_) => Err("text has no suffix".to_owned()),
            Lit::Int(int) if int.suffix().is_empty() => whole_seconds(int.base10_digits()),
            Lit::Float(float) if float.suffix().is_empty() => seconds(float.base10_digits()),
            Lit::Int(_) | Lit::Float(_) => {
                Err("a number with a unit is written in quotes".to_owned())
            }
            _ => Err("it is neither text nor a number".to_owned()),
        };
        let time = time.map_err(|why| {
            format!(
                r#"{key} must be a duration, such as "30s", "1m 30s" or "250ms", not {text}: {why}"#
            )
        })?;
        if *negative || time.is_zero() || time > MAX_TIME {
            let max = MAX_TIME.as_secs();
            return Err(format!(
                "{key} must be more than zero and at most {max} seconds, not {text}"
            ));
        }
        Ok(time)
    }
}

fn whole_seconds(digits: &str) -> Result<Duration, String> {
    digits.parse().map(Duration::from_secs).map_err(|_| "it is too long".to_owned())
}

fn seconds(digits: &str) -> Result<Duration, String> {
    let seconds = digits.parse().map_err(|_| "it is not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "it is too long".to_owned())
}

const MAX_TIME: Duration = Duration::from_secs(i32::MAX as u64);
