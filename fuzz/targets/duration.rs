//! Any text as a duration of the attribute.

#![no_main]

#[path = "../../purgatory-macros/src"]
mod macros {
    pub(crate) mod duration;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| macros::duration::tests::fuzz::check(bytes));
