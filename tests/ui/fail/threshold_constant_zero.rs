use purgatory::circuit_breaker;

const LIMIT: u32 = 0;

#[circuit_breaker("f", threshold = LIMIT)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
