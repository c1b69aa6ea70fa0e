use purgatory::circuit_breaker;

struct Mine;

#[circuit_breaker("sync")]
fn sync() -> Result<u8, Mine> {
    Ok(1)
}

#[circuit_breaker("later")]
async fn later() -> Result<u8, Mine> {
    Ok(1)
}

fn main() {
    let _ = (sync(), later());
}
