//! Fallbacks: what a rejected call comes to.

use std::cell::Cell;

use purgatory::{CircuitBreakerFactory, circuit_breaker};

use crate::attribute_support::{finish, pause, sensitive};

/// No `From<Rejected>`: with a fallback it is not asked for.
#[derive(Debug, PartialEq)]
struct Opaque;

/// A factory in which the circuit is open.
fn open(circuit: &str) -> CircuitBreakerFactory {
    let (factory, _clock) = sensitive();
    factory.get_breaker(circuit).unwrap().acquire().unwrap().failure();
    factory
}

#[test]
fn a_path_is_called_with_the_arguments() {
    fn cached(
        id: u32,
        name: String,
        (low, _): (u8, u8),
        [first, ..]: [u8; 3],
        _: bool,
    ) -> Result<String, Opaque> {
        Ok(format!("{name} {id} {low} {first}"))
    }

    #[circuit_breaker("path", fallback = cached)]
    fn fetch(
        mut id: u32,
        name: String,
        (low, high): (u8, u8),
        [.., last]: [u8; 3],
        _: bool,
    ) -> Result<String, Opaque> {
        id += 1;
        if id == 0 { Err(Opaque) } else { Ok(format!("{name} {id} {low} {high} {last}")) }
    }

    let call = || fetch(7, "seven".to_owned(), (1, 2), [3, 4, 5], true);
    assert_eq!(open("other").scope(call), Ok("seven 8 1 2 5".to_owned()));
    assert_eq!(open("path").scope(call), Ok("seven 7 1 3".to_owned()));
}

#[test]
fn the_fallback_of_a_future_is_awaited() {
    async fn cached(id: &str) -> Result<String, Opaque> {
        pause().await;
        Ok(format!("cached {id}"))
    }

    #[circuit_breaker("path", fallback = cached)]
    async fn path(id: &str) -> Result<String, Opaque> {
        if id.is_empty() { Err(Opaque) } else { Ok(id.to_owned()) }
    }
    #[circuit_breaker("expression", fallback = Ok(cached(id).await? + "!"))]
    async fn expression(id: &str) -> Result<String, Opaque> {
        if id.is_empty() { Err(Opaque) } else { Ok(id.to_owned()) }
    }

    assert_eq!(finish(open("path").scope_async(path("a"))), Ok("cached a".to_owned()));
    assert_eq!(finish(open("expression").scope_async(expression("a"))), Ok("cached a!".to_owned()));
    assert_eq!(finish(path("a")), Ok("a".to_owned()));
}

#[test]
fn a_method_can_be_the_fallback() {
    #[derive(Debug, PartialEq)]
    struct Client(u32);

    impl Client {
        #[circuit_breaker("by reference", fallback = Self::cached)]
        fn by_reference(&mut self, n: u32) -> Result<u32, Opaque> {
            if n == 0 { Err(Opaque) } else { Ok(self.0) }
        }
        fn cached(&mut self, n: u32) -> Result<u32, Opaque> {
            self.0 += n;
            Ok(self.0)
        }
        #[circuit_breaker("by value", fallback = Self::consumed)]
        async fn by_value(self) -> Result<Self, Opaque> {
            if self.0 == 0 { Err(Opaque) } else { Ok(self) }
        }
        async fn consumed(self) -> Result<Self, Opaque> {
            pause().await;
            Ok(Self(self.0 + 100))
        }
    }

    let mut client = Client(1);
    assert_eq!(open("by reference").scope(|| client.by_reference(4)), Ok(5));
    assert_eq!(finish(open("by value").scope_async(client.by_value())), Ok(Client(105)));
}

#[test]
fn an_expression_is_evaluated_if_the_call_is_rejected() {
    #[circuit_breaker("expression", fallback = {
        evaluated.set(evaluated.get() + 1);
        Ok(vec![name])
    })]
    fn call(evaluated: &Cell<u32>, name: String) -> Result<Vec<String>, Opaque> {
        if name.is_empty() { Err(Opaque) } else { Ok(Vec::new()) }
    }

    let evaluated = Cell::new(0);
    let call = || call(&evaluated, "seven".to_owned());
    assert_eq!(open("other").scope(call), Ok(Vec::new()));
    assert_eq!(evaluated.get(), 0);
    assert_eq!(open("expression").scope(call), Ok(vec!["seven".to_owned()]));
    assert_eq!(evaluated.get(), 1);
}

#[test]
fn a_constant_in_braces_is_an_expression() {
    const DEFAULT: Option<u8> = Some(9);

    #[circuit_breaker("constant", fallback = { DEFAULT })]
    fn call() -> Option<u8> {
        Some(1)
    }

    assert_eq!(call(), Some(1));
    assert_eq!(open("constant").scope(call), Some(9));
}

#[test]
fn a_fallback_may_diverge() {
    #[circuit_breaker("panics", fallback = panic!("open"))]
    fn panics() -> Option<u8> {
        Some(1)
    }
    #[circuit_breaker("never", fallback = std::process::exit(1))]
    fn never() -> ! {
        std::panic::panic_any("never")
    }

    let payload = open("panics").scope(|| std::panic::catch_unwind(panics)).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"open"));
    let payload = open("other").scope(|| std::panic::catch_unwind(|| never())).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"never"));
}

#[test]
fn a_function_without_a_value_can_have_one() {
    #[circuit_breaker("unit", failure_if(()), fallback = ())]
    fn unit(runs: &Cell<u32>) {
        runs.set(runs.get() + 1);
    }

    let runs = Cell::new(0);
    open("other").scope(|| {
        unit(&runs);
        unit(&runs);
    });
    assert_eq!(runs.get(), 1);
}
