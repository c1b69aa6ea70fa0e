//! The type of a value, as far as it can be written in a body.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{ReturnType, Signature, Type};

use super::generated;

/// The type that a call comes to.
pub(super) struct Output {
    /// With `_` for what has no name.
    pub(super) ty: TokenStream,
    /// Whether there is never a value.
    pub(super) never: bool,
    /// Where to report what the type lacks: from here
    pub(super) start: Span,
    /// to here. (Only a nightly compiler can join them.)
    pub(super) end: Span,
}

impl Output {
    /// What the signature says.
    pub(super) fn of(sig: &Signature) -> Self {
        match &sig.output {
            ReturnType::Type(_, ty) => Self::of_type(ty),
            ReturnType::Default => {
                let span = generated(sig.ident.span());
                Self { ty: hygienic!(()), never: false, start: span, end: span }
            }
        }
    }

    pub(super) fn of_type(ty: &Type) -> Self {
        let never = matches!(peeled(ty), Type::Never(_));
        let tokens = ty.to_token_stream();
        let spans = || tokens.clone().into_iter().map(|token| generated(token.span()));
        let start = spans().next().unwrap_or_else(Span::mixed_site);
        let end = spans().last().unwrap_or(start);
        let ty = if never { hygienic!(_) } else { nameable(tokens) };
        Self { ty, never, start, end }
    }
}

/// `ty` without parentheses and the invisible group that a fragment of `macro_rules!` comes in.
pub(super) fn peeled(ty: &Type) -> &Type {
    match ty {
        Type::Group(ty) => peeled(&ty.elem),
        Type::Paren(ty) => peeled(&ty.elem),
        ty => ty,
    }
}

/// Replaces each `impl Trait` by `_`.
fn nameable(tokens: TokenStream) -> TokenStream {
    let mut named = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "impl" => {
                named.extend(hygienic!(_));
                skip_bounds(&mut tokens);
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), nameable(group.stream()));
                inner.set_span(group.span());
                named.extend([TokenTree::Group(inner)]);
            }
            token => named.extend([token]),
        }
    }
    named
}

/// Goes to the `,`, `;` or `>` that ends the bounds of an `impl Trait`.
fn skip_bounds(tokens: &mut std::iter::Peekable<impl Iterator<Item = TokenTree>>) {
    let mut depth = 0;
    let mut before = ' ';
    while let Some(token) = tokens.peek() {
        let punct = match token {
            TokenTree::Punct(punct) => punct.as_char(),
            _ => ' ',
        };
        match (before, punct) {
            (_, ',' | ';') if depth == 0 => return,
            ('-', '>') => {}
            (_, '>') if depth == 0 => return,
            (_, '>') => depth -= 1,
            (_, '<') => depth += 1,
            _ => {}
        }
        before = punct;
        tokens.next();
    }
}
