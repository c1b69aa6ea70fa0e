//! A server whose announcements do not arrive.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::super::RedisStorage;
use super::server::Server;
use super::watched::{Told, Watched, run};

/// Passes on all but the messages that the server pushes. Returns where.
fn muffled(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (mut answers, mut to_client) =
                (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut client, &mut server));
            thread::spawn(move || {
                let mut chunk = [0; 65536];
                while let Ok(length @ 1..) = answers.read(&mut chunk) {
                    if to_client.write_all(&without_messages(&chunk[..length])).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// On one machine, what is sent at a time arrives at a time.
fn without_messages(chunk: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(chunk.to_vec()).unwrap();
    let Some(start) = text.find(">3\r\n$7\r\nmessage\r\n") else { return chunk.to_vec() };
    // Seven lines: how many parts there are, and each of the three with its length.
    let end: usize = text[start..].split_inclusive("\r\n").take(7).map(str::len).sum();
    [&chunk[..start], &chunk[start + end..]].concat()
}

#[test]
fn that_nothing_is_announced_is_told_and_the_rest_works() {
    let server = Server::start();
    let port = muffled(server.port);
    run(async {
        let storage = RedisStorage::builder(format!("redis://127.0.0.1:{port}"));
        let storage = storage.operation_timeout(Duration::from_secs(1)).build().unwrap();
        let mut watched = Watched::begin(storage);
        let expected = Told::Unannounced("PUBLISH: it does not arrive".into());
        assert_eq!(watched.next().await, Some(expected));
        assert_eq!(watched.next().await, Some(Told::Ready));
        assert!(watched.write("payments", 0, "x").await.applied);
        assert!(!watched.task.is_finished());
    });
}
