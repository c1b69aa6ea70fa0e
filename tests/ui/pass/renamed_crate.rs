//! The crate under another name, and its own name taken.

extern crate purgatory as breakers;

mod purgatory {}
mod core {}
mod std {}

#[breakers::circuit_breaker("renamed", crate = ::breakers, ttl = 5, exclude = |_| false)]
fn renamed(n: u8) -> Result<u8, ::std::io::Error> {
    Ok(n)
}

macro_rules! reexported {
    () => {
        #[breakers::circuit_breaker("macro", crate = $crate::reexport)]
        fn from_a_macro(n: u8) -> Option<u8> {
            Some(n)
        }
    };
}

mod reexport {
    pub use breakers::__private;
}

reexported!();

fn main() {
    assert_eq!(renamed(1).unwrap(), 1);
    assert_eq!(from_a_macro(1), Some(1));
}
