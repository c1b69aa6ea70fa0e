use purgatory::circuit_breaker;

#[circuit_breaker(name = id)]
fn f(id: u32) -> Option<u32> {
    Some(id)
}

fn main() {
    f(1);
}
