//! Implementation detail of `purgatory`.

use proc_macro::TokenStream;

mod args;
mod duration;
mod errors;
mod expand;
mod item;
#[cfg(test)]
#[path = "../../fuzz/seeds.rs"]
mod seeds;

/// Puts a circuit breaker around a function, see `purgatory::circuit_breaker`.
#[proc_macro_attribute]
pub fn circuit_breaker(args: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(args.into(), item.into()).into()
}
