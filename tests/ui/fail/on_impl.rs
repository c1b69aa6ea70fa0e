use purgatory::circuit_breaker;

struct Client;

#[circuit_breaker("impl")]
impl Client {
    fn fetch(&self) -> Option<u8> {
        Some(1)
    }
}

#[circuit_breaker("trait")]
trait Fetch {}

#[circuit_breaker("mod")]
mod inner {}

fn main() {
    Client.fetch();
}
