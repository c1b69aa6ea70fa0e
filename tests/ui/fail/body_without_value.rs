use purgatory::circuit_breaker;

#[circuit_breaker("sync")]
fn sync(n: u8) -> Option<u8> {
    Some(n);
}

#[circuit_breaker("later")]
async fn later() -> Option<u8> {}

fn main() {
    drop((sync(1), later()));
}
