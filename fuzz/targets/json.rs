//! Any values of the keys that are shared with Python.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| purgatory::__fuzzing::json(bytes));
