use purgatory::circuit_breaker;

#[circuit_breaker("cfg", fallback = cached)]
fn f(id: u32, #[cfg(not(debug_assertions))] name: &str) -> Option<u32> {
    Some(id)
}

fn cached(id: u32) -> Option<u32> {
    Some(id)
}

fn main() {
    drop((f(1), cached(1)));
}
