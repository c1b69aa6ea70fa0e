//! Methods with every receiver, and methods of traits.

use std::fmt::Debug;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;

use async_recursion::async_recursion;
use async_trait::async_trait;
use purgatory::circuit_breaker;

use crate::attribute_support::{Boom, finish, guarded, pause, rejected};

type Outcome<T> = Result<T, Boom>;

#[derive(Debug, Clone, Default, PartialEq)]
struct Client {
    calls: u32,
}

impl Client {
    #[circuit_breaker("inherent")]
    fn associated(calls: u32) -> Outcome<Self> {
        Ok(Self { calls })
    }

    #[circuit_breaker("inherent")]
    fn by_value(mut self) -> Outcome<u32> {
        self.calls += 1;
        Ok(self.calls)
    }

    #[circuit_breaker("inherent")]
    fn by_reference(&self) -> Outcome<&u32> {
        Ok(&self.calls)
    }

    #[circuit_breaker("inherent")]
    fn by_mutable_reference(&mut self, n: u32) -> Outcome<&mut u32> {
        self.calls += n;
        Ok(&mut self.calls)
    }

    #[circuit_breaker("inherent")]
    fn by_box(self: Box<Self>) -> Outcome<Self> {
        Ok(*self)
    }

    #[circuit_breaker("inherent")]
    fn by_pin(mut self: Pin<&mut Self>) -> Outcome<u32> {
        self.calls += 1;
        Ok(self.calls)
    }

    #[circuit_breaker("inherent")]
    fn by_rc(self: &Rc<Self>) -> Outcome<Rc<Self>> {
        Ok(Self::clone_rc(self))
    }

    fn clone_rc(this: &Rc<Self>) -> Rc<Self> {
        Rc::clone(this)
    }

    #[circuit_breaker("inherent")]
    async fn by_arc(self: Arc<Self>) -> Outcome<Arc<Self>> {
        pause().await;
        Ok(self)
    }

    #[circuit_breaker("inherent")]
    async fn later(&mut self) -> Outcome<&mut u32> {
        pause().await;
        self.calls += 1;
        Ok(&mut self.calls)
    }

    #[circuit_breaker("inherent")]
    async fn pinned_later(mut self: Pin<&mut Self>, n: u32) -> Outcome<u32> {
        pause().await;
        self.calls += n;
        Ok(self.calls)
    }
}

#[test]
fn every_receiver() {
    let client = Client { calls: 1 };
    assert_eq!(guarded("inherent", || Client::associated(1)), client);
    assert_eq!(guarded("inherent", || client.clone().by_value()), 2);
    assert_eq!(*guarded("inherent", || client.by_reference()), 1);
    assert_eq!(guarded("inherent", || client.clone().by_mutable_reference(2).cloned()), 3);
    assert_eq!(guarded("inherent", || Box::new(client.clone()).by_box()), client);
    assert_eq!(guarded("inherent", || pin!(client.clone()).by_pin()), 2);
    assert_eq!(*guarded("inherent", || Rc::new(client.clone()).by_rc()), client);
    assert_eq!(*guarded("inherent", || finish(Arc::new(client.clone()).by_arc())), client);
    assert_eq!(guarded("inherent", || finish(client.clone().later()).cloned()), 2);
    assert_eq!(guarded("inherent", || finish(pin!(client.clone()).pinned_later(3))), 4);
}

trait Service {
    type Error: Debug + From<purgatory::Rejected> + 'static;
    const LIMIT: u32;

    fn required(&mut self) -> Result<u32, Self::Error>;

    #[circuit_breaker("provided", exclude = |_| Self::LIMIT == 0)]
    fn provided(&mut self) -> Result<u32, Self::Error> {
        self.required().map(|calls| calls + Self::LIMIT)
    }

    async fn required_later(&self) -> Result<u32, Self::Error>;

    #[circuit_breaker("provided")]
    async fn provided_later(&self, n: u32) -> Result<u32, Self::Error> {
        Ok(self.required_later().await? + n)
    }
}

impl Service for Client {
    type Error = Boom;
    const LIMIT: u32 = 100;

