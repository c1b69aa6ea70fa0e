//! Any history of a circuit, against the model of the property tests.

#![no_main]

extern crate self as purgatory_tests;

#[path = "../../tests/log.rs"]
mod log;
#[path = "../../tests/properties/model.rs"]
mod model;
#[path = "../../tests/properties/pair.rs"]
#[allow(dead_code)] // The property tests look closer.
mod pair;
#[path = "../../tests/properties/script.rs"]
mod script;

pub use log::Log;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| script::check(bytes));
