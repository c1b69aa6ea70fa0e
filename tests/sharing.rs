//! Circuits shared among factories, on tokio's paused time: see `fleet`.

mod fleet;

use purgatory::storage::StorageError;
use purgatory::{Config, Reason, State};

use self::fleet::{Fleet, millis, settled};

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
