use purgatory::circuit_breaker;

#[circuit_breaker("f", exclude(|e| e.kind() == std::io::ErrorKind::NotFound))]
fn f() -> Result<u8, std::io::Error> {
    Ok(1)
}

fn main() {
    f().unwrap();
}
