//! Futures: when they decide, how they end, and the ways to write them.

#![allow(clippy::manual_async_fn)] // It is one of the ways.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, State, circuit_breaker};

use crate::attribute_support::{Boom, finish, pause, poll, rejected, sensitive, state};

type Outcome = Result<u32, Boom>;
type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[circuit_breaker("future")]
async fn written(result: Outcome) -> Outcome {
    pause().await;
    result
}

#[circuit_breaker("future")]
fn lazy(result: Outcome) -> impl Future<Output = Outcome> {
    async move {
        pause().await;
        result
    }
}

#[circuit_breaker("future")]
fn lazy_box<'a>(result: &'a Outcome) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
    Box::pin(async move {
        pause().await;
        result.clone()
    })
}

#[circuit_breaker("future")]
fn eager(result: Outcome) -> impl Future<Output = Outcome> + Send {
    let pausing = pause();
    async {
        pausing.await;
        result
    }
}

#[circuit_breaker("future")]
fn eager_box(result: &Outcome) -> Pin<Box<dyn Future<Output = Outcome> + '_>> {
    if let Ok(0) = result {
        return Box::pin(async { Ok(0) });
    }
    Box::pin(async {
        pause().await;
        result.clone()
    })
}

#[circuit_breaker("future")]
fn alias(result: Outcome) -> BoxFuture<'static, Outcome> {
    Box::pin(async {
        pause().await;
        result
    })
}

type Spelling = fn(&Outcome) -> Pin<Box<dyn Future<Output = Outcome> + '_>>;

/// Functions that return the same future.
const SPELLINGS: [(&str, Spelling); 6] = [
    ("written", |result| Box::pin(written(result.clone()))),
    ("lazy", |result| Box::pin(lazy(result.clone()))),
    ("lazy_box", |result| lazy_box(result)),
    ("eager", |result| Box::pin(eager(result.clone()))),
    ("eager_box", |result| eager_box(result)),
    ("alias", |result| alias(result.clone())),
];

#[test]
fn every_spelling_is_guarded() {
    for (name, spelling) in SPELLINGS {
        let (factory, _clock) = sensitive();
        let run = |result| {
            let future = factory.scope(|| spelling(result));
            finish(factory.scope_async(future))
        };
        assert_eq!(run(&Ok(1)), Ok(1), "{name}");
        assert_eq!(run(&Err(Boom::Code(7))), Err(Boom::Code(7)), "{name}");
        assert_eq!(state(&factory, "future"), Some(State::Open), "{name}");
        assert_eq!(run(&Ok(1)), rejected("future"), "{name}");
    }
}

#[test]
fn a_future_decides_when_it_is_first_polled() {
    for (name, spelling) in SPELLINGS {
        let factory = CircuitBreakerFactory::new();
        let future = factory.scope(|| spelling(&Ok(1)));
        // That an alias is a future only the compiler knows, so the call decides.
        let decided = (name == "alias").then_some(State::Closed);
        assert_eq!(state(&factory, "future"), decided, "{name}");
        drop(factory.scope_async(future));
        assert_eq!(state(&factory, "future"), decided, "{name}");
    }
}

#[test]
fn a_future_that_waited_for_its_first_poll_knows_what_happened_meanwhile() {
    let (factory, _clock) = sensitive();
    let waiting = factory.scope_async(written(Ok(1)));
    finish(factory.scope_async(written(Err(Boom::Code(7))))).unwrap_err();
    assert_eq!(finish(waiting), rejected("future"));
}

#[circuit_breaker("cancelled", on_cancel = neutral)]
async fn neutral() -> Outcome {
    pause().await;
    Ok(1)
}

#[circuit_breaker("cancelled", on_cancel = failure)]
async fn failure() -> Outcome {
    pause().await;
    Ok(1)
}

#[circuit_breaker("cancelled", on_cancel = failure)]
fn failure_box() -> Pin<Box<dyn Future<Output = Outcome>>> {
    Box::pin(async { written(Ok(1)).await })
}

/// Polls once and drops the future.
fn cancel(future: impl Future) {
    assert!(poll(pin!(future).as_mut()).is_pending());
}

