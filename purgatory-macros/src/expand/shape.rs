//! How a function comes to its value.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, Path, PathArguments, Result, ReturnType,
    Token, Type, TypeParamBound, braced, parenthesized, token,
};

use super::output::{Output, peeled};
use crate::item::{Block, Function};

/// Where the value of a call is made.
pub(super) enum Shape {
    /// In the call.
    Sync,
    /// In the future that the compiler makes of the function.
    Async,
    /// In the future that is returned, and which is all that the function makes.
    Lazy(Lazy),
    /// In the future that is returned, made by code that runs in the call.
    Eager { boxed: bool },
}

impl Shape {
    /// The shape of a function, and what a call of it comes to.
    ///
    /// A future is known by the spelling of the return type: there is nothing else to go by.
    pub(super) fn of(function: &Function) -> (Self, Output) {
        let written = Output::of(&function.sig);
        if function.sig.asyncness.is_some() {
            return (Self::Async, written);
        }
        let ReturnType::Type(_, ty) = &function.sig.output else { return (Self::Sync, written) };
        let (output, boxed) = match (future(ty), boxed_future(ty)) {
            (Some(output), _) => (output, false),
            (None, Some(output)) => (output, true),
            (None, None) => return (Self::Sync, written),
        };
        let shape = match syn::parse2(function.body.tokens.clone()) {
            Ok(block) => Self::Lazy(block),
            Err(_) => Self::Eager { boxed },
        };
        (shape, Output::of_type(output))
    }
}

/// A body that is nothing but `async move { .. }` or `Box::pin(async move { .. })`.
pub(super) struct Lazy {
    boxed: Option<(Path, token::Paren)>,
    asyncness: Token![async],
    pub(super) capture: Option<Token![move]>,
    pub(super) block: Block,
}

impl Lazy {
    /// The same around another body, which captures in its own way.
    pub(super) fn with_body(
        &self,
        capture: &Option<TokenStream>,
        body: &TokenStream,
    ) -> TokenStream {
        let Self { boxed, asyncness, block, .. } = self;
        let mut future = quote!(#asyncness #capture);
        block.brace.surround(&mut future, |tokens| body.to_tokens(tokens));
        let Some((path, paren)) = boxed else { return future };
        let mut call = path.to_token_stream();
        paren.surround(&mut call, |tokens| future.to_tokens(tokens));
        call
    }

    fn future(input: ParseStream<'_>, boxed: Option<(Path, token::Paren)>) -> Result<Self> {
        let content;
        Ok(Self {
            boxed,
            asyncness: input.parse()?,
            capture: input.parse()?,
            block: Block { brace: braced!(content in input), tokens: content.parse()? },
        })
    }
}

impl Parse for Lazy {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.peek(Token![async]) {
            return Self::future(input, None);
        }
        let path: Path = input.call(Path::parse_mod_style)?;
        let mut names = path.segments.iter().rev().map(|segment| &segment.ident);
        if !(names.next().is_some_and(|name| name == "pin")
            && names.next().is_some_and(|name| name == "Box"))
        {
            return Err(input.error("expected `Box::pin`"));
        }
        let content;
        let paren = parenthesized!(content in input);
        let lazy = Self::future(&content, Some((path, paren)))?;
        content.parse::<Option<Token![,]>>()?;
        if content.is_empty() { Ok(lazy) } else { Err(content.error("expected nothing more")) }
    }
}

/// `T` of `Pin<Box<dyn Future<Output = T>>>`.
fn boxed_future(ty: &Type) -> Option<&Type> {
    future(only_argument(only_argument(ty, "Pin")?, "Box")?)
}

/// `T` of `impl Future<Output = T>` and `dyn Future<Output = T>`.
fn future(ty: &Type) -> Option<&Type> {
    let bounds = match peeled(ty) {
        Type::ImplTrait(ty) => &ty.bounds,
        Type::TraitObject(ty) => &ty.bounds,
        _ => return None,
    };
    bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => {
            arguments(&bound.path, "Future")?.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
                _ => None,
            })
        }
        _ => None,
    })
}

/// `T` of `Name<T>`.
fn only_argument<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::Path(ty) = peeled(ty) else { return None };
    match arguments(&ty.path, name)?.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

/// What stands between the angle brackets of `Name<..>`.
fn arguments<'a>(path: &'a Path, name: &str) -> Option<&'a Punctuated<GenericArgument, Token![,]>> {
    let segment = path.segments.last().filter(|segment| segment.ident == name)?;
    match &segment.arguments {
        PathArguments::AngleBracketed(AngleBracketedGenericArguments { args, .. }) => Some(args),
        _ => None,
    }
}
