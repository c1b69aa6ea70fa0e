//! Names that are made for each call, and factories that are named.

use std::sync::Arc;

use purgatory::{CircuitBreakerFactory, State, circuit_breaker};

use crate::attribute_support::{Boom, finish, rejected, sensitive, state};

struct Client {
    host: String,
    factory: Arc<CircuitBreakerFactory>,
}

impl Client {
    fn new(host: &str) -> Self {
        Self { host: host.to_owned(), factory: Arc::new(sensitive().0) }
    }

    #[circuit_breaker(name = &self.host)]
    fn borrowed(&mut self, result: Result<u8, Boom>) -> Result<u8, Boom> {
        self.host.push('!');
        result
    }

    #[circuit_breaker(format!("{}/{path}", self.host))]
    async fn made(&self, path: &str, result: Result<u8, Boom>) -> Result<u8, Boom> {
        let _ = path;
        result
    }

    #[circuit_breaker("fixed", factory = self.factory)]
    fn own_factory(&self, result: Result<u8, Boom>) -> Result<u8, Boom> {
        result
    }

    #[circuit_breaker(name = self.host, factory = *self.factory)]
    async fn own_factory_and_name(self, result: Result<u8, Boom>) -> Result<u8, Boom> {
        result
    }
}

#[test]
fn a_name_may_borrow_what_the_body_changes() {
    let (factory, _clock) = sensitive();
    let mut client = Client::new("example.org");
    factory.scope(|| {
        client.borrowed(Err(Boom::Code(7))).unwrap_err();
        assert_eq!(state(&factory, "example.org"), Some(State::Open));
        assert_eq!(client.borrowed(Ok(1)), Ok(1));
        assert_eq!(state(&factory, "example.org!"), Some(State::Closed));
        client.host = "example.org".to_owned();
        assert_eq!(client.borrowed(Ok(1)), rejected("example.org"));
    });
}

#[test]
fn a_name_may_be_made_of_the_arguments() {
    let (factory, _clock) = sensitive();
    let client = Client::new("example.org");
    finish(factory.scope_async(async {
        client.made("a", Err(Boom::Code(7))).await.unwrap_err();
        assert_eq!(client.made("a", Ok(1)).await, rejected("example.org/a"));
        assert_eq!(client.made("b", Ok(1)).await, Ok(1));
    }));
}

#[test]
fn a_name_that_is_moved_by_the_body_is_read_before() {
    #[circuit_breaker(name = tenant)]
    fn consumes(tenant: String) -> Result<usize, Boom> {
        Ok(tenant.into_bytes().len())
    }

    let (factory, _clock) = sensitive();
    assert_eq!(factory.scope(|| consumes("blue".to_owned())), Ok(4));
    assert_eq!(factory.names().iter().map(|name| &**name).collect::<Vec<_>>(), ["blue"]);
}

#[test]
fn temporaries_of_a_name_are_gone_when_the_body_runs() {
    use std::sync::Mutex;

    #[circuit_breaker(name = host.lock().unwrap().as_str())]
    fn locks(host: &Mutex<String>) -> Option<usize> {
        Some(host.try_lock().ok()?.len())
    }
    #[circuit_breaker(name = host.lock().unwrap().as_str())]
    async fn locks_async(host: &Mutex<String>) -> Option<usize> {
        Some(host.try_lock().ok()?.len())
    }
    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    let (factory, _clock) = sensitive();
    let host = Mutex::new("host".to_owned());
    assert_eq!(factory.scope(|| locks(&host)), Some(4));
    assert_eq!(finish(factory.scope_async(assert_send(locks_async(&host)))), Some(4));
}

#[test]
fn a_factory_can_be_given() {
    let client = Client::new("example.org");
    client.own_factory(Err(Boom::Code(7))).unwrap_err();
    assert_eq!(client.own_factory(Ok(1)), rejected("fixed"));

    let factory = Arc::clone(&client.factory);
    finish(client.own_factory_and_name(Err(Boom::Code(7)))).unwrap_err();
    assert_eq!(state(&factory, "fixed"), Some(State::Open));
    assert_eq!(state(&factory, "example.org"), Some(State::Open));
}

#[test]
fn a_factory_may_be_a_value_a_reference_or_an_arc() {
    fn value() -> CircuitBreakerFactory {
        CircuitBreakerFactory::new()
    }
    #[circuit_breaker("value", factory = value())]
    fn by_value() -> Option<u8> {
        Some(1)
    }
    #[circuit_breaker("reference", factory = factory)]
    fn by_reference(factory: &CircuitBreakerFactory) -> Option<u8> {
        Some(2)
    }
    #[circuit_breaker("arc", factory = factory)]
    fn by_arc(factory: &Arc<CircuitBreakerFactory>) -> Option<u8> {
        Some(3)
    }

    let factory = Arc::new(CircuitBreakerFactory::new());
    assert_eq!((by_value(), by_reference(&factory), by_arc(&factory)), (Some(1), Some(2), Some(3)));
    assert_eq!((state(&factory, "value"), state(&factory, "arc")), (None, Some(State::Closed)));
    assert_eq!(state(&factory, "reference"), Some(State::Closed));
}

#[test]
fn the_crate_may_have_another_name() {
    mod reexport {
        pub(crate) mod breakers {
            pub(crate) use purgatory::__private;
        }
    }

    #[circuit_breaker("renamed", crate = reexport::breakers, exclude(Boom::Code(404)))]
    fn renamed(result: Result<u8, Boom>) -> Result<u8, Boom> {
        result
    }

    let (factory, _clock) = sensitive();
    factory.scope(|| renamed(Err(Boom::Code(404))).unwrap_err());
    assert_eq!(state(&factory, "renamed"), Some(State::Closed));
}