#[test]
fn a_cancelled_future_counts_as_nothing_unless_it_is_told() {
    let (factory, _clock) = sensitive();
    cancel(factory.scope_async(written(Ok(1))));
    assert_eq!(state(&factory, "future"), Some(State::Closed));
    cancel(factory.scope_async(neutral()));
    assert_eq!(state(&factory, "cancelled"), Some(State::Closed));
    cancel(factory.scope_async(failure()));
    assert_eq!(state(&factory, "cancelled"), Some(State::Open));

    let (factory, _clock) = sensitive();
    cancel(factory.scope_async(failure_box()));
    assert_eq!(state(&factory, "cancelled"), Some(State::Open));
}

#[test]
fn a_cancelled_future_behind_an_alias_counts_as_nothing() {
    #[circuit_breaker("cancelled alias")]
    fn alias() -> BoxFuture<'static, Outcome> {
        Box::pin(async {
            pause().await;
            Ok(1)
        })
    }

    let (factory, _clock) = sensitive();
    drop(factory.scope(alias));
    cancel(factory.scope(alias));
    assert_eq!(state(&factory, "cancelled alias"), Some(State::Closed));
}

#[test]
fn a_cancelled_probe_gives_its_place_back() {
    let (factory, clock) = sensitive();
    finish(factory.scope_async(written(Err(Boom::Code(7))))).unwrap_err();
    clock.advance(Duration::from_secs(31));
    cancel(factory.scope_async(written(Ok(1))));
    assert_eq!(state(&factory, "future"), Some(State::HalfOpen));
    assert_eq!(finish(factory.scope_async(written(Ok(2)))), Ok(2));
    assert_eq!(state(&factory, "future"), Some(State::Closed));
}

#[test]
fn the_eager_part_runs_in_the_call_and_the_rest_when_polled() {
    #[circuit_breaker(name = format!("q-{}", name), fallback = Ok(0))]
    fn eager(name: String, steps: &Cell<u32>) -> impl Future<Output = Outcome> {
        let length = name.into_bytes().len();
        steps.set(steps.get() + 1);
        async move {
            steps.set(steps.get() + 10);
            u32::try_from(length).map_err(|_| Boom::Code(1))
        }
    }

    let (factory, _clock) = sensitive();
    let steps = Cell::new(0);
    let future = eager("seven".to_owned(), &steps);
    assert_eq!(steps.get(), 1);
    assert_eq!(finish(factory.scope_async(future)), Ok(5));
    assert_eq!(steps.get(), 11);

    factory.find("q-seven").unwrap().acquire().unwrap().failure();
    let future = eager("seven".to_owned(), &steps);
    assert_eq!(finish(factory.scope_async(future)), Ok(0));
    assert_eq!(steps.get(), 12);
}

#[test]
fn the_factory_of_an_eager_future_is_asked_before_the_body_takes_it() {
    struct Context {
        factory: CircuitBreakerFactory,
        name: String,
    }

    #[circuit_breaker(name = context.name, factory = context.factory)]
    fn eager(context: Context, result: Outcome) -> impl Future<Output = Outcome> + Send + 'static {
        let length = context.name.len();
        async move {
            pause().await;
            drop(context);
            result.map(|n| n + length as u32)
        }
    }
    #[circuit_breaker("borrowed", factory = factory)]
    fn eager_box(
        factory: &CircuitBreakerFactory,
        result: Outcome,
    ) -> Pin<Box<dyn Future<Output = Outcome>>> {
        let names = factory.names().len();
        Box::pin(async move { result.map(|n| n + names as u32) })
    }

    let context = || Context { factory: sensitive().0, name: "seven".to_owned() };
    assert_eq!(finish(eager(context(), Ok(1))), Ok(6));

    let (factory, _clock) = sensitive();
    let waiting = eager_box(&factory, Ok(1));
    finish(eager_box(&factory, Err(Boom::Code(7)))).unwrap_err();
    assert_eq!(finish(waiting), rejected("borrowed"));
}

#[test]
fn the_fallback_of_a_lazy_future_gets_the_arguments() {
    async fn cached(names: Vec<String>, (low, high): (u32, u32)) -> Outcome {
        pause().await;
        Ok(low + high + names.len() as u32)
    }

    #[circuit_breaker("lazy", fallback = cached)]
    fn lazy(names: Vec<String>, (low, _): (u32, u32)) -> Pin<Box<dyn Future<Output = Outcome>>> {
        Box::pin(async move {
            if names.is_empty() {
                return Err(Boom::Code(7));
            }
            Ok(low)
        })
    }

    let (factory, _clock) = sensitive();
    let call = |names| finish(factory.scope_async(lazy(names, (1, 2))));
    assert_eq!(call(vec!["seven".to_owned()]), Ok(1));
    assert_eq!(call(Vec::new()), Err(Boom::Code(7)));
    assert_eq!(call(vec!["seven".to_owned()]), Ok(4));
}

