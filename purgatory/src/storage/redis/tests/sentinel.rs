//! The master is who the Sentinels say.

use std::time::{Duration, Instant};

use super::server::{Server, ask, free_port};
use super::watched::{PATIENCE, Watched, patient, refusal, run};
use crate::storage::StorageError;

fn sentinel(master: u16) -> Server {
    sentinel_with(master, &[])
}

/// A Sentinel that knows a master of the name `main`, and replaces it after half a second.
pub(super) fn sentinel_with(master: u16, arguments: &[&str]) -> Server {
    let port = free_port();
    // In the folder of the server, which goes with it.
    let folder = std::env::temp_dir().join(format!("purgatory-{}-{port}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("sentinel.conf");
    let lines = format!(
        "sentinel monitor main 127.0.0.1 {master} 1\n\
         sentinel down-after-milliseconds main 500\n\
         sentinel failover-timeout main 3000\n"
    );
    std::fs::write(&file, lines).unwrap();
    let first = [file.to_str().unwrap(), "--sentinel"];
    Server::on(port, &[&first, arguments].concat())
}

fn master_of(sentinel: &Server) -> u16 {
    let question = "SENTINEL GET-MASTER-ADDR-BY-NAME main";
    let (_, port): (String, u16) = sentinel.ask(question);
    port
}

#[test]
fn the_master_is_followed_through_a_failover() {
    let mut master = Server::start();
    let replica = Server::with(&["--replicaof", "127.0.0.1", &master.port.to_string()]);
    let sentinel = sentinel(master.port);
    // It has to find the replica before it can promote it.
    let deadline = Instant::now() + PATIENCE;
    let known = || {
        let mut connection = sentinel.connection().unwrap();
        let replicas = ask::<Vec<redis::Value>>(&mut connection, &["SENTINEL", "REPLICAS", "main"]);
        !replicas.unwrap().is_empty()
    };
    while !known() {
        assert!(Instant::now() < deadline, "the replica stays unknown");
        std::thread::sleep(Duration::from_millis(20)); // As often as it is worth to look.
    }
    run(async {
        let nobody = format!("127.0.0.1:{}", free_port());
        let url = format!("redis://127.0.0.1:{}", sentinel.port);
        let storage = patient(url).sentinel("main", [nobody]).build().unwrap();
        let mut watched = Watched::ready(storage.clone()).await;
        assert!(watched.write("payments", 0, "x").await.applied);
        assert_eq!(master.ask::<i64>("EXISTS cb:{payments}"), 1);

        master.kill();
        let error = watched.end().await;
        assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
        let deadline = Instant::now() + PATIENCE;
        while master_of(&sentinel) != replica.port {
            assert!(Instant::now() < deadline, "there is no failover");
            tokio::time::sleep(Duration::from_millis(20)).await; // As often as it is worth to look.
        }
        let watched = Watched::ready(storage).await;
        assert!(watched.write("search", 0, "x").await.applied);
        assert_eq!(replica.ask::<i64>("EXISTS cb:{search}"), 1);
    });
}

#[test]
fn sentinel_and_master_have_passwords_of_their_own() {
    let master = Server::start();
    let _: () = master.ask("CONFIG SET masterauth geheim");
    let sentinel = sentinel(master.port);
    let _: () = sentinel.ask("ACL SETUSER watcher on >anders +@all");
    let _: () = sentinel.ask("SENTINEL SET main auth-pass geheim");
    let _: () = master.ask("ACL SETUSER breakers on >geheim ~cb:* &cb:* +@all");
    let _: () = sentinel.ask("ACL SETUSER default resetpass -@all +ping");
    let _: () = master.ask("ACL SETUSER default resetpass -@all +ping");
    run(async {
        let url = format!("redis://breakers:geheim@127.0.0.1:{}", sentinel.port);
        let builder = patient(url).sentinel("main", [""; 0]);
        let error = Watched::refused(builder.clone().build().unwrap()).await;
        let text = format!("127.0.0.1:{}: NOAUTH", sentinel.port);
        assert!(refusal(&error).starts_with(&text), "{error}");
        let storage = builder.sentinel_login("watcher", "anders").build().unwrap();
        Watched::ready(storage).await;
    });
}

#[test]
fn a_name_that_no_sentinel_knows_is_refused() {
    let sentinel = sentinel(free_port());
    run(async {
        let url = format!("redis://127.0.0.1:{}", sentinel.port);
        let storage = patient(url).sentinel("other", [""; 0]).build().unwrap();
        let error = Watched::refused(storage).await;
        let text = format!("127.0.0.1:{}: there is no master \"other\"", sentinel.port);
        assert_eq!(refusal(&error), text);
    });
}

#[test]
fn a_server_that_is_no_sentinel_does_not_know() {
    let server = Server::start();
    run(async {
        let storage = patient(server.url()).sentinel("main", [""; 0]).build().unwrap();
        let error = Watched::refused(storage).await;
        assert!(refusal(&error).contains("ERR unknown command 'SENTINEL'"), "{error}");
    });
}
