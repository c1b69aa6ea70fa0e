use purgatory::circuit_breaker;

const DEFAULT: Option<u8> = None;

#[circuit_breaker("constant", fallback = DEFAULT)]
fn constant() -> Option<u8> {
    Some(1)
}

#[circuit_breaker("unknown", fallback = cached)]
fn unknown() -> Option<u8> {
    Some(1)
}

#[circuit_breaker("type", fallback = "none")]
fn of_another_type() -> Option<u8> {
    Some(1)
}

fn main() {
    drop((constant(), unknown(), of_another_type()));
}
