//! Calls that nobody waits for any more: wherever they were, nothing is counted and their place is free.

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::mem;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use async_trait::async_trait;
use purgatory::{CircuitBreaker, Config, Permit, Rejected, Snapshot, State, circuit_breaker};
use purgatory_tests::{World, poll_once, trip};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

/// How often the body of a call waits.
const WAITS: usize = 3;

type Answer = Result<(), Broken>;
type Call = Pin<Box<dyn Future<Output = Answer> + Send>>;
type Door = (&'static str, fn(&World, &CircuitBreaker) -> Call);

const DOORS: [Door; 10] = [
    ("call_async, an async closure", |_, breaker| {
        let breaker = breaker.clone();
        Box::pin(async move { flat(breaker.call_async(async || body().await).await) })
    }),
    ("call_async, a future", |_, breaker| {
        let breaker = breaker.clone();
        Box::pin(async move { flat(breaker.call_async(|| Box::pin(body())).await) })
    }),
    ("acquire_async", |_, breaker| {
        let breaker = breaker.clone();
        Box::pin(async move {
            let permit = breaker.acquire_async().await?;
            let answer = body().await;
            permit.settle(&answer);
            answer
        })
    }),
    ("acquire", |_, breaker| {
        let permit = breaker.acquire().unwrap().into_owned();
        Box::pin(async move {
            let answer = body().await;
            permit.settle(&answer);
            answer
        })
    }),
    ("async fn", |world, _| Box::pin(world.factory.scope_async(written()))),
    ("lazy", |world, _| Box::pin(world.factory.scope_async(lazy()))),
    ("lazy, boxed", |world, _| Box::pin(world.factory.scope_async(lazy_box()))),
    ("eager", |world, _| Box::pin(world.factory.scope_async(eager(WAITS)))),
    // This one is asked for leave in the call.
    ("alias", |world, _| world.factory.scope(alias)),
    ("async_trait", |world, _| Box::pin(world.factory.scope_async(Client.ask()))),
];

#[circuit_breaker("payments")]
async fn written() -> Answer {
    body().await
}

#[circuit_breaker("payments")]
#[allow(clippy::manual_async_fn)] // It is one of the ways.
fn lazy() -> impl Future<Output = Answer> + Send {
    async { body().await }
}

#[circuit_breaker("payments")]
fn lazy_box() -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async { body().await })
}

#[circuit_breaker("payments")]
fn eager(waits: usize) -> impl Future<Output = Answer> + Send {
    let body = times(waits);
    async {
        body.await?;
        Ok(())
    }
}

#[circuit_breaker("payments")]
fn alias() -> Call {
    Box::pin(body())
}

#[async_trait]
trait Asks {
    async fn ask(self) -> Answer;
}

struct Client;

#[async_trait]
impl Asks for Client {
    #[circuit_breaker("payments")]
    async fn ask(self) -> Answer {
        body().await
    }
}

#[circuit_breaker("payments", on_cancel = failure)]
async fn fails_if_cancelled() -> Answer {
    body().await
}

async fn body() -> Answer {
    times(WAITS).await
}

async fn times(waits: usize) -> Answer {
    for _ in 0..waits {
        pause().await;
    }
    Ok(())
}

/// Is pending once.
async fn pause() {
    let mut polled = false;
    poll_fn(|_| if mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending })
        .await;
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("broken")]
struct Broken;

impl From<Rejected> for Broken {
    fn from(_: Rejected) -> Self {
        Self
    }
}

fn flat(answer: Result<(), purgatory::Error<Broken>>) -> Answer {
    answer.map_err(|_| Broken)
}

/// A circuit with one failure, or half-open with its only place free.
fn circuit(state: State) -> (World, CircuitBreaker) {
    let world = World::new();
    let breaker = world.breaker(Config::new().threshold(3));
    if state == State::HalfOpen {
        trip(&breaker);
        world.advance(31);
        breaker.acquire().unwrap().ignore();
    } else {
        breaker.acquire().unwrap().failure();
    }
    world.log.take();
    (world, breaker)
}

/// All that a call could have changed, and whether the next one is admitted, and what it is.
fn left(world: &World, breaker: &CircuitBreaker) -> (Snapshot, Vec<String>, Option<bool>) {
    let (snapshot, told) = (breaker.snapshot(), world.log.lines());
    (snapshot, told, breaker.acquire().ok().map(|permit| permit.is_probe()))
}

