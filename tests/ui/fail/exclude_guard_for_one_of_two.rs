use purgatory::circuit_breaker;

enum Err {
    A,
    B(u8),
}

impl From<purgatory::Rejected> for Err {
    fn from(_: purgatory::Rejected) -> Self {
        Self::A
    }
}

#[circuit_breaker("f", exclude(Err::A | Err::B(n) if *n > 1))]
fn f() -> Result<u8, Err> {
    Ok(1)
}

fn main() {
    let _ = f();
}
