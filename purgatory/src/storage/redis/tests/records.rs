//! Records are read, and replaced by whoever knows what is there.

use std::time::{Duration, SystemTime};

use super::bumping;
use super::server::Server;
use super::watched::{Watched, patient, run};
use crate::record::{Read, Record};
use crate::storage::{Storage, StorageError, Versioned, Write};

async fn watched(server: &Server) -> Watched {
    Watched::ready(patient(server.url()).build().unwrap()).await
}

#[test]
fn nothing_is_there_before_the_first_write() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let stored = storage.load("payments").await.unwrap();
        assert_eq!(stored.record, None);
        let apart = SystemTime::now().duration_since(stored.now.unwrap()).unwrap_or_default();
        assert!(apart < Duration::from_secs(10), "the time is the server's");
    });
}

#[test]
fn a_write_needs_the_version_that_it_replaces() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let too_late = storage.write("payments", 7, "never").await;
        assert_eq!((too_late.applied, too_late.stored.record), (false, None));

        let first = storage.write("payments", 0, "one").await;
        let one = first.stored.record.unwrap();
        assert!(first.applied);
        assert_eq!(one.bytes, b"one");

        for expected in [0, one.version - 1, one.version + 1] {
            let conflict = storage.write("payments", expected, "two").await;
            assert_eq!((conflict.applied, conflict.stored.record), (false, Some(one.clone())));
        }
        let second = storage.write("payments", one.version, "two").await;
        let two = second.stored.record.unwrap();
        assert!(second.applied && two.version > one.version);
        assert_eq!(storage.load("payments").await.unwrap().record, Some(two));
    });
}

#[test]
fn of_many_at_the_same_time_one_writes() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let one = storage.write("payments", 0, "one").await.stored.record.unwrap();
        let mut tasks = Vec::new();
        for i in 0..64 {
            let (storage, expected) = (storage.storage.clone(), one.version);
            tasks.push(tokio::spawn(async move {
                let (bytes, expires_in) = (i.to_string(), Duration::from_secs(60));
                let (circuit, bytes) = ("payments", bytes.as_bytes());
                let write = Write { circuit, expected, bytes, expires_in, announce: true };
                storage.compare_and_set(write).await.unwrap().applied
            }));
        }
        let mut applied = 0;
        for task in tasks {
            applied += u32::from(task.await.unwrap());
        }
        assert_eq!(applied, 1);
    });
}

#[test]
fn versions_grow_also_across_a_deletion() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let mut last = 0;
        for _ in 0..20 {
            let record = storage.write("payments", 0, "x").await.stored.record.unwrap();
            assert!(record.version > last, "{} after {last}", record.version);
            last = record.version;
            assert_eq!(server.ask::<i64>("DEL cb:{payments}"), 1);
        }
        // Whatever the clock says.
        server.set("cb:{payments}", "5000000000000000 x");
        let record = storage.write("payments", 5_000_000_000_000_000, "y").await.stored.record;
        let version = 5_000_000_000_000_001;
        assert_eq!(record, Some(Versioned { version, bytes: b"y".to_vec() }));
    });
}

#[test]
fn the_last_version_there_is_gives_way_to_the_time() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        for (found, expected) in [(LAST - 1, LAST - 1), (LAST, LAST), (LAST + 1, 0)] {
            server.set("cb:{payments}", &format!("{found} x"));
            let swap = storage.write("payments", expected, "y").await;
            let record = swap.stored.record.unwrap();
            assert_eq!((swap.applied, &*record.bytes), (true, &b"y"[..]), "over {found}");
            assert_eq!(storage.load("payments").await.unwrap().record, Some(record.clone()));
            assert!(if found < LAST { record.version == LAST } else { record.version < LAST / 2 });
        }
    });
}

/// The next one is too much for the numbers of Lua.
pub(super) const LAST: u64 = (1 << 53) - 2;

#[test]
fn a_record_expires_when_it_was_told_to() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let (circuit, bytes, expires_in) = ("payments", &b"x"[..], Duration::from_millis(123_456));
        let write = Write { circuit, expected: 0, bytes, expires_in, announce: false };
        let record = storage.storage.compare_and_set(write).await.unwrap().stored.record.unwrap();
        let left = || server.ask::<i64>("PTTL cb:{payments}");
        assert!((100_000..=123_456).contains(&left()), "{}", left());
        // Every write begins the time anew.
        let expires_in = Duration::from_secs(1_000);
        let write = Write { expected: record.version, expires_in, ..write };
        assert!(storage.storage.compare_and_set(write).await.unwrap().applied);
        assert!((900_000..=1_000_000).contains(&left()), "{}", left());
        let health = server.ask::<i64>("PTTL cb:health");
        assert!((1..=60_000).contains(&health), "{health}");
    });
}

#[test]
fn what_no_storage_has_written_counts_as_absent() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        for garbage in ["", "garbage", "12345678901234567890 1 C", "-1 x"] {
            server.set("cb:{payments}", garbage);
            let bytes = garbage.as_bytes().to_vec();
            let found = storage.load("payments").await.unwrap().record;
            assert_eq!(found, Some(Versioned { version: 0, bytes }), "{garbage:?}");
            assert!(!storage.write("payments", 7, "x").await.applied, "{garbage:?}");
            assert!(storage.write("payments", 0, "x").await.applied, "{garbage:?}");
        }
        // Zeros before the number make no other number.
        server.set("cb:{payments}", "0007 x");
        assert!(storage.write("payments", 7, "x").await.applied);
    });
}

