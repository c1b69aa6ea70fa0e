use purgatory::circuit_breaker;

#[circuit_breaker("f", threshold = 4_294_967_296)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
