//! What holds of any arguments on any item.

use proc_macro2::Delimiter;
use syn::{File, ItemFn};

use super::*;

/// The first line is what stands in the parentheses of the attribute, the rest is what the attribute is on.
pub(crate) fn check(bytes: &[u8]) {
    let Some((args, item)) = std::str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n'))
    else {
        return;
    };
    // The compiler calls no attribute on what is no tokens.
    let (Ok(args), Ok(item)) = (args.parse::<TokenStream>(), item.parse::<TokenStream>()) else {
        return;
    };
    if count(&args) + count(&item) > MOST {
        return;
    }
    let expanded = expand(args, item.clone());
    match after_mistakes(&expanded) {
        Some(rest) => assert_eq!(rest.to_string(), item.to_string(), "the item is left as it is"),
        None => is_guarded(&item, &expanded),
    }
}

/// More than these may be nested so deeply that syn has no stack for them.
const MOST: usize = 300;

fn count(tokens: &TokenStream) -> usize {
    let inside = |token| match token {
        TokenTree::Group(group) => count(&group.stream()),
        _ => 0,
    };
    tokens.clone().into_iter().map(|token| 1 + inside(token)).sum()
}

/// What is left behind the `::core::compile_error! { .. }` that it begins with, if it does.
fn after_mistakes(expanded: &TokenStream) -> Option<TokenStream> {
    let mut mistakes = 0;
    let mut rest = expanded.clone();
    loop {
        let mut tokens = rest.clone().into_iter();
        let mistake: TokenStream = tokens.by_ref().take(8).collect();
        if !mistake.to_string().starts_with(":: core :: compile_error ! {") {
            return (mistakes > 0).then_some(rest);
        }
        assert!(syn::parse2::<File>(mistake).is_ok(), "{expanded}");
        mistakes += 1;
        rest = tokens.collect();
    }
}

/// The body is there as it was and, if there was nothing amiss in it, the whole is a function.
fn is_guarded(item: &TokenStream, expanded: &TokenStream) {
    let body = last_body(item).expect("only what has a body is guarded").to_string();
    assert!(expanded.to_string().contains(&body), "{body} is not in {expanded}");
    if syn::parse2::<ItemFn>(item.clone()).is_ok() {
        let parsed = syn::parse2::<ItemFn>(expanded.clone());
        assert!(parsed.is_ok(), "{:?}: {expanded}", parsed.err());
    }
}

/// What is in the last braces but for attributes, or in those of its future if that is all it is.
fn last_body(tokens: &TokenStream) -> Option<TokenStream> {
    let Some(TokenTree::Group(group)) = tokens.clone().into_iter().last() else { return None };
    assert_eq!(group.delimiter(), Delimiter::Brace);
    let attributes = |input: syn::parse::ParseStream<'_>| {
        input.call(syn::Attribute::parse_inner)?;
        input.parse::<TokenStream>()
    };
    let body =
        syn::parse::Parser::parse2(attributes, group.stream()).expect("it was parsed before");
    match syn::parse2::<shape::Lazy>(body.clone()) {
        Ok(lazy) => Some(lazy.block.tokens),
        Err(_) => Some(body),
    }
}

#[test]
fn seeds_expand_to_guarded_functions_or_mistakes() {
    crate::seeds::replay("attr", check);
}
