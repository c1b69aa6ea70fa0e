use purgatory::circuit_breaker;

#[circuit_breaker("f", ttl = "0.5ns")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
