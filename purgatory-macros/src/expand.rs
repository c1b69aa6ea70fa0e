//! The expansion: the decision before the body, and the verdict after it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Error, Expr, token};

use crate::args::Args;
use crate::errors::Errors;
use crate::item::{Block, Function};

/// `quote!` with variables that the user neither sees nor shadows.
macro_rules! hygienic {
    ($($tokens:tt)*) => { quote::quote_spanned!(proc_macro2::Span::mixed_site()=> $($tokens)*) };
}

mod admit;
mod arguments;
mod future;
mod output;
mod shape;
#[cfg(any(test, fuzzing))]
pub(crate) mod tests;
mod verdict;

use self::arguments::Arguments;
use self::output::Output;
use self::shape::Shape;

/// The guarded function, or the mistakes and the function as it is.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let args = Args::parse(args, &mut errors);
    let function = errors.keep(syn::parse2::<Function>(item.clone()));
    let guarded = function.map(|function| guarded(&args, function, &mut errors));
    match errors.into_compile_errors() {
        Some(mistakes) => quote!(#mistakes #item),
        None => guarded.unwrap_or(item),
    }
}

fn guarded(args: &Args, mut function: Function, errors: &mut Errors) -> TokenStream {
    let (shape, output) = Shape::of(&function);
    check(args, &shape, &output, &function, errors);
    let handed_on = matches!(args.fallback, Some(Expr::Path(_)));
    let arguments = Arguments::of(&mut function.sig, handed_on, errors);
    let site = Site { args, arguments, output, is_async: !matches!(shape, Shape::Sync) };
    let body = match &shape {
        Shape::Sync => site.sync_fn(&function),
        Shape::Async => site.async_fn(&function),
        Shape::Lazy(block) => site.lazy_future(block),
        Shape::Eager { boxed } => site.eager_future(&function, *boxed),
    };
    function.with_body(&body)
}

/// Finds arguments of the attribute that do not go with the function.
fn check(args: &Args, shape: &Shape, output: &Output, function: &Function, errors: &mut Errors) {
    if output.never {
        let exempt = args.exempt.iter().map(|(_, matcher)| matcher);
        for matcher in args.failure_if.iter().chain(exempt) {
            let message = "there is never a value to judge: the function does not return";
            errors.push(Error::new(matcher.span(), message));
        }
    }
    match (shape, &args.on_cancel, &args.fallback) {
        (Shape::Sync, Some((_, key)), _) => {
            let message = "only a future can be cancelled: `on_cancel` is for an `async fn`, and \
                           for a return type that is written `impl Future<..>` or \
                           `Pin<Box<dyn Future<..>>>`";
            errors.push(Error::new(key.span(), message));
        }
        (Shape::Eager { .. }, _, Some(Expr::Path(path))) if !function.sig.inputs.is_empty() => {
            let message = "the arguments are gone when the fallback is called: make the whole \
                           body one `async move { .. }`, in `Box::pin` or not, or give an \
                           expression without them";
            errors.push(Error::new_spanned(path, message));
        }
        _ => {}
    }
}

/// One annotated function.
struct Site<'a> {
    args: &'a Args,
    arguments: Arguments,
    /// What the call comes to: of a function that returns a future, the future's output.
    output: Output,
    /// Whether the decision is taken in a future.
    is_async: bool,
}

impl Site<'_> {
    // Input:
    //     fn f(a: A, b: B) -> Ret { body }
    //
    // Output:
    //     fn f(a: A, b: B) -> Ret {
    //         <admit>
    //         <verdict on run(&mut permit, move || <body>)>
    //     }
    fn sync_fn(&self, function: &Function) -> TokenStream {
        let private = self.private();
        let admit = self.admit(&self.breaker(&self.args.name));
        let mentions = self.arguments.mentions(&function.body.tokens);
        let body = self.body(&self.output, &function.body, &mentions);
        let verdict = self.verdict(hygienic!(#private::run(&mut permit, move || #body)));
        hygienic! {
            #admit
            #verdict
        }
    }

    // Output:
    //     {
    //         <hint>
    //         ({ body })
    //     }
    //
    // The body has a block of its own: its `use` declarations are not for the hint. It is of the user's
    // edition, which says when the temporaries of the last expression are dropped. Without the
    // parentheses rustc calls the braces needless.
    fn body(&self, output: &Output, body: &Block, mentions: &TokenStream) -> TokenStream {
        let hint = self.hint(output, mentions);
        // At the end, where rustc then says that a value is missing. In the place of the old ones it
        // says so behind the `||`.
        let brace = token::Brace(body.brace.span.close());
        let mut block = TokenStream::new();
        brace.surround(&mut block, |tokens| body.tokens.to_tokens(tokens));
        hygienic!({ #hint (#block) })
    }

    // Output:
    //     if let Some(ret) = None::<Ret> {
    //         return ret;
    //         let _ = &b;
    //         let _ = &a;
    //     }
    //
    // None of this happens. The `return` gives the closure or async block around it its type, so
    // that every value in it is coerced. The mentions make it take the arguments in the order in
    // which they are to be dropped; behind the `return` they are no use that keeps a lint quiet.
    fn hint(&self, output: &Output, mentions: &TokenStream) -> TokenStream {
        let private = self.private();
        let option = hygienic!(#private::core::option::Option);
        let ty = &output.ty;
        let give_type = quote_spanned!(output.start=> return ret;);
        let allow = (!mentions.is_empty())
            .then(|| hygienic!(#[allow(unreachable_code, clippy::used_underscore_binding)]));
        hygienic! {
            #allow
            if let #option::Some(ret) = #option::None::<#ty> {
                #give_type
                #mentions
            }
        }
    }

    /// The path of what expansions use of the runtime.
    fn private(&self) -> TokenStream {
        match &self.args.krate {
            None => hygienic!(::purgatory::__private),
            Some(path) => hygienic!(#path::__private),
        }
    }

    /// The same, for what is reported at `span`.
    fn private_at(&self, span: Span) -> TokenStream {
        let locate = |mut token: TokenTree| {
            token.set_span(token.span().located_at(span));
            token
        };
        self.private().into_iter().map(locate).collect()
    }
}

/// A span at the same place, for what the macro adds.
fn generated(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}