    #[circuit_breaker("required")]
    fn required(&mut self) -> Result<u32, Self::Error> {
        self.calls += 1;
        Ok(self.calls)
    }

    #[circuit_breaker("required")]
    async fn required_later(&self) -> Result<u32, Boom> {
        pause().await;
        Ok(self.calls)
    }
}

#[test]
fn methods_of_traits() {
    let client = Client { calls: 1 };
    assert_eq!(guarded("required", || client.clone().required()), 2);
    assert_eq!(guarded("provided", || client.clone().provided()), 102);
    assert_eq!(guarded("required", || finish(client.required_later())), 1);
    assert_eq!(guarded("provided", || finish(client.provided_later(2))), 3);
}

#[async_trait]
trait Remote: Sync {
    async fn fetch(&self, name: &str, (low, high): (u32, u32), _: u8) -> Outcome<String>;

    #[circuit_breaker(name = format!("remote/{name}"))]
    async fn fetch_twice(&self, name: &str, mut n: u32) -> Outcome<String> {
        if n == 0 {
            return Err(Boom::Code(1));
        }
        n += 1;
        self.fetch(name, (n, n), 0).await
    }
}

#[async_trait]
impl Remote for Client {
    #[circuit_breaker("remote", fallback = Self::cached)]
    async fn fetch(&self, name: &str, (low, high): (u32, u32), _: u8) -> Outcome<String> {
        pause().await;
        Ok(format!("{name} {} {low} {high}", self.calls))
    }
}

impl Client {
    async fn cached(&self, name: &str, (_, high): (u32, u32), _: u8) -> Outcome<String> {
        pause().await;
        Err(if name.is_empty() {
            Boom::Code(high as u16)
        } else {
            Boom::Rejected("remote".to_owned())
        })
    }
}

#[async_trait(?Send)]
trait Local {
    async fn fetch(self: Rc<Self>) -> Outcome<u32>;
}

#[async_trait(?Send)]
impl Local for Client {
    #[circuit_breaker("local")]
    async fn fetch(self: Rc<Self>) -> Outcome<u32> {
        pause().await;
        Ok(self.calls)
    }
}

#[test]
fn async_trait_methods() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    let client = Client { calls: 1 };
    let fetch = || finish(assert_send(client.fetch("a", (2, 3), 4)));
    assert_eq!(guarded("remote", fetch), "a 1 2 3");
    assert_eq!(guarded("remote/b", || finish(client.fetch_twice("b", 2))), "b 1 3 3");
    assert_eq!(guarded("local", || finish(Rc::new(client.clone()).fetch())), 1);
}

#[test]
fn a_method_of_async_trait_decides_when_it_is_polled() {
    let factory = purgatory::CircuitBreakerFactory::new();
    let client = Client::default();
    let future = factory.scope(|| client.fetch("a", (2, 3), 4));
    drop(future);
    assert_eq!(factory.names().len(), 0);
}

#[circuit_breaker("below")]
#[async_recursion]
async fn below(n: u32) -> Outcome<u32> {
    if n == 0 { Ok(0) } else { Ok(below(n - 1).await? + 1) }
}

#[async_recursion]
#[circuit_breaker("above", fallback = cached)]
async fn above(n: u32) -> Outcome<u32> {
    if n == 0 {
        return Ok(0);
    }
    Ok(above(n - 1).await? + 1)
}

async fn cached(_: u32) -> Outcome<u32> {
    pause().await;
    rejected("above")
}

#[circuit_breaker("by hand")]
fn by_hand<'a>(n: &'a u32) -> Pin<Box<dyn Future<Output = Outcome<u32>> + 'a>> {
    Box::pin(async move { if *n == 0 { Ok(0) } else { Ok(by_hand(&(n - 1)).await? + 1) } })
}

#[test]
fn futures_that_call_themselves() {
    assert_eq!(guarded("below", || finish(below(5))), 5);
    assert_eq!(guarded("above", || finish(above(5))), 5);
    assert_eq!(guarded("by hand", || finish(by_hand(&5))), 5);
}
