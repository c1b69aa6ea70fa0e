//! Functions whose value is made in a future.

use proc_macro2::TokenStream;
use quote::quote_spanned;
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
        self.awaiting(&self.breaker(&self.args.name), &hygienic!(async move #body))
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
        let breaker = self.breaker(&self.args.name);
        let awaiting = self.awaiting(&breaker, &hygienic!(async #capture #body));
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
    //         <early>
    //         let future = call(move || <body>);
    //         Box::pin(async move {
    //             <hint>
    //             <admit>
    //             <verdict on guard_after(pause, &mut permit, future).await>
    //         })
    //     }
    //
    // The first line is there if the name or the factory is an expression: the body may take what it
    // is made of, and it must not make the future borrow.
    pub(super) fn eager_future(&self, function: &Function, boxed: bool) -> TokenStream {
        let private = self.private();
        let mentions = self.arguments.mentions(&function.body.tokens);
        let body = self.body(&Output::of(&function.sig), &function.body, &mentions);
        let (early, breaker) = self.early_breaker();
        let hint = self.hint(&self.output, &TokenStream::new());
        let awaiting = self.awaiting(&breaker, &hygienic!(future));
        let mut guarded = hygienic!(async move { #hint #awaiting });
        if boxed {
            guarded = hygienic!(#private::std::boxed::Box::pin(#guarded));
        }
        hygienic! {
            #early
            let future = #private::call(move || #body);
            #guarded
        }
    }

    /// What of the look-up comes before the body, and the breaker with that.
    //
    // Output, of a factory that is given:
    //     let breaker = <breaker>;
    //
    // Output, for the global one, which is that of the scope in which the future is polled:
    //     let name = String::from(AsRef::<str>::as_ref(&(name)));
    fn early_breaker(&self) -> (Option<TokenStream>, TokenStream) {
        let private = self.private();
        match (&self.args.name, &self.args.factory) {
            (name, Some(_)) => {
                let breaker = self.breaker(name);
                (Some(hygienic!(let breaker = #breaker;)), hygienic!(breaker))
            }
            (Some(Name::Expr(name)), None) => {
                let span = generated(name.span());
                let at_name = self.private_at(span);
                let text = quote_spanned! {span=>
                    #at_name::core::convert::AsRef::<#at_name::core::primitive::str>::as_ref(&(#name))
                };
                let early = hygienic!(let name = #private::std::string::String::from(#text););
                (Some(early), self.breaker(&hygienic!(name)))
            }
            (name, None) => (None, self.breaker(name)),
        }
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
    fn awaiting(&self, breaker: &TokenStream, future: &TokenStream) -> TokenStream {
        let private = self.private();
        let cancel_fails = matches!(self.args.on_cancel, Some((OnCancel::Failure, _)))
            .then(|| hygienic!(#private::cancel_fails(&mut permit);));
        let admit = self.admit(breaker);
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
