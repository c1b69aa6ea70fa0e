use purgatory::circuit_breaker;

fn is_empty(text: &String) -> bool {
    text.is_empty()
}

#[circuit_breaker("f", exclude = is_empty)]
fn f() -> Result<u8, std::io::Error> {
    Ok(1)
}

fn main() {
    f().unwrap();
}
