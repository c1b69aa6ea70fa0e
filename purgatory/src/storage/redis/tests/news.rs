//! A watch delivers what others announce, and is told of failures.

use std::thread;

use super::server::Server;
use super::watched::{Told, Watched, patient, run};
use crate::storage::Storage;

#[test]
fn only_announced_writes_are_told() {
    let server = Server::start();
    run(async {
        let writer = Watched::ready(patient(server.url()).build().unwrap()).await;
        let mut watcher = Watched::ready(patient(server.url()).build().unwrap()).await;
        assert!(writer.write("payments", 0, "quiet").await.applied);
        let loud = writer.announce("search é", 0, "loud").await;
        // A conflict is no news.
        writer.announce("search é", 7, "never").await;
        let last = writer.announce("search é", loud.version, "last").await;
        assert_eq!(watcher.next().await, Some(Told::Changed("search é".into(), loud)));
        assert_eq!(watcher.next().await, Some(Told::Changed("search é".into(), last)));
        watcher.told.try_recv().unwrap_err();
    });
}

#[test]
fn news_of_other_scopes_and_databases_is_not_told() {
    let server = Server::start();
    run(async {
        let (url, eu) = (server.url(), patient(server.url()).scope("eu").build().unwrap());
        let mut watcher = Watched::ready(eu.clone()).await;
        for other in [
            patient(url.clone()).scope("us").build().unwrap(),
            patient(url.clone()).build().unwrap(),
            patient(format!("{url}/3")).scope("eu").build().unwrap(),
            patient(url.clone()).prefix("x").scope("eu").build().unwrap(),
        ] {
            Watched::ready(other).await.announce("payments", 0, "x").await;
        }
        let own = Watched::ready(eu).await.announce("payments", 0, "own").await;
        assert_eq!(watcher.next().await, Some(Told::Changed("payments".into(), own)));
    });
}

#[test]
fn what_is_published_by_strangers_is_not_told() {
    let server = Server::start();
    run(async {
        let mut watcher = Watched::ready(patient(server.url()).build().unwrap()).await;
        for message in ["", "hello", "cb:{payments}", "cb:{payments}_0_x", "cb:{payments}_x_1"] {
            let words = ["PUBLISH", "cb:ev", &message.replace('_', " ")];
            let mut connection = server.connection().unwrap();
            super::server::ask::<i64>(&mut connection, &words).unwrap();
        }
        let own = watcher.announce("payments", 0, "own").await;
        assert_eq!(watcher.next().await, Some(Told::Changed("payments".into(), own)));
    });
}

#[test]
fn a_storage_serves_several_factories() {
    let server = Server::start();
    let storage = patient(server.url()).build().unwrap();
    run(async {
        let mut here = Watched::ready(storage.clone()).await;
        let other = storage.clone();
        let there = thread::spawn(|| {
            run(async {
                let mut there = Watched::ready(other).await;
                let record = there.announce("payments", 0, "x").await;
                let told = Told::Changed("payments".into(), record.clone());
                assert_eq!(there.next().await, Some(told));
                record
            })
        });
        // Its runtime is gone, and with it its connection. That of this thread stays.
        let record = there.join().unwrap();
        assert_eq!(here.next().await, Some(Told::Changed("payments".into(), record)));
        assert!(here.load("payments").await.unwrap().record.is_some());
        assert!(!here.task.is_finished());
    });
}

#[test]
fn an_operation_goes_through_the_connection_of_its_thread() {
    let server = Server::start();
    let storage = patient(server.url()).build().unwrap();
    run(async {
        let mut here = Watched::ready(storage.clone()).await;
        thread::scope(|scope| {
            scope.spawn(|| {
                run(async {
                    let mut there = Watched::ready(storage.clone()).await;
                    let _: () = server.ask("CONFIG SET maxmemory 1");
                    there.try_write("payments", 0, "x", false).await.unwrap_err();
                    there.end().await;
                    let _: () = server.ask("CONFIG SET maxmemory 0");
                });
            });
        });
        assert!(here.load("payments").await.is_ok());
        assert!(!here.task.is_finished());
        here.told.try_recv().unwrap_err();
    });
}

#[test]
fn any_thread_may_ask() {
    let server = Server::start();
    let storage = patient(server.url()).build().unwrap();
    run(async {
        let watched = Watched::ready(storage.clone()).await;
        let (answered, answer) = tokio::sync::oneshot::channel();
        // It has no connection of its own, and this thread goes on running its own.
        let there = thread::spawn(move || answered.send(run(async { storage.load("x").await })));
        assert_eq!(answer.await.unwrap().unwrap().record, None);
        there.join().unwrap().unwrap();
        assert!(!watched.task.is_finished());
    });
}
