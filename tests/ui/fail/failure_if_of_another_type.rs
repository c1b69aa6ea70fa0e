use purgatory::circuit_breaker;

#[circuit_breaker("f", failure_if = |n: &u64| *n > 1)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