#[test]
fn bytes_come_back_as_they_were() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let bytes: Vec<u8> = (0..=255).chain(*b" \r\n%s %d").collect();
        let circuit = "a b}{%é\u{1F600}";
        let (expected, expires_in) = (0, Duration::from_secs(60));
        let write = Write { circuit, expected, bytes: &bytes, expires_in, announce: false };
        assert!(storage.storage.compare_and_set(write).await.unwrap().applied);
        assert_eq!(storage.load(circuit).await.unwrap().record.unwrap().bytes, bytes);
        assert_eq!(server.ask::<i64>("EXISTS cb:{a%20b%7D%7B%25%C3%A9%F0%9F%98%80}"), 1);
    });
}

#[test]
fn prefix_scope_and_database_keep_storages_apart() {
    let server = Server::start();
    run(async {
        let url = server.url();
        let storages = [
            patient(url.clone()).build().unwrap(),
            patient(url.clone()).prefix("other:cb").build().unwrap(),
            patient(url.clone()).scope("eu").build().unwrap(),
            patient(format!("{url}/3")).build().unwrap(),
        ];
        let mut open = Vec::new();
        for (storage, record) in storages.into_iter().zip(["plain", "prefix", "scope", "database"])
        {
            let storage = Watched::ready(storage).await;
            assert!(storage.write("payments", 0, record).await.applied, "{record}");
            open.push((storage, record));
        }
        for (storage, record) in &open {
            let found = storage.load("payments").await.unwrap().record.unwrap();
            assert_eq!(found.bytes, record.as_bytes());
        }
        let mut keys: Vec<String> = server.ask("KEYS *{*");
        keys.sort();
        assert_eq!(keys, ["cb:{eu/payments}", "cb:{payments}", "other:cb:{payments}"]);
    });
}

#[test]
fn another_type_spoils_its_own_circuit_only() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let _: i64 = server.ask("LPUSH cb:{payments} x");
        let expected = "WRONGTYPE Operation against a key holding the wrong kind of value";
        let unusable = StorageError::Unusable(expected.into());
        assert_eq!(storage.load("payments").await, Err(unusable.clone()));
        assert_eq!(storage.try_write("payments", 0, "x", true).await, Err(unusable));
        assert!(storage.write("search", 0, "x").await.applied);
        assert!(!storage.task.is_finished());
        assert_eq!(server.ask::<String>("TYPE cb:{payments}"), "list");
    });
}

#[test]
fn another_type_spoils_its_own_circuit_only_in_the_layout_of_python() {
    let server = Server::start();
    run(async {
        let storage = patient(server.url()).python_layout().build().unwrap();
        let storage = Watched::ready(storage).await;
        // In these words: those of a script that fails begin with something else before Redis 7.
        let expected = "WRONGTYPE Operation against a key holding the wrong kind of value";
        let unusable = StorageError::Unusable(expected.into());
        for key in ["cbr::payments", "cbr::orders::failure_count"] {
            let _: i64 = server.ask(&format!("LPUSH {key} x"));
            let circuit = key.split("::").nth(1).unwrap();
            assert_eq!(storage.load(circuit).await, Err(unusable.clone()));
            assert_eq!(server.ask::<String>(&format!("TYPE {key}")), "list");
        }
        assert_eq!(storage.load("search").await.unwrap().record, None);
        assert!(!storage.task.is_finished());
    });
}

/// Over a network it would take longer to send all of it than an operation may.
#[test]
fn something_huge_spoils_its_own_circuit_only() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        for (found, was) in [("", 0), ("7 ", 7)] {
            server.set("cb:{payments}", found);
            let _: i64 = server.ask("SETRANGE cb:{payments} 40000000 x");
            let Versioned { version, bytes } =
                storage.load("payments").await.unwrap().record.unwrap();
            assert_eq!(version, was);
            assert_eq!(Record::decode(&bytes), Read::Garbled);
            assert!(bytes.len() < 100_000, "{} bytes were sent", bytes.len());
            let added = bumping::add(&storage, &bumping::failures(1, 1, 2)).await.unwrap();
            assert_eq!(bumping::circuit(added).failures(), 2);
            server.set("cb:{payments}", found);
            let _: i64 = server.ask("SETRANGE cb:{payments} 40000000 x");
            let refused = storage.write("payments", version + 1, "x").await;
            assert!(!refused.applied);
            assert_eq!(refused.stored.record.unwrap().version, version);
            assert!(storage.write("payments", version, "x").await.applied);
        }
    });
}

#[test]
fn a_server_that_has_lost_the_scripts_gets_them_again() {
    let server = Server::start();
    run(async {
        let storage = watched(&server).await;
        let mut version = 0;
        for _ in 0..3 {
            let _: () = server.ask("SCRIPT FLUSH");
            let swap = storage.write("payments", version, "x").await;
            assert!(swap.applied);
            version = swap.stored.record.unwrap().version;
            let _: () = server.ask("SCRIPT FLUSH");
            assert_eq!(storage.load("payments").await.unwrap().record.unwrap().version, version);
        }
        assert!(!storage.task.is_finished());
    });
}
