use purgatory::circuit_breaker;

const SECONDS: u64 = 30;

#[circuit_breaker("f", ttl = SECONDS)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
