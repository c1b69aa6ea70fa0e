use purgatory::circuit_breaker;

trait Fetch {
    #[circuit_breaker("fetch")]
    async fn fetch(&self) -> Option<u8>;
}

struct Client;

impl Fetch for Client {
    async fn fetch(&self) -> Option<u8> {
        Some(1)
    }
}

fn main() {
    drop(Client.fetch());
}
