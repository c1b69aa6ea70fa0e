use purgatory::circuit_breaker;

struct Client;

impl Client {
    const LIMIT: u32 = 5;

    #[circuit_breaker("fetch", threshold = Self::LIMIT)]
    fn fetch() -> Option<u32> {
        Some(1)
    }
}

fn main() {
    Client::fetch();
}
