//! What stands in the parentheses of the attribute.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Expr, LitStr, Path, Result, Token, token};

use crate::errors::Errors;

mod key;
mod literal;
mod matcher;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use self::matcher::Matcher;
pub(crate) use self::value::Setting;

/// The arguments of one attribute. What was wrong with them is left out.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) name: Option<Name>,
    /// The arguments of the setters of `Config` that are to be called.
    pub(crate) settings: Vec<(Setting, Ident)>,
    /// The errors that are not failures, in the order written.
    pub(crate) exempt: Vec<(Exempt, Matcher)>,
    pub(crate) failure_if: Option<Matcher>,
    pub(crate) fallback: Option<Expr>,
    pub(crate) factory: Option<Expr>,
    pub(crate) on_cancel: Option<(OnCancel, Ident)>,
    pub(crate) krate: Option<Path>,
}

/// The name of the circuit.
pub(crate) enum Name {
    /// The same for every call.
    Literal(LitStr),
    /// Evaluated for each call.
    Expr(Expr),
}

impl ToTokens for Name {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(name) => name.to_tokens(tokens),
            Self::Expr(name) => name.to_tokens(tokens),
        }
    }
}

/// What an error that is no failure counts as.
pub(crate) enum Exempt {
    /// A success.
    Exclude,
    /// Neither a success nor a failure.
    Ignore,
}

/// What a cancelled call counts as.
pub(crate) enum OnCancel {
    Failure,
    Neutral,
}

impl Args {
    /// Reads all arguments, past the mistakes, which go to `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut args = Self::default();
        let mut given = Vec::new();
        let all = |input: ParseStream<'_>| -> Result<()> {
            while !input.is_empty() {
                let result = args.argument(input, &mut given).and_then(|()| end_of_argument(input));
                if let Err(error) = result {
                    errors.push(error);
                    skip_argument(input)?;
                }
            }
            Ok(())
        };
        let result = all.parse2(tokens);
        errors.keep(result);
        if !given.iter().any(|key| key == "name") {
            let message = "the name is missing, expected `#[circuit_breaker(\"name\", ..)]`";
            errors.push(Error::new(Span::call_site(), message));
        }
        args
    }

    fn argument(&mut self, input: ParseStream<'_>, given: &mut Vec<String>) -> Result<()> {
        if given.is_empty() && !at_key(input) {
            given.push("name".to_owned());
            self.name = Some(value::name(input.parse()?)?);
            return Ok(());
        }
        if !input.peek(Ident::peek_any) {
            let message = "expected `key = value`: only the name, which comes first, has no key";
            return Err(input.error(message));
        }
        let key = input.call(Ident::parse_any)?;
        let text = key.to_string();
        if !key::KEYS.contains(&&*text) {
            given.push(text);
            return Err(key::unknown(&key));
        }
        if given.contains(&text) {
            return Err(Error::new(key.span(), format!("`{text}` is given twice")));
        }
        given.push(text.clone());
        self.keyed(key, &text, input)
    }

    fn keyed(&mut self, key: Ident, text: &str, input: ParseStream<'_>) -> Result<()> {
        match text {
            "exclude" => self.exempt.push((Exempt::Exclude, matcher::parse(&key, input)?)),
            "ignore" => self.exempt.push((Exempt::Ignore, matcher::parse(&key, input)?)),
            "failure_if" => self.failure_if = Some(matcher::parse(&key, input)?),
            "crate" => self.krate = Some(value::path(&key, input)?),
            "on_cancel" => self.on_cancel = Some((value::on_cancel(&key, input)?, key)),
            "name" => self.name = Some(value::name(value::expr(&key, input)?)?),
            "fallback" => self.fallback = Some(value::expr(&key, input)?),
            "factory" => self.factory = Some(value::expr(&key, input)?),
            _ => self.settings.push((value::setting(text, value::expr(&key, input)?)?, key)),
        }
        Ok(())
    }
}

/// Whether a key comes next: `key = ..`, or a key of ours in any form.
fn at_key(input: ParseStream<'_>) -> bool {
    let Ok(ident) = input.fork().call(Ident::parse_any) else { return false };
    let assigned = input.peek2(Token![=]) && !input.peek2(Token![==]);
    let listed = input.peek2(token::Paren) && key::KEYS.iter().any(|key| ident == key);
    assigned || listed
}

fn end_of_argument(input: ParseStream<'_>) -> Result<()> {
    if input.is_empty() { Ok(()) } else { input.parse::<Token![,]>().map(drop) }
}

/// Goes to where the next argument starts.
fn skip_argument(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    end_of_argument(input)
}
