//! Outcomes are added on the server.

use std::time::Duration;

use super::records::LAST;
use super::server::Server;
use super::watched::{Told, Watched, patient, run};
use crate::circuit::{Circuit, Phase, Run};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::record::{Read, Record, UpdateId};
use crate::storage::{Bump, Storage, StorageError, Stored};
use crate::update::{Decision, Update};

pub(super) fn failures(writer: u64, sequence: u64, count: u32) -> Update {
    let settings = Settings { threshold: 5, ..Settings::default() };
    let own = Circuit::restored(settings, 3, Timestamp::ORIGIN, Phase::Closed { failures: 0 });
    Update {
        id: UpdateId { writer, sequence },
        generation: 3,
        run: Run { head: count, reset: false, tail: 0, total: count.into() },
        decision: None,
        outcomes: Vec::new(),
        ask: None,
        own,
    }
}

pub(super) async fn add(storage: &Watched, update: &Update) -> Result<Stored, StorageError> {
    let bump = Bump::new("payments", Duration::from_secs(60), update);
    storage.storage.bump(&bump).unwrap().await
}

pub(super) fn circuit(stored: Stored) -> Circuit {
    match Record::decode(&stored.record.unwrap().bytes) {
        Read::Known(record) => record.circuit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failures_add_up_until_the_circuit_opens() {
    let server = Server::start();
    run(async {
        let mut storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        let one = add(&storage, &failures(1, 1, 2)).await.unwrap();
        assert_eq!(circuit(one.clone()).failures(), 2);
        let two = add(&storage, &failures(2, 1, 2)).await.unwrap();
        assert_eq!(circuit(two).failures(), 4);
        let three = add(&storage, &failures(1, 2, 1)).await.unwrap();
        let open = circuit(three.clone());
        assert_eq!(open.generation(), 4);
        assert_eq!(
            open.opened_at().map(|at| at.since_origin()),
            three.now.map(|now| { now.duration_since(std::time::UNIX_EPOCH).unwrap() })
        );
        let left = server.ask::<i64>("PTTL cb:{payments}");
        assert!((1..=60_000).contains(&left), "{left}");
        // That there are failures at all is news, and that it is open.
        for record in [one.record, three.record] {
            let told = Told::Changed("payments".into(), record.unwrap());
            assert_eq!(storage.next().await, Some(told));
        }
        storage.told.try_recv().unwrap_err();
    });
}

#[test]
fn what_was_added_is_not_added_again() {
    let server = Server::start();
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        let once = add(&storage, &failures(1, 7, 2)).await.unwrap().record;
        for sequence in [7, 6] {
            assert_eq!(add(&storage, &failures(1, sequence, 2)).await.unwrap().record, once);
        }
    });
}

#[test]
fn garbage_is_replaced_and_what_is_newer_left_alone() {
    let server = Server::start();
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        server.set("cb:{payments}", "garbage");
        let added = add(&storage, &failures(1, 1, 2)).await.unwrap();
        assert_eq!(circuit(added).failures(), 2);
        server.set("cb:{payments}", "1700000000000000 2 O 7 1 5 and more");
        let stored = add(&storage, &failures(1, 2, 2)).await.unwrap().record.unwrap();
        assert_eq!(stored.bytes, b"2 O 7 1 5 and more");
        assert_eq!(server.get("cb:{payments}").unwrap(), "1700000000000000 2 O 7 1 5 and more");
    });
}

#[test]
fn a_record_of_the_last_version_there_is_can_be_added_to() {
    let server = Server::start();
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        let added = add(&storage, &failures(1, 1, 1)).await.unwrap().record.unwrap();
        let added = String::from_utf8(added.bytes).unwrap();
        server.set("cb:{payments}", &format!("{LAST} {added}"));
        let stored = add(&storage, &failures(1, 2, 1)).await.unwrap();
        assert!(stored.record.as_ref().is_some_and(|record| record.version < LAST));
        assert_eq!(circuit(stored).failures(), 2);
    });
}

#[test]
fn two_that_find_garbage_both_count() {
    let server = Server::start();
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        server.set("cb:{payments}", "garbage");
        // Both are answered before either writes.
        let other = storage.storage.clone();
        let other = tokio::spawn(async move {
            let update = failures(2, 1, 2);
            let bump = Bump::new("payments", Duration::from_secs(60), &update);
            other.bump(&bump).unwrap().await.unwrap();
        });
        add(&storage, &failures(1, 1, 2)).await.unwrap();
        other.await.unwrap();
        assert_eq!(circuit(storage.load("payments").await.unwrap()).failures(), 4);
    });
}

#[test]
fn many_writers_lose_nothing() {
    let server = Server::start();
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        let mut tasks = Vec::new();
        for writer in 0..8 {
            let storage = storage.storage.clone();
            tasks.push(tokio::spawn(async move {
                for sequence in 1..=64 {
                    let mut update = failures(writer, sequence, 1);
                    update.own.set_settings(Settings { threshold: 1_000, ..Settings::default() });
                    let bump = Bump::new("payments", Duration::from_secs(60), &update);
                    storage.bump(&bump).unwrap().await.unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(circuit(storage.load("payments").await.unwrap()).failures(), 8 * 64);
    });
}

#[test]
fn a_decision_is_no_bump() {
    run(async {
        let storage = patient("redis://127.0.0.1".into()).build().unwrap();
        let mut update = failures(1, 1, 1);
        update.decision = Some(Decision::Register);
        assert!(storage.bump(&Bump::new("payments", Duration::ZERO, &update)).is_none());
    });
}

#[test]
fn another_type_cannot_be_added_to() {
    let server = Server::start();
    run(async {
        let storage = Watched::ready(patient(server.url()).build().unwrap()).await;
        let _: i64 = server.ask("LPUSH cb:{payments} x");
        let error = add(&storage, &failures(1, 1, 1)).await.unwrap_err();
        assert!(matches!(error, StorageError::Unusable(_)), "{error}");
        assert!(!storage.task.is_finished());
    });
}
