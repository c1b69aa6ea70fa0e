use purgatory::circuit_breaker;

#[circuit_breaker("f", half_open_probes = 1001)]
fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    f();
}
