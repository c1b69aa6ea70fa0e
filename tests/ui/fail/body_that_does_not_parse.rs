use purgatory::circuit_breaker;

#[circuit_breaker("sync")]
fn sync(n: u8) -> Option<u8> {
    let = n;
    Some(n)
}

fn main() {
    sync(1);
}
