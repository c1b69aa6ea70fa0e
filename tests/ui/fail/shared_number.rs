use purgatory::circuit_breaker;

#[circuit_breaker("f", shared = 0)]
fn f() -> std::io::Result<()> {
    Ok(())
}

fn main() {}
