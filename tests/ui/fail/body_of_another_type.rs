use purgatory::circuit_breaker;

#[circuit_breaker("sync")]
fn sync() -> Option<u8> {
    "one"
}

#[circuit_breaker("later")]
async fn later() -> Result<u8, std::io::Error> {
    Ok("one")
}

#[circuit_breaker("early")]
fn early(n: u8) -> Option<u8> {
    if n == 0 {
        return Some("zero");
    }
    Some(n)
}

fn main() {
    drop((sync(), later(), early(1)));
}
