//! Functions whose value is made in a future.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

use super::output::Output;
use super::shape::Lazy;
use super::{Site, generated};
use crate::args::{Args, Name, OnCancel};
use crate::item::Function;

impl Site<'_> {
    // Input:
    //     async fn f(a: A, b: B) -> Ret { body }
    //
    // Output:
    //     async fn f(a: A, b: B) -> Ret {
    //         <admit>
    //         <verdict on guard_after(pause, &mut permit, async move <body>).await>
    //     }
    pub(super) fn async_fn(&self, function: &Function) -> TokenStream {
        let mentions = self.arguments.mentions(&function.body.tokens);
        let body = self.body(&self.output, &function.body, &mentions);
        self.awaiting(&self.args.name, &hygienic!(async move #body))
    }

    // Input:
    //     fn f(a: A, b: B) -> Pin<Box<dyn Future<Output = Ret>>> {
    //         Box::pin(async move { body })
    //     }
    //
    // Output:
    //     fn f(a: A, b: B) -> Pin<Box<dyn Future<Output = Ret>>> {
    //         Box::pin(async move {
    //             <hint>
    //             <admit>
    //             <verdict on guard_after(pause, &mut permit, async move <body>).await>
    //         })
    //     }
    pub(super) fn lazy_future(&self, lazy: &Lazy) -> TokenStream {
        let hint = self.hint(&self.output, &TokenStream::new());
        let capture = &lazy.capture;
        let body = self.body(&self.output, &lazy.block, &TokenStream::new());
        let awaiting = self.awaiting(&self.args.name, &hygienic!(async #capture #body));
        let outer_capture = (capture.is_some() || self.evaluates()).then(|| hygienic!(move));
        lazy.with_body(&outer_capture, &hygienic!(#hint #awaiting))
    }

    /// Whether the decision evaluates expressions, which may use arguments that the body leaves alone:
    /// the future has to take them. If not, it takes no more than the body asks for.
    fn evaluates(&self) -> bool {
        let Args { name, factory, fallback, .. } = self.args;
        matches!(name, Some(Name::Expr(_))) || factory.is_some() || fallback.is_some()
    }

    // Input:
    //     fn f(a: A, b: B) -> Pin<Box<dyn Future<Output = Ret>>> { body }
    //
    // Output:
    //     fn f(a: A, b: B) -> Pin<Box<dyn Future<Output = Ret>>> {
    //         <owned name>
    //         let future = call(move || <body>);
    //         Box::pin(async move {
    //             <hint>
    //             <admit>
    //             <verdict on guard_after(pause, &mut permit, future).await>
    //         })
    //     }
    //
    // The first line is there if the name is an expression, which may borrow from the arguments: it
    // must not make the future borrow.
    pub(super) fn eager_future(&self, function: &Function, boxed: bool) -> TokenStream {
        let private = self.private();
        let mentions = self.arguments.mentions(&function.body.tokens);
        let body = self.body(&Output::of(&function.sig), &function.body, &mentions);
        let (let_name, name) = match &self.args.name {
            Some(Name::Expr(name)) => (Some(self.owned_name(name)), hygienic!(name)),
            name => (None, name.to_token_stream()),
        };
        let hint = self.hint(&self.output, &TokenStream::new());
        let awaiting = self.awaiting(&name, &hygienic!(future));
        let mut guarded = hygienic!(async move { #hint #awaiting });
        if boxed {
            guarded = hygienic!(#private::std::boxed::Box::pin(#guarded));
        }
        hygienic! {
            #let_name
            let future = #private::call(move || #body);
            #guarded
        }
    }

    // Output:
    //     let name = String::from(AsRef::<str>::as_ref(&(name)));
    fn owned_name(&self, name: &Expr) -> TokenStream {
        let span = generated(name.span());
        let private = self.private_at(span);
        let text = quote_spanned! {span=>
            #private::core::convert::AsRef::<#private::core::primitive::str>::as_ref(&(#name))
        };
        hygienic!(let name = #private::std::string::String::from(#text);)
    }

    // Output:
    //     <admit>
    //     <verdict on match guard_after(pause, &mut permit, future).await {
    //         Ok(ret) => ret,
    //         Err(rejected) => return <rejected>,
    //     }>
    //
    // Output, with a fallback, which may need what the future would have taken:
    //     <admit>
    //     <verdict on guard(&mut permit, future).await>
    //
    // With `on_cancel = failure`, the verdict comes after
    //     cancel_fails(&mut permit);
    fn awaiting(&self, name: &impl ToTokens, future: &TokenStream) -> TokenStream {
        let private = self.private();
        let cancel_fails = matches!(self.args.on_cancel, Some((OnCancel::Failure, _)))
            .then(|| hygienic!(#private::cancel_fails(&mut permit);));
        let admit = self.admit(name);
        let guarded = if self.pauses() {
            let rejected = self.rejected();
            hygienic! {
                match #private::guard_after(pause, &mut permit, #future).await {
                    #private::core::result::Result::Ok(ret) => ret,
                    #private::core::result::Result::Err(rejected) => return #rejected,
                }
            }
        } else {
            hygienic!(#private::guard(&mut permit, #future).await)
        };
        let verdict = self.verdict(guarded);
        hygienic! {
            #admit
            #cancel_fails
            #verdict
        }
    }
}
