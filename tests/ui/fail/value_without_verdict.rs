use std::future::Future;

use purgatory::circuit_breaker;

#[circuit_breaker("number")]
fn number() -> u8 {
    1
}

#[circuit_breaker("nothing")]
fn nothing() {}

#[circuit_breaker("later")]
fn later() -> impl Future<Output = (u8, u8)> {
    async move { (1, 2) }
}

fn main() {
    nothing();
    drop((number(), later()));
}
