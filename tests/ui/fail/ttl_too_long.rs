use purgatory::circuit_breaker;

#[circuit_breaker("f", ttl = 2_147_483_648)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
