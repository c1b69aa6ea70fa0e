//! Any arguments of the attribute, on any item.

#![no_main]

use self::macros::{args, duration, errors, expand, item};

#[path = "../../purgatory-macros/src"]
mod macros {
    pub(crate) mod args;
    pub(crate) mod duration;
    pub(crate) mod errors;
    pub(crate) mod expand;
    pub(crate) mod item;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| expand::tests::fuzz::check(bytes));
