//! Every way in which a call can end, in each state that admits calls, through each door.

use std::error::Error;
use std::future::pending;
use std::mem;
use std::num::ParseIntError;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::time::Duration;

use purgatory::{CircuitBreaker, Config, Permit, State, circuit_breaker};
use purgatory_tests::{World, poll_once, trip};

use self::End::*;
use self::Start::*;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// With one failure.
    Closed,
    /// At 31 s, with its place free.
    HalfOpen,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Success,
    Failure,
    Excluded,
    Ignored,
    Panic,
    DroppedUnpolled,
    DroppedMidway,
    Forgotten,
}

/// The state and the failures after the call, what was told, and what the next call gets: now, and
/// when a lease has passed.
type Seen<'a> = (State, u32, &'a [&'a str], [&'a str; 2]);

const OPENS: &[&str] = &["half-open to open, generation 3, opened at 31s: ProbeFailed"];
const CLOSES: &[&str] = &["recovered", "half-open to closed, generation 3: ProbesSucceeded"];
const NOTHING: &[&str] = &[];

#[rustfmt::skip] // A table.
const CELLS: [(Start, End, Seen<'_>); 16] = [
    (Closed, Success,           (State::Closed,   0, &["recovered"], ["call", "call"])),
    (Closed, Failure,           (State::Closed,   2, &["failed 2"],  ["call", "call"])),
    (Closed, Excluded,          (State::Closed,   0, &["recovered"], ["call", "call"])),
    (Closed, Ignored,           (State::Closed,   1, NOTHING,        ["call", "call"])),
    (Closed, Panic,             (State::Closed,   2, &["failed 2"],  ["call", "call"])),
    (Closed, DroppedUnpolled,   (State::Closed,   1, NOTHING,        ["call", "call"])),
    (Closed, DroppedMidway,     (State::Closed,   1, NOTHING,        ["call", "call"])),
    (Closed, Forgotten,         (State::Closed,   1, NOTHING,        ["call", "call"])),
    (HalfOpen, Success,         (State::Closed,   0, CLOSES,         ["call", "call"])),
    (HalfOpen, Failure,         (State::Open,     0, OPENS,          ["open for 30s", "open for 19s"])),
    (HalfOpen, Excluded,        (State::Closed,   0, CLOSES,         ["call", "call"])),
    (HalfOpen, Ignored,         (State::HalfOpen, 0, NOTHING,        ["probe", "probe"])),
    (HalfOpen, Panic,           (State::Open,     0, OPENS,          ["open for 30s", "open for 19s"])),
    (HalfOpen, DroppedUnpolled, (State::HalfOpen, 0, NOTHING,        ["probe", "probe"])),
    (HalfOpen, DroppedMidway,   (State::HalfOpen, 0, NOTHING,        ["probe", "probe"])),
    (HalfOpen, Forgotten,       (State::HalfOpen, 0, NOTHING,        ["half-open with its probes busy for 10s", "probe"])),
];

/// A door, and the ends that a call through it can come to. A call that is not async cannot be
/// dropped or forgotten.
type Column = (&'static str, fn(&World, &CircuitBreaker, End), &'static [End]);

const RETURNS: &[End] = &[Success, Failure, Excluded, Ignored, Panic];
const ALL: &[End] =
    &[Success, Failure, Excluded, Ignored, Panic, DroppedUnpolled, DroppedMidway, Forgotten];

const COLUMNS: [Column; 5] = [
    ("call", by_call, RETURNS),
    ("permit", by_permit, ALL),
    ("call_async", by_call_async, ALL),
    ("annotated fn", by_annotated, RETURNS),
    ("annotated async fn", by_annotated_async, ALL),
];

#[test]
fn every_end_of_a_call_does_what_the_table_says_through_every_door() {
    for (door, go, ends) in COLUMNS {
        for (start, end, expected) in CELLS.iter().filter(|(_, end, _)| ends.contains(end)) {
            let (world, breaker) = circuit(*start);
            go(&world, &breaker, *end);

            let told = world.log.lines();
            let told: Vec<_> = told.iter().map(|line| &**line).collect();
            let (state, failures) = (breaker.state(), breaker.snapshot().failures);
            let now = next(&breaker);
            world.advance(11);
            let later = next(&breaker);
            let seen: Seen<'_> = (state, failures, &told, [&now, &later]);
            assert_eq!(seen, *expected, "{start:?} x {end:?} x {door}");
        }
    }
}

fn circuit(start: Start) -> (World, CircuitBreaker) {
    let world = World::new();
    let config = Config::new().threshold(3).probe_lease(Duration::from_secs(10));
    // Rules of this handle, so that annotated functions have to go by their own.
    let breaker = world.breaker(config).exclude_all::<NotFound>().ignore_all::<Cancelled>();
    match start {
        Closed => breaker.acquire().unwrap().failure(),
        HalfOpen => {
            trip(&breaker);
            world.advance(31);
            breaker.acquire().unwrap().ignore();
        }
    }
    world.log.take();
    (world, breaker)
}

fn next(breaker: &CircuitBreaker) -> String {
    match breaker.acquire() {
        Ok(permit) if permit.is_probe() => "probe".to_owned(),
        Ok(_) => "call".to_owned(),
        Err(rejected) => format!("{} for {:?}", rejected.reason(), rejected.retry_after()),
    }
}

fn by_call(_: &World, breaker: &CircuitBreaker, end: End) {
    let call = || breaker.call(|| body(end));
    assert_eq!(catch_unwind(AssertUnwindSafe(call)).is_err(), end == Panic);
}

fn by_permit(_: &World, breaker: &CircuitBreaker, end: End) {
    let permit = breaker.acquire().unwrap();
    match end {
        Success | Failure | Excluded | Ignored | Panic => {
            let call = move || permit.settle(&body(end));
            assert_eq!(catch_unwind(AssertUnwindSafe(call)).is_err(), end == Panic);
        }
        DroppedUnpolled => drop(permit),
        DroppedMidway => assert!(gives_up(permit).is_err()),
        Forgotten => mem::forget(permit),
    }
}

fn gives_up(permit: Permit<&CircuitBreaker>) -> Result<(), ParseIntError> {
    "seven".parse::<u8>()?;
    permit.success();
    Ok(())
}

fn by_call_async(_: &World, breaker: &CircuitBreaker, end: End) {
    comes_to(breaker.call_async(async || waits_or_returns(end).await), end);
}

fn by_annotated(world: &World, _: &CircuitBreaker, end: End) {
    let call = AssertUnwindSafe(|| world.factory.scope(|| annotated(end)));
    assert_eq!(catch_unwind(call).is_err(), end == Panic);
}

fn by_annotated_async(world: &World, _: &CircuitBreaker, end: End) {
    comes_to(world.factory.scope_async(annotated_async(end)), end);
}

#[circuit_breaker("payments", exclude(it if it.is::<NotFound>()), ignore(it if it.is::<Cancelled>()))]
fn annotated(end: End) -> Result<(), BoxError> {
    body(end)
}

#[circuit_breaker("payments", exclude(it if it.is::<NotFound>()), ignore(it if it.is::<Cancelled>()))]
async fn annotated_async(end: End) -> Result<(), BoxError> {
    waits_or_returns(end).await
}

/// Polls a call, if at all, once, and leaves it as `end` says.
fn comes_to(call: impl Future, end: End) {
    let mut future = Box::pin(call);
    if end != DroppedUnpolled {
        let poll = AssertUnwindSafe(|| poll_once(future.as_mut()).is_pending());
        let waits = matches!(end, DroppedMidway | Forgotten);
        assert_eq!(catch_unwind(poll).ok(), (end != Panic).then_some(waits));
    }
    if end == Forgotten {
        mem::forget(future);
    }
}

async fn waits_or_returns(end: End) -> Result<(), BoxError> {
    match end {
        DroppedMidway | Forgotten => pending().await,
        _ => body(end),
    }
}

fn body(end: End) -> Result<(), BoxError> {
    match end {
        Success => Ok(()),
        Failure => Err("broken".into()),
        Excluded => Err(Box::new(NotFound)),
        Ignored => Err(Box::new(Cancelled)),
        Panic => panic_quietly(),
        DroppedUnpolled | DroppedMidway | Forgotten => unreachable!("the body does not return"),
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error("not found")]
struct NotFound;

#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
struct Cancelled;

fn panic_quietly() -> ! {
    resume_unwind(Box::new(()))
}

#[test]
fn a_permit_taken_and_dropped_in_a_panic_that_was_there_before_is_neutral() {
    struct CallsWhenDropped<'a>(&'a CircuitBreaker);

    impl Drop for CallsWhenDropped<'_> {
        fn drop(&mut self) {
            drop(self.0.acquire());
        }
    }

    let (world, breaker) = circuit(HalfOpen);
    let panic = AssertUnwindSafe(|| {
        let _calls = CallsWhenDropped(&breaker);
        panic_quietly()
    });
    catch_unwind(panic).unwrap_err();
    assert_eq!((breaker.state(), next(&breaker)), (State::HalfOpen, "probe".to_owned()));
    assert_eq!(world.log.lines(), NOTHING);
}

#[test]
fn a_probe_that_lost_its_place_does_not_give_back_the_place_of_another() {
    let (world, breaker) = circuit(HalfOpen);
    let slow = breaker.acquire().unwrap();
    world.advance(11);
    let other = breaker.acquire().unwrap();
    slow.ignore();
    assert_eq!(next(&breaker), "half-open with its probes busy for 10s");
    other.ignore();
    assert_eq!(next(&breaker), "probe");
}

#[test]
fn a_future_dropped_by_the_panic_of_a_sibling_is_neutral() {
    let (world, breaker) = circuit(HalfOpen);
    let task = async {
        let mut call = pin!(breaker.call_async(pending::<Result<(), BoxError>>));
        assert!(poll_once(call.as_mut()).is_pending());
        panic_quietly()
    };
    let poll = AssertUnwindSafe(|| poll_once::<_>(pin!(task)).is_pending());
    assert!(catch_unwind(poll).is_err());
    assert_eq!((breaker.state(), next(&breaker)), (State::HalfOpen, "probe".to_owned()));
    assert_eq!(world.log.lines(), NOTHING);
}
