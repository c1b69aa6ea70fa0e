//! Circuits shared among factories, on tokio's paused time: see `fleet`.

mod fleet;

use std::future::Future;
use std::io;
use std::pin::Pin;

use purgatory::storage::StorageError;
use purgatory::{Config, Reason, State, circuit_breaker};
use purgatory_tests::poll_once;
use tokio::time::timeout;

use self::fleet::{Fleet, Process, millis, settled};

type BoxFuture<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

/// Lets everything that is under way arrive.
async fn pause() {
    tokio::time::sleep(millis(20)).await;
}

#[tokio::test(start_paused = true)]
async fn failures_of_two_processes_trip_both() {
    let fleet = Fleet::new();
    let [here, there] = fleet.processes(Config::new().threshold(3));
    pause().await;
    here.breaker.acquire().unwrap().failure();
    pause().await;
    there.breaker.acquire().unwrap().failure();
    pause().await;
    assert_eq!([here.state(), there.state()], [State::Closed; 2]);
    there.breaker.acquire().unwrap().failure();
    pause().await;
    assert_eq!([here.state(), there.state()], [State::Open; 2]);
    assert_eq!(here.breaker.acquire().unwrap_err().reason(), Reason::Open);
}

#[tokio::test(start_paused = true)]
async fn a_success_elsewhere_ends_the_row() {
    let fleet = Fleet::new();
    let [here, there] = fleet.processes(Config::new().threshold(2));
    pause().await;
    here.breaker.acquire().unwrap().failure();
    pause().await;
    there.breaker.acquire().unwrap().success();
    pause().await;
    assert_eq!(here.breaker.snapshot().failures, 0);
    here.breaker.acquire().unwrap().failure();
    pause().await;
    assert_eq!([here.state(), there.state()], [State::Closed; 2]);
}

#[tokio::test(start_paused = true)]
async fn one_probe_for_all() {
    let fleet = Fleet::new();
    let [here, there] = fleet.processes(Config::new().threshold(1).ttl(millis(1000)));
    pause().await;
    here.breaker.acquire().unwrap().failure();
    pause().await;
    tokio::time::sleep(millis(1000)).await;
    let permit = here.breaker.acquire_async().await.unwrap();
    assert!(permit.is_probe());
    pause().await;
    assert_eq!(there.state(), State::HalfOpen);
    let rejected = there.breaker.acquire_async().await.unwrap_err();
    assert_eq!(rejected.reason(), Reason::ProbesBusy);
    permit.success();
    pause().await;
    assert_eq!([here.state(), there.state()], [State::Closed; 2]);
    let told = [here, there].map(|process| process.log.lines());
    let [here, there] = told.each_ref().map(|told| told.iter().map(String::as_str));
    let ours = [
        "storage_up",
        "failed 1",
        "closed to open, generation 1, opened at 1000.02s: Tripped { failures: 1, threshold: 1 }",
        "open to half-open, generation 2: TtlPassed",
        "recovered",
        "half-open to closed, generation 3: ProbesSucceeded",
    ];
    assert_eq!(here.skip(1).collect::<Vec<_>>(), ours);
    let theirs = [
        "storage_up",
        "closed to open, generation 1, opened at 1000.02s: Shared",
        "open to half-open, generation 2: Shared",
        "rejected: half-open with its probes busy, 979ms left",
        "half-open to closed, generation 3: Shared",
    ];
    assert_eq!(there.skip(1).collect::<Vec<_>>(), theirs);
}

#[tokio::test(start_paused = true)]
async fn away_from_the_storage_each_goes_on_alone_and_merges_when_it_is_back() {
    let fleet = Fleet::new();
    let [here, there] = fleet.processes(Config::new().threshold(2).ttl(millis(1000)));
    pause().await;
    fleet.down(true);
    fleet.storage.disconnect(StorageError::Unavailable("test".to_owned()));
    pause().await;
    here.breaker.acquire().unwrap().failure();
    here.breaker.acquire().unwrap().failure();
    assert_eq!([here.state(), there.state()], [State::Open, State::Closed]);
    fleet.down(false);
    tokio::time::sleep(millis(500)).await;
    assert_eq!([here.state(), there.state()], [State::Open; 2]);
    assert!(settled(&here.factory).await);
}

#[circuit_breaker("payments")]
async fn pay(result: io::Result<()>) -> io::Result<()> {
    pause().await;
    result
}

#[circuit_breaker("payments", on_cancel = failure)]
async fn pay_in_time() -> io::Result<()> {
    pause().await;
    Ok(())
}

/// Processes whose circuit is open, and its time has passed.
async fn due(fleet: &Fleet) -> [Process; 2] {
    let processes = fleet.processes(Config::new().threshold(1).ttl(millis(1000)));
    pause().await;
    processes[0].breaker.acquire().unwrap().failure();
    tokio::time::sleep(millis(1001)).await;
    processes
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_leave_is_the_probe() {
    let failed = || Err(io::ErrorKind::TimedOut.into());
    for (result, state) in [(Ok(()), State::Closed), (failed(), State::Open)] {
        let fleet = Fleet::new();
        let [here, there] = due(&fleet).await;
        let ok = result.is_ok();
        assert_eq!(here.factory.scope_async(pay(result)).await.is_ok(), ok);
        pause().await;
        assert_eq!([here.state(), there.state()], [state; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_fails_only_if_it_was_admitted_and_is_told_to() {
    for (admitted, fails, state) in [
        (false, false, State::HalfOpen),
        (false, true, State::HalfOpen),
        (true, false, State::HalfOpen),
        (true, true, State::Open),
    ] {
        let fleet = Fleet::new();
        let [here, there] = due(&fleet).await;
        let mut call = match fails {
            true => Box::pin(here.factory.scope_async(pay_in_time())) as BoxFuture<'_>,
            false => Box::pin(here.factory.scope_async(pay(Ok(())))),
        };
        if admitted {
            assert!(timeout(millis(10), &mut call).await.is_err());
        } else {
            assert!(poll_once(Pin::new(&mut call)).is_pending());
        }
        drop(call);
        pause().await;
        let case = format!("admitted: {admitted}, fails: {fails}");
        assert_eq!([here.state(), there.state()], [state; 2], "{case}");
        let next = there.breaker.acquire_async().await.is_ok();
        assert_eq!(next, state == State::HalfOpen, "{case}");
    }
}
