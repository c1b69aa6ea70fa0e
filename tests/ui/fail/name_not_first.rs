use purgatory::circuit_breaker;

#[circuit_breaker(threshold = 5, "name")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
