//! With every warning denied and unsafe code forbidden.

#![deny(warnings, missing_docs)]
#![forbid(unsafe_code)]

use purgatory::circuit_breaker;

/// A client.
#[derive(Debug)]
pub struct Client;

impl Client {
    /// Fetches.
    ///
    /// # Errors
    ///
    /// Never.
    #[circuit_breaker("fetch", threshold = 3, ttl = "1m", exclude(e if e.kind() == std::io::ErrorKind::NotFound))]
    pub async fn fetch(&self, _id: u32, names: &[String], _: bool) -> std::io::Result<usize> {
        Ok(names.len())
    }
}

fn main() {
    drop(Client.fetch(1, &[], true));
}
