use purgatory::circuit_breaker;

#[circuit_breaker("number", failure_if(0))]
fn number() -> u8 {
    1
}

#[circuit_breaker("text", fallback = String::new())]
async fn text() -> String {
    String::new()
}

fn main() {
    drop((number(), text()));
}
