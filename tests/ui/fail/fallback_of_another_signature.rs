use purgatory::circuit_breaker;

fn cached(id: u32, name: &str) -> Option<u32> {
    Some(id + name.len() as u32)
}

#[circuit_breaker("arguments", fallback = cached)]
fn arguments(id: u32) -> Option<u32> {
    Some(id)
}

#[circuit_breaker("return", fallback = cached)]
fn returned(id: u32, name: &str) -> Option<String> {
    Some(format!("{name} {id}"))
}

#[circuit_breaker("not async", fallback = cached)]
async fn later(id: u32, name: &str) -> Option<u32> {
    cached(id, name)
}

fn main() {
    drop((arguments(1), returned(1, "a"), later(1, "a")));
}
