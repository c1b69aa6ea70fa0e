use purgatory::circuit_breaker;

#[circuit_breaker("f", ttl = std::time::Duration::ZERO)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
