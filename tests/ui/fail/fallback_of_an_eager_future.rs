use std::future::{Future, ready};

use purgatory::circuit_breaker;

#[circuit_breaker("eager", fallback = cached)]
fn eager(id: u32) -> impl Future<Output = Option<u32>> {
    ready(Some(id))
}

async fn cached(id: u32) -> Option<u32> {
    Some(id)
}

fn main() {
    drop((eager(1), cached(1)));
}
