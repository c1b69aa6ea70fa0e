use purgatory::circuit_breaker;

macro_rules! f {
    ($threshold:expr) => {
        #[circuit_breaker("f", threshold = $threshold)]
        fn f() -> Option<u8> {
            Some(1)
        }
    };
}

f!(0);

fn main() {
    f();
}
