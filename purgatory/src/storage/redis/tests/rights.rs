//! Who may do what is needed, and no more.

use super::server::Server;
use super::watched::{Told, Watched, patient, refusal, run};

/// As the documentation of the storage has it.
const LEAST: &str = "-@all +hello +get +set +time +publish +subscribe +evalsha +script|load";

fn server(rights: &str) -> Server {
    let server = Server::start();
    let _: () = server.ask(&format!("ACL SETUSER breakers on >geheim ~cb:* &cb:* {rights}"));
    // What is refused is written down, and so is what a client does not notice.
    let _: () = server.ask("ACL LOG RESET");
    server
}

fn login(server: &Server) -> super::super::RedisStorage {
    patient(server.url()).user("breakers").password("geheim").build().unwrap()
}

#[test]
fn the_least_rights_suffice() {
    let server = server(LEAST);
    run(async {
        let mut watched = Watched::ready(login(&server)).await;
        let record = watched.announce("payments", 0, "x").await;
        assert_eq!(watched.load("payments").await.unwrap().record, Some(record.clone()));
        assert_eq!(watched.next().await, Some(Told::Changed("payments".into(), record)));
        let refused: Vec<redis::Value> = server.ask("ACL LOG");
        assert_eq!(refused, []);
    });
}

#[test]
fn each_of_the_rights_is_needed() {
    // Whoever greets is still the default user, and whether publishing works is another matter.
    let needed = |right: &&str| !["-@all", "+hello", "+publish"].contains(right);
    for right in LEAST.split(' ').filter(needed) {
        let server = server(&LEAST.replace(right, ""));
        run(async {
            let error = Watched::refused(login(&server)).await;
            let texts = ["NOPERM", "The user executing the script can't run"];
            let told = texts.iter().any(|text| refusal(&error).contains(text));
            assert!(told, "without {right}: {error}");
            assert!(!error.to_string().contains("geheim"));
        });
    }
}

#[test]
fn without_announcements_the_rest_works() {
    let server = server(&LEAST.replace("+publish", ""));
    run(async {
        let mut watched = Watched::begin(login(&server));
        let Some(Told::Unannounced(cause)) = watched.next().await else { panic!("not told") };
        assert!(cause.starts_with("PUBLISH: ERR "), "{cause}");
        assert_eq!(watched.next().await, Some(Told::Ready));
        let swap = watched.try_write("payments", 0, "x", true).await.unwrap();
        assert!(swap.applied);
        assert_eq!(watched.load("payments").await.unwrap().record, swap.stored.record);
        // Once is enough.
        watched.told.try_recv().unwrap_err();
    });
}

#[test]
fn announcements_that_end_are_noticed_at_the_next() {
    let server = server(LEAST);
    run(async {
        let mut watched = Watched::ready(login(&server)).await;
        let _: () = server.ask("ACL SETUSER breakers -publish");
        assert!(watched.try_write("payments", 0, "x", true).await.unwrap().applied);
        assert!(matches!(watched.next().await, Some(Told::Unannounced(_))));
    });
}

#[test]
fn a_wrong_password_is_refused_and_not_shown() {
    let server = server(LEAST);
    run(async {
        let url = server.url();
        for storage in [
            patient(url.clone()).user("breakers").password("falsch"),
            patient(url.clone()).user("nobody").password("falsch"),
            patient(url.replace("//", "//breakers:falsch@")),
        ] {
            let error = Watched::refused(storage.build().unwrap()).await;
            assert!(refusal(&error).contains(": WRONGPASS "), "{error}");
            assert!(!error.to_string().contains("falsch"), "{error}");
        }
        let _: () = server.ask("ACL SETUSER default resetpass >auch-geheim");
        let error = Watched::refused(patient(url).build().unwrap()).await;
        assert!(refusal(&error).contains("NOAUTH "), "{error}");
    });
}

#[test]
fn a_password_is_enough_for_the_default_user() {
    let server = Server::start();
    let _: () = server.ask("CONFIG SET requirepass geheim");
    run(async {
        Watched::ready(patient(server.url()).password("geheim").build().unwrap()).await;
        let url = server.url().replace("//", "//:geheim@");
        Watched::ready(patient(url).build().unwrap()).await;
    });
}

#[test]
fn rights_that_are_taken_away_end_the_watch() {
    let server = server(LEAST);
    run(async {
        let mut watched = Watched::ready(login(&server)).await;
        let _: () = server.ask("ACL SETUSER breakers -evalsha");
        let error = watched.load("payments").await.unwrap_err();
        assert!(refusal(&error).starts_with("NOPERM "), "{error}");
        assert_eq!(watched.end().await, error);
    });
}

#[test]
fn the_password_is_not_in_what_an_operation_is_refused_with() {
    let server = server(LEAST);
    // No server sends it back, so it is a word of what this one says.
    let _: () = server.ask("ACL SETUSER breakers >evalsha");
    run(async {
        let storage = patient(server.url()).user("breakers").password("evalsha").build().unwrap();
        let mut watched = Watched::ready(storage).await;
        let _: () = server.ask("ACL SETUSER breakers -evalsha");
        let error = watched.load("payments").await.unwrap_err();
        assert!(refusal(&error).contains("run the '***' command"), "{error}");
        assert_eq!(watched.end().await, error);
    });
}
