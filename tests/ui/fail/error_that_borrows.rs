use purgatory::circuit_breaker;

#[circuit_breaker("f", failure_if = Result::is_err, fallback = Err("rejected"))]
fn f<'a>(text: &'a str) -> Result<u8, &'a str> {
    Err(text)
}

fn main() {
    f("text").unwrap();
}
