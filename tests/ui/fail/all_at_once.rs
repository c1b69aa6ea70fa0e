use purgatory::circuit_breaker;

#[circuit_breaker("", treshold = 5, ttl = "30", ttl = 5, half_open_probes = 0, exclude())]
const fn f() -> u8 {
    1
}

#[circuit_breaker("g", threshold = 0, fallback = other, on_cancel = failure)]
fn g(#[cfg(all())] n: u8) -> Option<u8> {
    Some(n)
}

fn other() {}

fn main() {
    f();
    g(1);
}
