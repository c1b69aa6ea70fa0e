use purgatory::circuit_breaker;

#[circuit_breaker("f", ttl = "30s 1m")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