#[test]
fn the_block_of_a_lazy_future_need_not_take_what_the_attribute_uses() {
    #[circuit_breaker(name = tenant, fallback = Ok(tenant.len() as u32))]
    fn lazy(tenant: String) -> impl Future<Output = Outcome> {
        async { written(Ok(1)).await }
    }
    #[circuit_breaker("lazy", factory = factory)]
    fn lazy_box(factory: CircuitBreakerFactory) -> Pin<Box<dyn Future<Output = Outcome>>> {
        Box::pin(async { written(Ok(1)).await })
    }

    let (factory, _clock) = sensitive();
    let call = || finish(factory.scope_async(lazy("blue".to_owned())));
    assert_eq!(call(), Ok(1));
    factory.find("blue").unwrap().acquire().unwrap().failure();
    assert_eq!(call(), Ok(4));
    assert_eq!(finish(lazy_box(sensitive().0)), Ok(1));
}

#[test]
fn the_block_of_a_lazy_future_takes_no_more_than_it_needs() {
    struct Client<'c> {
        answer: &'c Outcome,
    }

    impl<'c> Client<'c> {
        #[circuit_breaker("lazy", exclude(Boom::Code(404)))]
        fn lazy(&self) -> impl Future<Output = Outcome> + use<'c> {
            async { self.answer.clone() }
        }
    }

    let answer = Ok(1);
    let future = Client { answer: &answer }.lazy();
    assert_eq!(finish(future), Ok(1));
}

#[test]
fn the_fallback_of_a_future_made_by_hand_is_coerced() {
    type Anything = Option<Box<dyn Any>>;

    #[circuit_breaker("coerced", fallback = Some(Box::new(0)))]
    fn lazy(n: u8) -> impl Future<Output = Anything> {
        async move { if n == 0 { None } else { Some(Box::new(n) as Box<dyn Any>) } }
    }
    #[circuit_breaker("coerced", fallback = Some(Box::new(0)))]
    fn eager(n: u8) -> Pin<Box<dyn Future<Output = Anything>>> {
        let text = n.to_string();
        Box::pin(async move { Some(Box::new(text) as Box<dyn Any>) })
    }

    let (factory, _clock) = sensitive();
    assert!(finish(factory.scope_async(lazy(1))).unwrap().is::<u8>());
    assert!(finish(factory.scope_async(eager(1))).unwrap().is::<String>());
    assert!(finish(factory.scope_async(lazy(0))).is_none());
    assert!(finish(factory.scope_async(lazy(1))).unwrap().is::<i32>());
    assert!(finish(factory.scope_async(eager(1))).unwrap().is::<i32>());
}

#[test]
fn a_future_is_as_much_send_as_its_body() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }

    #[circuit_breaker("send")]
    async fn not_sync(cell: Cell<u32>) -> Option<u32> {
        cell.set(cell.get() + 1);
        pause().await;
        Some(cell.get())
    }
    #[circuit_breaker("send")]
    fn not_sync_either(cell: Cell<u32>) -> impl Future<Output = Result<u32, Boom>> + Send {
        async move {
            cell.set(cell.get() + 1);
            pause().await;
            Ok(cell.get())
        }
    }

    assert_eq!(finish(assert_send(not_sync(Cell::new(1)))), Some(2));
    assert_eq!(finish(not_sync_either(Cell::new(1))), Ok(2));
}

/// Behind an alias, what it comes to need not be fit to be sent.
#[test]
fn a_future_may_be_sent_though_its_value_may_not() {
    type Unsendable = BoxFuture<'static, Result<Rc<u32>, Boom>>;

    #[circuit_breaker("unsendable")]
    fn unsendable(well: bool) -> Unsendable {
        Box::pin(async move { if well { Ok(Rc::new(7)) } else { Err(Boom::Code(1)) } })
    }

    let (factory, _clock) = sensitive();
    factory.scope(|| {
        assert_eq!(finish(unsendable(true)).map(|value| *value), Ok(7));
        assert_eq!(finish(unsendable(false)), Err(Boom::Code(1)));
        assert_eq!(finish(unsendable(true)).map(|value| *value), rejected("unsendable"));
    });
}
