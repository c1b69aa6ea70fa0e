use purgatory::circuit_breaker;

#[circuit_breaker("broken")]
fn f(n: ) -> Option<u8> {
    Some(n)
}

fn main() {}
