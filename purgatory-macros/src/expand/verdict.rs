//! After the body: what the value says of the call.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};

use super::{Site, generated};
use crate::args::{Exempt, Matcher};

impl Site<'_> {
    // Output:
    //     let ret = <call>;
    //     settle(permit, ret)
    //
    // Output, with `exclude` or `ignore`:
    //     settle_with(permit, ret, |error| match error { .. })
    //
    // Output, with `failure_if`:
    //     <judge>
    //     {
    //         use {KnownKind as _, OpaqueKind as _};
    //         (&Kind(&ret)).__purgatory_kind().settle(permit, ret)
    //     }
    //
    // Output, where there never is a value:
    //     <call>
    pub(super) fn verdict(&self, call: TokenStream) -> TokenStream {
        if self.output.never {
            return call;
        }
        let judge = self.args.failure_if.as_ref().map(|failures| self.judge(failures));
        let private = self.private_at(self.output.start);
        let settle = if !self.args.exempt.is_empty() {
            let decide = self.decide();
            quote_spanned!(self.output.end=> #private::settle_with(permit, ret, #decide))
        } else if judge.is_some() {
            hygienic! {{
                use #private::{KnownKind as _, OpaqueKind as _};
                (&#private::Kind(&ret)).__purgatory_kind().settle(permit, ret)
            }}
        } else {
            quote_spanned!(self.output.end=> #private::settle(permit, ret))
        };
        hygienic! {
            let ret = #call;
            #judge
            #settle
        }
    }

    // Output:
    //     let (permit, ret) = match judge(permit, ret, |ret| match ret { .. }) {
    //         Ok(undecided) => undecided,
    //         Err(ret) => return ret,
    //     };
    fn judge(&self, failures: &Matcher) -> TokenStream {
        let private = self.private();
        let span = generated(failures.span());
        let test = match failures {
            Matcher::Patterns(arms) => hygienic! {
                |ret| match ret { #(#arms => true,)* _ => false, }
            },
            Matcher::Predicate(expr) => expr.to_token_stream(),
        };
        let at_failures = self.private_at(span);
        let judged = quote_spanned!(span=> #at_failures::judge(permit, ret, #test));
        hygienic! {
            let (permit, ret) = match #judged {
                #private::core::result::Result::Ok(undecided) => undecided,
                #private::core::result::Result::Err(ret) => return ret,
            };
        }
    }

    // Output:
    //     |error| match error {
    //         PATTERN if guard => Some(Outcome::Success),
    //         error if Option::is_some_and(Some(error), predicate) => Some(Outcome::Ignored),
    //         _ => None,
    //     }
    fn decide(&self) -> TokenStream {
        let private = self.private();
        let option = hygienic!(#private::core::option::Option);
        let arms = self.args.exempt.iter().map(|(exempt, matcher)| {
            let outcome = match exempt {
                Exempt::Exclude => hygienic!(#option::Some(#private::Outcome::Success)),
                Exempt::Ignore => hygienic!(#option::Some(#private::Outcome::Ignored)),
            };
            match matcher {
                Matcher::Patterns(arms) => hygienic!(#(#arms => #outcome,)*),
                Matcher::Predicate(expr) => hygienic! {
                    error if #option::is_some_and(#option::Some(error), #expr) => #outcome,
                },
            }
        });
        hygienic!(|error| match error { #(#arms)* _ => #option::None, })
    }
}
