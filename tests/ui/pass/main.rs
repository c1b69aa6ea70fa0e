//! `fn main` is a function like any other.

use std::error::Error;

use purgatory::circuit_breaker;

#[circuit_breaker("main")]
fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let text = "5";
    assert_eq!(text.parse::<u8>()?, 5);
    Ok(())
}
