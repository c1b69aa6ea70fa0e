//! The values of the arguments.

use std::time::Duration;

use proc_macro2::Ident;
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Error, Expr, Lit, Path, Result, Token};

use super::literal::Literal;
use super::{Name, OnCancel};

/// What a setter of `Config` is called with.
pub(crate) enum Setting {
    Count(u32),
    Time(Duration),
    Flag(bool),
    /// A constant expression, checked when the compiler evaluates it.
    Const(Expr),
}

/// `= expression`
pub(super) fn expr(key: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    if !input.peek(Token![=]) {
        return Err(Error::new(key.span(), format!("expected `{key} = ..`")));
    }
    input.parse::<Token![=]>()?;
    input.parse().map(peel)
}

/// `= path`
pub(super) fn path(key: &Ident, input: ParseStream<'_>) -> Result<Path> {
    match expr(key, input)? {
        Expr::Path(expr) if expr.qself.is_none() => Ok(expr.path),
        expr => Err(Error::new_spanned(
            expr,
            "expected a path, such as `crate = ::my_crate::purgatory`",
        )),
    }
}

/// `= failure` or `= neutral`
pub(super) fn on_cancel(key: &Ident, input: ParseStream<'_>) -> Result<OnCancel> {
    let value = expr(key, input)?;
    match value.to_token_stream().to_string().as_str() {
        "failure" => Ok(OnCancel::Failure),
        "neutral" => Ok(OnCancel::Neutral),
        _ => Err(Error::new_spanned(value, "expected `failure` or `neutral`")),
    }
}

/// The name of the circuit.
pub(super) fn name(expr: Expr) -> Result<Name> {
    let Expr::Lit(literal) = unwrapped(&expr) else { return Ok(Name::Expr(expr)) };
    let Lit::Str(name) = &literal.lit else {
        return Err(Error::new_spanned(literal, "expected the name of the circuit, a string"));
    };
    let text = name.value();
    let rule = if text.is_empty() || text.len() > MAX_NAME {
        format!("1 to {MAX_NAME} bytes, not {}", text.len())
    } else if let Some(c) = text.chars().find(|c| c.is_control()) {
        format!("without control characters, not with {c:?}")
    } else {
        return Ok(Name::Literal(name.clone()));
    };
    Err(Error::new(name.span(), format!("name must be {rule}")))
}

/// The value of the setting called `key`.
pub(super) fn setting(key: &str, expr: Expr) -> Result<Setting> {
    let Some(literal) = Literal::of(&expr) else { return Ok(Setting::Const(expr)) };
    match key {
        "ttl" | "probe_lease" => literal.time(key).map(Setting::Time),
        "shared" => literal.flag(key).map(Setting::Flag),
        "half_open_probes" => literal.count(key, 1..=1000).map(Setting::Count),
        _ => literal.count(key, 1..=u32::MAX).map(Setting::Count),
    }
    .map_err(|message| Error::new_spanned(&expr, message))
}

/// `expr` without the invisible group that a fragment of `macro_rules!` comes in.
fn peel(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => peel(*group.expr),
        expr => expr,
    }
}

/// `expr` without groups and parentheses.
pub(super) fn unwrapped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => unwrapped(&group.expr),
        Expr::Paren(paren) => unwrapped(&paren.expr),
        expr => expr,
    }
}

/// In bytes.
const MAX_NAME: usize = 255;
