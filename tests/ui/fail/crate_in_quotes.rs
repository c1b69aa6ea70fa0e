use purgatory::circuit_breaker;

#[circuit_breaker("f", crate = "purgatory")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
