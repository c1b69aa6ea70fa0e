//! Any bytes as a circuit of a storage.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| purgatory::__fuzzing::record(bytes));
