use purgatory::circuit_breaker;

#[circuit_breaker("f", ttl = "99999999999999999999h")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
