//! The function that the attribute is on.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Result, Signature, Token, Visibility, braced, token};

/// A function whose body is not parsed: what is wrong in it, rustc says better.
pub(crate) struct Function {
    attrs: Vec<Attribute>,
    vis: Visibility,
    pub(crate) sig: Signature,
    inner_attrs: Vec<Attribute>,
    pub(crate) body: Block,
}

/// Tokens in braces.
pub(crate) struct Block {
    pub(crate) brace: token::Brace,
    pub(crate) tokens: TokenStream,
}

impl Function {
    /// The function with another body.
    ///
    /// The braces are the old ones: rustc takes a function whose braces come from a macro for
    /// generated code, and does not say that it is never used.
    pub(crate) fn with_body(&self, body: &TokenStream) -> TokenStream {
        let Self { attrs, vis, sig, inner_attrs, .. } = self;
        let mut tokens = quote!(#(#attrs)* #vis #sig);
        self.body.brace.surround(&mut tokens, |tokens| {
            tokens.extend(quote!(#(#inner_attrs)*));
            body.to_tokens(tokens);
        });
        tokens
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let start = input.fork();
        let sig: Signature =
            input.parse().map_err(|error| not_a_function(&start).unwrap_or(error))?;
        if let Some(token) = sig.constness {
            let message = "a `const fn` cannot be guarded: it may run in the compiler, where \
                           there are no circuits";
            return Err(Error::new(token.span, message));
        }
        if input.peek(Token![;]) {
            let message = "expected a body: put `#[circuit_breaker]` on the functions that \
                           implement this one or, if it is foreign, on one that calls it";
            return Err(Error::new(sig.ident.span(), message));
        }
        let content;
        let brace = braced!(content in input);
        let inner_attrs = content.call(Attribute::parse_inner)?;
        let body = Block { brace, tokens: content.parse()? };
        Ok(Self { attrs, vis, sig, inner_attrs, body })
    }
}

/// The error for another kind of item, if `input` starts one.
fn not_a_function(input: ParseStream<'_>) -> Option<Error> {
    let keyword =
        std::iter::from_fn(|| input.parse::<TokenTree>().ok()).find_map(|token| match token {
            TokenTree::Ident(ident) if ident == "fn" || ITEMS.iter().any(|item| ident == item) => {
                Some(ident)
            }
            _ => None,
        })?;
    let message = match keyword.to_string().as_str() {
        "fn" => return None,
        "impl" | "trait" | "mod" => {
            format!("`#[circuit_breaker]` goes on the functions in this `{keyword}`, not on itself")
        }
        _ => format!("`#[circuit_breaker]` goes on a function, not on this `{keyword}`"),
    };
    Some(Error::new(keyword.span(), message))
}

const ITEMS: [&str; 9] =
    ["struct", "enum", "union", "impl", "trait", "mod", "static", "type", "use"];

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(item: &str) -> String {
        syn::parse_str::<Function>(item).err().expect("it is no function to guard").to_string()
    }

    #[test]
    fn another_item_is_named() {
        for (keyword, item) in [
            ("struct", "#[derive(Debug)] pub struct S;"),
            ("enum", "pub(crate) enum E {}"),
            ("static", "static mut fns: u8 = 0;"),
            ("type", "type F = fn();"),
        ] {
            let expected =
                format!("`#[circuit_breaker]` goes on a function, not on this `{keyword}`");
            assert_eq!(mistake(item), expected);
        }
        for (keyword, item) in [
            ("impl", "unsafe impl S { fn f() {} }"),
            ("trait", "pub unsafe trait T { fn f(); }"),
            ("mod", "mod m { fn f() {} }"),
        ] {
            let expected = format!(
                "`#[circuit_breaker]` goes on the functions in this `{keyword}`, not on itself"
            );
            assert_eq!(mistake(item), expected);
        }
    }

    #[test]
    fn a_broken_function_is_said_to_be_broken() {
        for item in ["fn f(n: ) {}", "async fn f(n: ) -> impl A {}", "pub unsafe fn (mod m: M) {}"]
        {
            assert!(!mistake(item).contains("circuit_breaker"), "{item}");
        }
    }

    #[test]
    fn a_function_needs_a_body_that_runs_at_run_time() {
        assert!(mistake("fn f(&self);").starts_with("expected a body: "));
        assert!(mistake("const fn f() {}").starts_with("a `const fn` cannot be guarded: "));
    }
}
