use purgatory::circuit_breaker;

#[circuit_breaker("struct")]
#[derive(Debug)]
pub struct Client;

#[circuit_breaker("enum")]
pub(crate) enum State {}

#[circuit_breaker("static")]
static LIMIT: u32 = 5;

#[circuit_breaker("const")]
const OTHER_LIMIT: u32 = 5;

fn main() {
    println!("{Client:?} {LIMIT} {OTHER_LIMIT}");
    let _: Option<State> = None;
}
