//! Before the body: the permit, or the way out.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Expr;
use syn::spanned::Spanned;

use super::{Site, generated};
use crate::args::{Name, Setting};

impl Site<'_> {
    // Output:
    //     let breaker = <breaker>;
    //     let mut permit = match Breaker::acquire(&breaker) {
    //         Ok(permit) => permit,
    //         Err(rejected) => return <rejected>,
    //     };
    //     let (c, d) = __arg2;
    //
    // Output, in a future: it waits for its permit together with the body, or the arguments would be in
    // the future once more, for the time before it has one:
    //     let (mut permit, pause) = match Breaker::acquire_or_pause(&breaker) {
    //
    // Output, in a future with a fallback:
    //     let acquired = Breaker::acquire_async(&breaker).await;
    //     let mut permit = match acquired {
    pub(super) fn admit(&self, breaker: &TokenStream) -> TokenStream {
        let private = self.private();
        let rejected = self.rejected();
        let unpacked = &self.arguments.unpacked;
        // A fallback may diverge or be `()`. If it is a constant it needs braces: a path is called.
        let allow = self.args.fallback.is_some().then(|| {
            hygienic! {
                #[allow(unreachable_code, unused_braces)]
                #[allow(clippy::diverging_sub_expression, clippy::unused_unit)]
            }
        });
        let (wait, permit, acquired) = if self.pauses() {
            let acquired = hygienic!(#private::Breaker::acquire_or_pause(&breaker));
            (None, hygienic!((mut permit, pause)), acquired)
        } else if self.is_async {
            let wait = hygienic! {
                let acquired = #private::Breaker::acquire_async(&breaker).await;
            };
            (Some(wait), hygienic!(mut permit), hygienic!(acquired))
        } else {
            (None, hygienic!(mut permit), hygienic!(#private::Breaker::acquire(&breaker)))
        };
        hygienic! {
            let breaker = #breaker;
            #wait
            #allow
            let #permit = match #acquired {
                #private::core::result::Result::Ok(permit) => permit,
                #private::core::result::Result::Err(rejected) => return #rejected,
            };
            #unpacked
        }
    }

    /// Whether the body waits for the permit: in a future, unless a fallback needs what the body takes, or
    /// there is no way back once it has begun.
    pub(super) fn pauses(&self) -> bool {
        self.is_async && self.args.fallback.is_none() && !self.output.never
    }

    // Output, for a literal name:
    //     {
    //         static __PURGATORY_CALLSITE: Callsite = Callsite::new("name", <config>);
    //         Callsite::breaker(&__PURGATORY_CALLSITE)
    //     }
    //
    // Output, for any other, and with `factory`:
    //     {
    //         const __PURGATORY_CONFIG: Config = <config>;
    //         named(&(name), __PURGATORY_CONFIG)
    //     }
    //
    // The block is there because items have no hygiene: the body must not see them.
    pub(super) fn breaker(&self, name: &impl ToTokens) -> TokenStream {
        let private = self.private();
        let config = self.config();
        let breaker = match (&self.args.name, &self.args.factory) {
            (_, Some(factory)) => {
                let span = generated(factory.span());
                let private = self.private_at(span);
                quote_spanned!(span=> #private::from(&(#factory), &(#name), __PURGATORY_CONFIG))
            }
            (Some(Name::Expr(expr)), None) => {
                let span = generated(expr.span());
                let private = self.private_at(span);
                quote_spanned!(span=> #private::named(&(#name), __PURGATORY_CONFIG))
            }
            _ => {
                return hygienic! {{
                    static __PURGATORY_CALLSITE: #private::Callsite =
                        #private::Callsite::new(#name, #config);
                    #private::Callsite::breaker(&__PURGATORY_CALLSITE)
                }};
            }
        };
        hygienic! {{
            const __PURGATORY_CONFIG: #private::Config = #config;
            #breaker
        }}
    }

    // Output:
    //     Config::new().threshold(5u32).ttl(Duration::new(30u64, 0u32))
    //
    // Output, for a constant:
    //     checked(Config::new().threshold(LIMIT))
    fn config(&self) -> TokenStream {
        let private = self.private();
        let mut config = hygienic!(#private::Config::new());
        for (value, key) in &self.args.settings {
            let setter = Ident::new(&key.to_string(), generated(key.span()));
            config = match value {
                Setting::Count(count) => hygienic!(#config.#setter(#count)),
                Setting::Time(time) => {
                    let (secs, nanos) = (time.as_secs(), time.subsec_nanos());
                    hygienic!(#config.#setter(#private::core::time::Duration::new(#secs, #nanos)))
                }
                Setting::Flag(flag) => hygienic!(#config.#setter(#flag)),
                Setting::Const(expr) => {
                    let span = generated(expr.span());
                    let private = self.private_at(span);
                    quote_spanned!(span=> #private::checked(#config.#setter(#expr)))
                }
            };
        }
        config
    }

    // Output:
    //     reject(rejected)
    //
    // Output, with the path of a fallback:
    //     fallback(a, b, __arg2).await
    //
    // What else a fallback can be is its own output.
    pub(super) fn rejected(&self) -> TokenStream {
        match &self.args.fallback {
            None => {
                let private = self.private_at(self.output.start);
                quote_spanned!(self.output.end=> #private::reject(rejected))
            }
            Some(Expr::Path(path)) => {
                let span = generated(path.span());
                let arguments = &self.arguments.list;
                let dot_await = self.is_async.then(|| quote_spanned!(span=> .await));
                quote_spanned!(span=> #path(#(#arguments),*) #dot_await)
            }
            Some(expr) => expr.to_token_stream(),
        }
    }
}
