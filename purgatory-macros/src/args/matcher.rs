//! What `exclude`, `ignore` and `failure_if` are given.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Pat, Result, Token, parenthesized, token};

use super::value;

/// Which values are meant.
pub(crate) enum Matcher {
    /// `(PATTERN, PATTERN if guard)`
    Patterns(Vec<Arm>),
    /// `= |value| ..` or `= path`: called with a reference.
    Predicate(Expr),
}

impl Matcher {
    /// Where to report that values cannot be matched so.
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Patterns(arms) => {
                arms.first().map_or_else(Span::call_site, |arm| arm.pattern.span())
            }
            Self::Predicate(expr) => expr.span(),
        }
    }
}

/// The left side of a match arm.
pub(crate) struct Arm {
    pattern: Pat,
    guard: Option<(Token![if], Expr)>,
}

impl Parse for Arm {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        let guard = match input.parse()? {
            Some(token) => Some((token, input.parse()?)),
            None => None,
        };
        Ok(Self { pattern, guard })
    }
}

impl ToTokens for Arm {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.pattern.to_tokens(tokens);
        if let Some((token, guard)) = &self.guard {
            tokens.extend(quote!(#token #guard));
        }
    }
}

pub(super) fn parse(key: &Ident, input: ParseStream<'_>) -> Result<Matcher> {
    if !input.peek(token::Paren) {
        return value::expr(key, input).and_then(|expr| predicate(key, expr));
    }
    let content;
    let parens = parenthesized!(content in input);
    let arms = if content.is_empty() {
        let message = format!("expected a pattern, such as `{key}(Error::NotFound)`");
        Err(Error::new(parens.span.join(), message))
    } else {
        arms(key, &content)
    };
    // What is left behind a mistake would be another one.
    content.parse::<TokenStream>()?;
    arms.map(Matcher::Patterns)
}

fn arms(key: &Ident, input: ParseStream<'_>) -> Result<Vec<Arm>> {
    if starts_closure(input) {
        return Err(input.error(format!("a closure goes behind `=`: `{key} = |value| ..`")));
    }
    Ok(Punctuated::<Arm, Token![,]>::parse_terminated(input)?.into_iter().collect())
}

/// Whether a closure comes next, which may begin as a pattern does: `|e| gone(e)` but `| Gone | Moved(_)`.
fn starts_closure(input: ParseStream<'_>) -> bool {
    if !input.peek(Token![|]) {
        return input.peek(Token![||]) || input.peek(Token![move]);
    }
    let ahead = input.fork();
    let Ok(Pat::Or(pattern)) = Pat::parse_multi_with_leading_vert(&ahead) else { return true };
    let takes_anything = match pattern.cases.first() {
        Some(Pat::Ident(variable)) => !variable.ident.to_string().starts_with(char::is_uppercase),
        Some(Pat::Wild(_)) => true,
        _ => false,
    };
    takes_anything || !(ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(Token![if]))
}

fn predicate(key: &Ident, expr: Expr) -> Result<Matcher> {
    if matches!(expr, Expr::Lit(_)) {
        let message =
            format!("`{key}` takes a closure or the path of a fn; a pattern goes in `{key}(..)`");
        return Err(Error::new_spanned(expr, message));
    }
    Ok(Matcher::Predicate(expr))
}
