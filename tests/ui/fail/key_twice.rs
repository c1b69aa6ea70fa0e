use purgatory::circuit_breaker;

#[circuit_breaker("f", ttl = 5, threshold = 3, ttl = 6)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
