use purgatory::circuit_breaker;

#[circuit_breaker("a", name = "b")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
