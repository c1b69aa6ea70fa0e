//! The contract: that it passes what is right, and finds what is not.
#![cfg(not(any(loom, shuttle)))]

#[path = "contract/flaw.rs"]
mod flaw;
#[path = "contract/flawed.rs"]
mod flawed;

use std::sync::Arc;
use std::time::Duration;

use purgatory::storage::{
    MemoryStorage, Promise, Storage, StorageFuture, StorageOptions, Stored, Swap, Write, contract,
    contract_between,
};

use self::flaw::Flaw;
use self::flawed::Flawed;

/// A storage with nothing but what there must be: no watch, no additions, no clock.
struct Bare(MemoryStorage);

impl Storage for Bare {
    fn load<'a>(&'a self, circuit: &'a str) -> StorageFuture<'a, Stored> {
        Box::pin(async move { Ok(Stored { now: None, ..self.0.load(circuit).await? }) })
    }

    fn compare_and_set<'a>(&'a self, write: Write<'a>) -> StorageFuture<'a, Swap> {
        Box::pin(async move {
            let Swap { applied, stored } = self.0.compare_and_set(write).await?;
            Ok(Swap { applied, stored: Stored { now: None, ..stored } })
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_options_of_either_handle_are_looked_at() {
    let (good, storage) = (MemoryStorage::new(), MemoryStorage::new());
    let bad = storage.with_options(StorageOptions::new().operation_timeout(Duration::MAX));
    let (good, bad): (Arc<dyn Storage>, Arc<dyn Storage>) = (Arc::new(good), Arc::new(bad));
    for (here, there) in [(&good, &bad), (&bad, &good)] {
        let breach = contract_between(Arc::clone(here), Arc::clone(there)).await.unwrap_err();
        assert_eq!(breach.promise, Promise::Options);
    }
}

/// Every flaw, and the promise that it breaks.
const FLAWS: [(Flaw, Promise); 57] = [
    (Flaw::NoTimeouts, Promise::Options),
    (Flaw::Hangs, Promise::Answering),
    (Flaw::Fails, Promise::Answering),
    (Flaw::TimeNowAndThen, Promise::Telling),
    (Flaw::TimeRunsBack, Promise::Telling),
    (Flaw::StuckWhenDropped, Promise::Dropping),
    (Flaw::InventsRecords, Promise::Absence),
    (Flaw::ReadsAreOld, Promise::Reading),
    (Flaw::OverwritesStale, Promise::Comparing),
    (Flaw::OverwritesAtFirst, Promise::Comparing),
    (Flaw::OverwritesNewer, Promise::Comparing),
    (Flaw::RefusesAll, Promise::Comparing),
    (Flaw::RefusesInACrowd, Promise::Comparing),
    (Flaw::ConflictWithoutRecord, Promise::Reporting),
    (Flaw::ConflictWithOwnRecord, Promise::Reporting),
    (Flaw::AnswersWithoutRecord, Promise::Reporting),
    (Flaw::ReadsThenWrites, Promise::Excluding),
    (Flaw::ReadsThenOverwrites, Promise::Excluding),
    (Flaw::LocksOnlyItself, Promise::Excluding),
    (Flaw::FirstVersionIsZero, Promise::Growing),
    (Flaw::SameBytesSameVersion, Promise::Growing),
    (Flaw::VersionsShrink, Promise::Growing),
    (Flaw::VersionsStartAgain, Promise::Growing),
    (Flaw::AbsentMatchesAny, Promise::Comparing),
    (Flaw::CutsRecords, Promise::Bytes),
    (Flaw::TrimsRecords, Promise::Bytes),
    (Flaw::LowerCase, Promise::Separating),
    (Flaw::CleansNames, Promise::Separating),
    (Flaw::TrimsNames, Promise::Separating),
    (Flaw::CutsNames, Promise::Separating),
    (Flaw::ComposesNames, Promise::Separating),
    (Flaw::WholeSeconds, Promise::Keeping),
    (Flaw::FirstExpiryStays, Promise::Keeping),
    (Flaw::ExpiryWrapsAround, Promise::Keeping),
    (Flaw::BumpsDoNotRenew, Promise::Keeping),
    (Flaw::BumpsAreNotAtomic, Promise::Adding),
    (Flaw::BumpsExcludeNoWrites, Promise::Adding),
    (Flaw::BumpsForgetWho, Promise::Adding),
    (Flaw::BumpsForgetWhoInARace, Promise::Adding),
    (Flaw::BumpsOverwriteNewer, Promise::Adding),
    (Flaw::BumpsRespectGarbage, Promise::Adding),
    (Flaw::BumpsByOwnClock, Promise::Adding),
    (Flaw::BumpsByFastClock, Promise::Adding),
    (Flaw::BumpsAnswerOldRecord, Promise::Adding),
    (Flaw::BumpsAreNotAnnounced, Promise::Announcing),
    (Flaw::NeverReady, Promise::Watching),
    (Flaw::ReadyTooEarly, Promise::Announcing),
    (Flaw::EndsWatch, Promise::Watching),
    (Flaw::WatchesOnce, Promise::Watching),
    (Flaw::ForgetsOne, Promise::Announcing),
    (Flaw::HearsOwnWritesOnly, Promise::Announcing),
    (Flaw::AnnouncesInVain, Promise::Truth),
    (Flaw::AnnouncesFirst, Promise::Truth),
    (Flaw::AnnouncesAnotherVersion, Promise::Announcing),
    (Flaw::AnnouncesInLowerCase, Promise::Announcing),
    (Flaw::AnnouncesShortRecords, Promise::Announcing),
    (Flaw::AnnouncesTooLate, Promise::Announcing),
];

/// Flaws that show only between two processes.
const BETWEEN: [Flaw; 3] = [Flaw::ReadsAreOld, Flaw::LocksOnlyItself, Flaw::HearsOwnWritesOnly];

async fn check(flaw: Flaw) -> Result<(), purgatory::storage::Breach> {
    let storage = Flawed::new(flaw);
    let other = storage.other();
    contract_between(Arc::new(storage), Arc::new(other)).await
}

#[tokio::test]
async fn a_storage_in_memory_keeps_it() {
    contract(Arc::new(MemoryStorage::new())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_it_on_many_threads_and_between_handles() {
    let storage = MemoryStorage::new();
    contract_between(Arc::new(storage.clone()), Arc::new(storage)).await.unwrap();
}

#[tokio::test]
async fn a_storage_with_nothing_but_writes_keeps_it() {
    contract(Arc::new(Bare(MemoryStorage::new()))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_forgets_nothing_keeps_it() {
    check(Flaw::NothingExpires).await.unwrap();
}

#[tokio::test]
async fn a_storage_in_use_is_checked_again_and_again() {
    let storage = MemoryStorage::new();
    for _ in 0..2 {
        contract(Arc::new(storage.clone())).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn on_paused_time_it_takes_as_long_and_no_time() {
    let began = tokio::time::Instant::now();
    check(Flaw::None).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn every_flaw_is_found() {
    let mut missed = Vec::new();
    for (flaw, promise) in FLAWS {
        let found = check(flaw).await;
        println!("{flaw:?}: {found:?}");
        if found.as_ref().err().map(|breach| breach.promise) != Some(promise) {
            missed.push((flaw, found));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[tokio::test(start_paused = true)]
async fn one_handle_shows_what_one_process_sees() {
    let mut others = FLAWS.into_iter().filter(|(flaw, _)| !BETWEEN.contains(flaw));
    for (flaw, promise) in others.by_ref() {
        let found = contract(Arc::new(Flawed::new(flaw))).await.map_err(|breach| breach.promise);
        assert_eq!(found, Err(promise), "{flaw:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_breach_says_what_was_done_and_found() {
    let breach = check(Flaw::SameBytesSameVersion).await.unwrap_err();
    let text = breach.to_string();
    assert!(text.starts_with("a version is more than 0, and grows with every write"), "{text}");
    assert!(breach.done.contains("records\" was written over version"), "{text}");
    assert!(breach.expected.starts_with("a version of more than "), "{text}");
    assert!(breach.found.contains("6 bytes \"second\""), "{text}");
    let breach = check(Flaw::TimeNowAndThen).await.unwrap_err();
    assert_eq!(breach.expected, "the time, as with the first answer");
    assert_eq!(breach.found, "no time");
    let breach = check(Flaw::StuckWhenDropped).await.unwrap_err();
    assert!(breach.done.ends_with("after others had been dropped"), "{breach}");
    let breach = check(Flaw::AnnouncesAnotherVersion).await.unwrap_err();
    assert!(breach.found.starts_with("at last version "), "{breach}");
    // The beginning of what is long.
    let breach = check(Flaw::CutsRecords).await.unwrap_err();
    assert!(breach.found.contains("8192 bytes") && breach.found.ends_with("\".."), "{breach}");
}
