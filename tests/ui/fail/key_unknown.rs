use purgatory::circuit_breaker;

#[circuit_breaker("f", retries = 5)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
