use purgatory::circuit_breaker;

#[circuit_breaker("f", threshold = "5")]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}

#[circuit_breaker("g", threshold = 5.0)]
fn g() {}

#[circuit_breaker("h", threshold = 5u64)]
fn h() {}
