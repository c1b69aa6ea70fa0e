use purgatory::circuit_breaker;

#[circuit_breaker("f", on_cancel = success)]
async fn f() -> Option<u8> {
    Some(1)
}

fn main() {
    drop(f());
}
