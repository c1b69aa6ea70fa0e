use purgatory::circuit_breaker;

#[circuit_breaker("f", threshold = limit)]
fn f(limit: u32) -> Option<u32> {
    Some(limit)
}

fn main() {
    f(1);
}
