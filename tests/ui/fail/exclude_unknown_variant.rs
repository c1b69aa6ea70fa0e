use purgatory::circuit_breaker;

enum Error {
    NotFound,
}

impl From<purgatory::Rejected> for Error {
    fn from(_: purgatory::Rejected) -> Self {
        Self::NotFound
    }
}

#[circuit_breaker("f", exclude(Error::Missing))]
fn f() -> Result<u8, Error> {
    Ok(1)
}

fn main() {
    let _ = f();
}
