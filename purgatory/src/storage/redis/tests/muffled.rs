//! A server whose announcements do not arrive.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::RedisStorageBuilder;
use super::server::Server;
use super::watched::{PATIENCE, Told, Watched, run};
use crate::{CircuitBreakerFactory, Event, RedisStorage};

/// A line to a server that loses some of the messages that are pushed, or has them late.
#[derive(Clone)]
pub(super) struct Muffled {
    pub(super) port: u16,
    left: Arc<AtomicUsize>,
    delay: Option<Duration>,
}

impl Muffled {
    /// Loses so many.
    pub(super) fn new(server: u16, losses: usize) -> Self {
        Self::begin(server, losses, None)
    }

    fn begin(server: u16, losses: usize, delay: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let muffled = Self { port, left: Arc::new(losses.into()), delay };
        let line = muffled.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let ends = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || std::io::copy(&mut client, &mut server));
                let line = line.clone();
                thread::spawn(move || line.answer(ends.0, ends.1));
            }
        });
        muffled
    }

    /// Loses so many more, beginning with the next.
    pub(super) fn lose(&self, losses: usize) {
        self.left.store(losses, Ordering::SeqCst);
    }

    fn storage(&self) -> RedisStorageBuilder {
        // Half a second for an answer, and to be sought again after three.
        RedisStorage::builder(format!("redis://127.0.0.1:{}", self.port))
            .operation_timeout(Duration::from_millis(500))
            .heartbeat(Duration::from_millis(50))
    }

    fn answer(&self, mut server: TcpStream, mut client: TcpStream) {
        let mut chunk = [0; 65536];
        while let Ok(length @ 1..) = server.read(&mut chunk) {
            // On one machine, what is sent at a time arrives at a time.
            let mut text = String::from_utf8(chunk[..length].to_vec()).unwrap();
            while let Some(start) = text.find(">3\r\n$7\r\nmessage\r\n") {
                let less = |left: usize| left.checked_sub(1);
                if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_err() {
                    break;
                }
                // Seven lines: how many parts there are, and each of the three with its length.
                let end: usize = text[start..].split_inclusive("\r\n").take(7).map(str::len).sum();
                let message: String = text.drain(start..start + end).collect();
                if let Some(delay) = self.delay {
                    let mut client = client.try_clone().unwrap();
                    thread::spawn(move || {
                        // That is what it is for.
                        thread::sleep(delay);
                        let _ = client.write_all(message.as_bytes());
                    });
                }
            }
            if client.write_all(text.as_bytes()).is_err() {
                break;
            }
        }
    }
}

const UNHEARD: &str = "PUBLISH: it does not arrive";

#[test]
fn that_nothing_is_announced_is_told_and_the_rest_works() {
    let server = Server::start();
    let muffled = Muffled::new(server.port, usize::MAX);
    run(async {
        let mut watched = Watched::ready(muffled.storage().build().unwrap()).await;
        assert_eq!(watched.next().await, Some(Told::Unannounced(UNHEARD.into())));
        assert!(watched.write("payments", 0, "x").await.applied);
        assert!(!watched.task.is_finished());
    });
}

#[test]
fn what_is_not_announced_is_not_waited_for_as_long_as_an_answer() {
    let server = Server::start();
    let muffled = Muffled::new(server.port, usize::MAX);
    run(async {
        let storage = muffled.storage().operation_timeout(PATIENCE / 2).build().unwrap();
        let began = Instant::now();
        let mut watched = Watched::ready(storage).await;
        // A driver waits for five seconds.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(watched.next().await, Some(Told::Unannounced(UNHEARD.into())));
    });
}

#[test]
fn one_message_that_is_lost_or_late_is_no_reason_to_tell() {
    for delay in [None, Some(Duration::from_millis(700))] {
        let server = Server::start();
        let muffled = Muffled::begin(server.port, 1, delay);
        run(async {
            let mut watched = Watched::ready(muffled.storage().build().unwrap()).await;
            // Longer than it is waited for: nothing is to come of it.
            tokio::time::sleep(Duration::from_secs(2)).await;
            watched.told.try_recv().unwrap_err();
            let record = watched.announce("payments", 0, "x").await;
            assert_eq!(watched.next().await, Some(Told::Changed("payments".into(), record)));
        });
    }
}

#[test]
fn announcements_that_arrive_again_are_told() {
    let server = Server::start();
    let late = Muffled::begin(server.port, usize::MAX, Some(Duration::from_millis(1500)));
    for muffled in [Muffled::new(server.port, usize::MAX), late] {
        run(async {
            let mut watched = Watched::ready(muffled.storage().build().unwrap()).await;
            assert_eq!(watched.next().await, Some(Told::Unannounced(UNHEARD.into())));
            muffled.lose(0);
            assert_eq!(watched.next().await, Some(Told::Ready));
            muffled.lose(usize::MAX);
            // It is not looked for as long as nothing is known to be wrong: that nothing comes takes a while to see.
            tokio::time::sleep(Duration::from_secs(4)).await;
            watched.told.try_recv().unwrap_err();
        });
    }
}

#[test]
fn the_right_to_announce_is_noticed_when_it_is_given() {
    let server = Server::start();
    let _: () = server.ask("ACL SETUSER default -publish");
    let storage = Muffled::new(server.port, 0).storage();
    run(async {
        let mut watched = Watched::begin(storage.build().unwrap());
        assert!(matches!(watched.next().await, Some(Told::Unannounced(_))));
        assert_eq!(watched.next().await, Some(Told::Ready));
        let _: () = server.ask("ACL SETUSER default +publish");
        assert_eq!(watched.next().await, Some(Told::Ready));
    });
}

#[test]
fn circuits_are_asked_for_only_as_long_as_nothing_is_announced() {
    let server = Server::start();
    let muffled = Muffled::new(server.port, usize::MAX);
    let (told, events) = std::sync::mpsc::channel();
    let factory = CircuitBreakerFactory::builder()
        .storage(muffled.storage().build().unwrap())
        .listener(move |event: &Event| drop(told.send(event.clone())))
        .build()
        .unwrap();
    let _breaker = factory.get_breaker("payments").unwrap();
    let refused = |event: Event| matches!(event, Event::StorageRefused { circuit: None, .. });
    while !refused(events.recv_timeout(PATIENCE).unwrap()) {}
    let asked_in = |time| {
        let asked = || {
            let stats: String = server.ask("INFO commandstats");
            let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
            calls.unwrap().split(',').next().unwrap().parse::<u32>().unwrap()
        };
        let before = asked();
        // It is in this time that it is counted.
        thread::sleep(time);
        asked() - before
    };
    assert!(asked_in(Duration::from_millis(2500)) >= 2);
    muffled.lose(0);
    let deadline = Instant::now() + PATIENCE;
    while asked_in(Duration::from_millis(2500)) > 0 {
        assert!(Instant::now() < deadline, "it is asked for ever");
    }
    assert!(!events.try_iter().any(refused));
}
