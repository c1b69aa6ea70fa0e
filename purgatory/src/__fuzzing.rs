//! What the targets of `fuzz` check, and cannot reach. It is only in builds of cargo-fuzz.

/// Any bytes in a storage.
pub fn record(bytes: &[u8]) {
    crate::record::tests::fuzz::check(bytes);
}

/// Any values of the keys of the Python package.
pub fn json(bytes: &[u8]) {
    crate::storage::redis::python::tests::fuzz::check(bytes);
}