/// Takes each call, in each state, to each of its awaits, and has `end` leave it there.
fn everywhere(end: impl Fn(Call, usize)) {
    for (door, call) in DOORS {
        for state in [State::Closed, State::HalfOpen] {
            for polls in 0..=WAITS {
                let (world, breaker) = circuit(state);
                let before = left(&world, &breaker);
                assert_eq!(before.2, Some(state == State::HalfOpen));
                end(call(&world, &breaker), polls);
                assert_eq!(left(&world, &breaker), before, "{door}, {state}, {polls} polls");
            }
        }
    }
}

/// I9.
#[test]
fn a_call_that_is_dropped_at_any_await_counts_as_nothing_and_gives_its_place_back() {
    everywhere(|mut call, polls| {
        for _ in 0..polls {
            assert!(poll_once(call.as_mut()).is_pending());
        }
    });
}

/// There is nowhere else to drop them, and while they are out, their place is taken.
#[test]
fn the_calls_that_are_dropped_have_no_more_awaits_than_that() {
    for (door, call) in DOORS {
        let (world, breaker) = circuit(State::HalfOpen);
        let mut call = call(&world, &breaker);
        for _ in 0..WAITS {
            assert!(poll_once(call.as_mut()).is_pending(), "{door}");
            assert!(breaker.acquire().is_err(), "{door}");
        }
        assert_eq!(poll_once(call.as_mut()), Poll::Ready(Ok(())), "{door}");
        assert_eq!(breaker.state(), State::Closed, "{door}");
    }
}

/// I9.
#[test]
fn a_call_that_says_so_has_failed_if_it_is_dropped_at_any_await_but_not_before() {
    for state in [State::Closed, State::HalfOpen] {
        for polls in 0..=WAITS {
            let (world, _) = circuit(state);
            let mut call = Box::pin(world.factory.scope_async(fails_if_cancelled()));
            for _ in 0..polls {
                assert!(poll_once(call.as_mut()).is_pending());
            }
            drop(call);
            let expected = match state {
                _ if polls == 0 => Vec::new(),
                State::HalfOpen => {
                    vec!["half-open to open, generation 3, opened at 31s: ProbeFailed"]
                }
                _ => vec!["failed 2"],
            };
            assert_eq!(world.log.lines(), expected, "{state}, {polls} polls");
        }
    }
}

fn runtimes() -> [Runtime; 2] {
    [Builder::new_current_thread(), Builder::new_multi_thread()]
        .map(|mut builder| builder.worker_threads(2).build().unwrap())
}

/// A task that polls a call so many times, says so, and waits for ever.
async fn polls(mut call: Call, times: usize, polled: oneshot::Sender<()>) {
    for _ in 0..times {
        let poll = poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        assert!(poll.is_pending());
    }
    polled.send(()).unwrap();
    pending().await
}

/// I9.
#[test]
fn an_aborted_task_gives_the_place_of_its_call_back() {
    for runtime in runtimes() {
        everywhere(|call, times| {
            runtime.block_on(async {
                let (sender, polled) = oneshot::channel();
                let task = tokio::spawn(polls(call, times, sender));
                polled.await.unwrap();
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
            });
        });
    }
}

/// I9.
#[test]
fn a_runtime_that_ends_gives_the_places_of_its_calls_back() {
    for which in 0..2 {
        everywhere(|call, times| {
            let runtime = runtimes().into_iter().nth(which).unwrap();
            let (sender, polled) = oneshot::channel();
            runtime.spawn(polls(call, times, sender));
            runtime.block_on(polled).unwrap();
        });
    }
}

/// I9.
#[test]
fn a_permit_that_a_thread_leaves_behind_gives_its_place_back() {
    thread_local! {
        static KEPT: RefCell<Option<Permit>> = const { RefCell::new(None) };
    }
    for panics in [false, true] {
        let (world, breaker) = circuit(State::HalfOpen);
        let before = left(&world, &breaker);
        let other = breaker.clone();
        let thread = thread::spawn(move || {
            KEPT.set(Some(other.acquire().unwrap().into_owned()));
            assert!(other.acquire().is_err());
            // What the thread dies of is not the call: that is still out.
            if panics {
                resume_unwind(Box::new(()));
            }
        });
        assert_eq!(thread.join().is_err(), panics);
        world.log.take();
        let (snapshot, told, next) = left(&world, &breaker);
        assert_eq!((snapshot.state, snapshot.failures, snapshot.late), (State::HalfOpen, 0, 0));
        assert_eq!((told, next), (before.1, before.2));
    }
}
