//! The first failure ends a watch, and nothing is left of its connection.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::super::RedisStorage;
use super::server::{Server, free_port};
use super::watched::{PATIENCE, Watched, patient, refusal, run};
use crate::storage::{Storage, StorageError};

fn not_connected() -> StorageError {
    StorageError::Unavailable("not connected".into())
}

fn unavailable(error: &StorageError) -> &str {
    match error {
        StorageError::Unavailable(cause) => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn without_a_watch_there_is_no_connection() {
    run(async {
        let storage = RedisStorage::builder("redis://127.0.0.1:1").build().unwrap();
        assert_eq!(storage.load("payments").await, Err(not_connected()));
    });
}

#[test]
fn a_closed_port_is_told_with_its_address() {
    run(async {
        let port = free_port();
        let storage = RedisStorage::builder(format!("redis://127.0.0.1:{port}")).build().unwrap();
        let error = Watched::refused(storage).await;
        let expected = format!("127.0.0.1:{port}: Connection refused (os error 111)");
        assert_eq!(unavailable(&error), expected);
    });
}

#[test]
fn a_host_that_does_not_exist_is_unavailable() {
    run(async {
        let storage = RedisStorage::builder("redis://no.such.host.invalid").build().unwrap();
        let error = Watched::refused(storage).await;
        assert!(unavailable(&error).starts_with("no.such.host.invalid:6379: "), "{error}");
    });
}

#[test]
fn a_server_that_hangs_is_noticed_by_the_heartbeat() {
    let server = Server::start();
    run(async {
        let (heartbeat, timeout) = (Duration::from_millis(500), Duration::from_millis(250));
        let storage = RedisStorage::builder(server.url());
        let storage = storage.heartbeat(heartbeat).operation_timeout(timeout).build().unwrap();
        let mut watched = Watched::ready(storage).await;
        server.signal("STOP");
        let began = Instant::now();
        let error = watched.end().await;
        let took = began.elapsed();
        assert_eq!(unavailable(&error), "no answer within 250ms");
        assert!(took < heartbeat + timeout + Duration::from_millis(250), "{took:?}");
        assert_eq!(watched.load("payments").await, Err(not_connected()));
        // It accepts connections all the same, and the next watch finds out by itself.
        let error = Watched::refused(watched.storage.clone()).await;
        let cause = unavailable(&error);
        assert!(cause.ends_with("no answer within 1s"), "{cause}");
        server.signal("CONT");
        Watched::ready(watched.storage).await;
    });
}

#[test]
fn an_operation_without_an_answer_ends_the_watch() {
    let server = Server::start();
    run(async {
        let timeout = Duration::from_millis(250);
        let storage = RedisStorage::builder(server.url()).operation_timeout(timeout);
        let storage = storage.heartbeat(Duration::from_secs(3600)).build().unwrap();
        let mut watched = Watched::ready(storage).await;
        server.signal("STOP");
        let began = Instant::now();
        let error = watched.load("payments").await.unwrap_err();
        let took = began.elapsed();
        assert!(timeout <= took && took < 2 * timeout, "{took:?}");
        assert_eq!(watched.load("payments").await, Err(not_connected()));
        assert_eq!(watched.end().await, error);
        server.signal("CONT");
    });
}

#[test]
fn a_connection_that_is_closed_is_noticed_at_once() {
    let mut server = Server::start();
    run(async {
        let storage = patient(server.url()).heartbeat(Duration::from_secs(3600)).build().unwrap();
        for kind in ["normal", "pubsub"] {
            let mut watched = Watched::ready(storage.clone()).await;
            let _: i64 = server.ask(&format!("CLIENT KILL TYPE {kind}"));
            if kind == "normal" {
                // A connection that subscribes is no normal one, whatever else it does.
                assert!(watched.load("payments").await.is_ok());
                let _: i64 = server.ask("CLIENT KILL TYPE pubsub");
            }
            assert_eq!(unavailable(&watched.end().await), "the connection was closed");
            assert_eq!(watched.load("payments").await, Err(not_connected()));
        }
        let mut watched = Watched::ready(storage.clone()).await;
        server.kill();
        assert_eq!(unavailable(&watched.end().await), "the connection was closed");
        server.restart();
        Watched::ready(storage).await;
    });
}

#[test]
fn dropping_a_watch_closes_its_connection() {
    let server = Server::start();
    run(async {
        let watched = Watched::ready(patient(server.url()).build().unwrap()).await;
        let subscribers = || server.ask::<(String, i64)>("PUBSUB NUMSUB cb:ev").1;
        assert_eq!(subscribers(), 1);
        watched.task.abort();
        let deadline = Instant::now() + PATIENCE;
        while subscribers() > 0 {
            assert!(Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        assert_eq!(watched.load("payments").await, Err(not_connected()));
    });
}

#[test]
fn whoever_waits_for_an_answer_hears_of_the_end() {
    let server = Server::start();
    run(async {
        let watched = Watched::ready(patient(server.url()).build().unwrap()).await;
        server.signal("STOP");
        let storage = watched.storage.clone();
        let waiting = tokio::spawn(async move { storage.load("payments").await });
        tokio::task::yield_now().await;
        watched.task.abort();
        let began = Instant::now();
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(unavailable(&error), "broken pipe");
        assert!(began.elapsed() < Duration::from_secs(1));
        server.signal("CONT");
    });
}

#[test]
fn a_replica_refuses() {
    let (server, master) = (Server::start(), Server::start());
    run(async {
        let storage = patient(server.url()).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        let _: () = server.ask(&format!("REPLICAOF 127.0.0.1 {}", master.port));
        let error = watched.try_write("payments", 0, "x", true).await.unwrap_err();
        assert!(refusal(&error).starts_with("READONLY "), "{error}");
        assert_eq!(watched.end().await, error);
        assert_eq!(watched.load("payments").await, Err(not_connected()));
        // It can be read, and yet does not count as up.
        let error = Watched::refused(storage.clone()).await;
        assert!(refusal(&error).starts_with("READONLY "), "{error}");
        let _: () = server.ask("REPLICAOF NO ONE");
        Watched::ready(storage).await;
    });
}

#[test]
fn a_full_server_refuses() {
    let server = Server::start();
    run(async {
        let storage = patient(server.url()).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        let _: () = server.ask("CONFIG SET maxmemory 1");
        let error = watched.try_write("payments", 0, "x", true).await.unwrap_err();
        assert!(refusal(&error).starts_with("OOM "), "{error}");
        assert_eq!(watched.end().await, error);
        assert!(refusal(&Watched::refused(storage.clone()).await).starts_with("OOM "));
        let _: () = server.ask("CONFIG SET maxmemory 0");
        let watched = Watched::ready(storage).await;
        assert_eq!(watched.load("payments").await.unwrap().record, None);
    });
}

#[test]
fn a_server_that_lacks_its_replicas_refuses() {
    let server = Server::start();
    run(async {
        let storage = patient(server.url()).build().unwrap();
        let _: () = server.ask("CONFIG SET min-replicas-to-write 1");
        let error = Watched::refused(storage).await;
        assert!(refusal(&error).starts_with("NOREPLICAS "), "{error}");
    });
}

#[test]
fn a_health_key_of_another_type_refuses() {
    let server = Server::start();
    run(async {
        let _: i64 = server.ask("LPUSH cb:health x");
        let error = Watched::refused(patient(server.url()).build().unwrap()).await;
        assert!(refusal(&error).starts_with("WRONGTYPE "), "{error}");
    });
}

#[test]
fn a_server_that_still_loads_refuses() {
    let mut server = Server::start();
    run(async {
        let _: () = server.ask("DEBUG POPULATE 20000 key 100");
        let _: () = server.ask("SAVE");
        server.kill();
        server.restart_with(
            &["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"],
            "loading the dataset",
        );
        let error = Watched::refused(patient(server.url()).build().unwrap()).await;
        assert!(refusal(&error).starts_with("LOADING "), "{error}");
    });
}

#[test]
fn a_server_with_too_many_clients_refuses() {
    let server = Server::start();
    run(async {
        let _held = server.connection().unwrap();
        let _: () = server.ask("CONFIG SET maxclients 1");
        let error = Watched::refused(patient(server.url()).build().unwrap()).await;
        match error {
            StorageError::Refused(cause) => {
                assert!(cause.ends_with("ERR max number of clients reached"), "{cause}");
            }
            // It hangs up as well, which may be noticed first.
            other => assert!(matches!(other, StorageError::Unavailable(_))),
        }
    });
}

#[test]
fn a_server_without_scripts_refuses() {
    let server = Server::with(&["--rename-command", "EVALSHA", ""]);
    run(async {
        let error = Watched::refused(patient(server.url()).build().unwrap()).await;
        assert_eq!(refusal(&error), "ERR unknown command 'EVALSHA'");
    });
}

#[test]
fn what_is_no_server_is_unavailable_and_learns_no_password_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stranger = std::thread::spawn(move || {
        for replies in [
            &["HTTP/1.1 400 Bad Request\r\n\r\n"][..],
            &["-ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'geheim'\r\n"],
            &["-ERR I do not like geheim\r\n"],
            // To the greeting, and to what comes after it.
            &["%1\r\n$6\r\nserver\r\n$5\r\nredis\r\n", "-ERR I remember geheim\r\n"],
        ] {
            let (mut stream, _) = listener.accept().unwrap();
            for reply in replies {
                let _ = stream.read(&mut [0; 1024]);
                stream.write_all(reply.as_bytes()).unwrap();
            }
        }
    });
    run(async {
        let storage = patient(format!("redis://:geheim@{address}")).build().unwrap();
        let error = Watched::refused(storage.clone()).await;
        assert!(unavailable(&error).starts_with(&address.to_string()), "{error}");
        let error = Watched::refused(storage.clone()).await;
        assert_eq!(refusal(&error), format!("{address}: ERR unknown command 'HELLO'"));
        let error = Watched::refused(storage.clone()).await;
        assert_eq!(refusal(&error), format!("{address}: ERR I do not like ***"));
        let error = Watched::refused(storage).await;
        assert_eq!(refusal(&error), "SUBSCRIBE: ERR I remember ***");
    });
    stranger.join().unwrap();
}
