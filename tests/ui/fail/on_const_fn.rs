use purgatory::circuit_breaker;

#[circuit_breaker("const")]
pub const fn f() -> Option<u8> {
    Some(1)
}

const VALUE: Option<u8> = f();

fn main() {
    assert_eq!(VALUE, Some(1));
}
