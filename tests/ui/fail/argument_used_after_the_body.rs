use purgatory::circuit_breaker;

#[circuit_breaker("moved", exclude = |_| names.is_empty())]
fn moved(names: Vec<String>) -> Result<usize, std::io::Error> {
    Ok(names.into_iter().count())
}

fn main() {
    drop(moved(Vec::new()));
}
