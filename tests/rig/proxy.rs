//! The modes of the proxy.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use purgatory_tests::servers::{Engine, Mode, Proxy, Server, wait_until};

/// The answers are the same on every engine: it is the proxy that is tested here.
const ENGINE: Engine = Engine::Redis;

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(10);

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Self(stream)
    }

    /// One that has had an answer, so that the proxy has it for certain.
    fn known(proxy: &Proxy) -> Self {
        let mut client = Self::of(proxy);
        client.send("PING");
        assert_eq!(client.receive(7), "+PONG\r\n");
        client
    }

    fn send(&mut self, command: &str) {
        self.0.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    }

    fn receive(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Waits for what is not to come.
    fn is_silent(&mut self) -> bool {
        self.0.set_read_timeout(Some(SHORT)).unwrap();
        let read = self.0.read(&mut [0]);
        self.0.set_read_timeout(Some(LONG)).unwrap();
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// How it ends, with nothing more to read.
    fn end(&mut self) -> Result<(), ErrorKind> {
        match self.0.read(&mut [0]) {
            Ok(read) => {
                assert_eq!(read, 0, "there was something to read");
                Ok(())
            }
            Err(error) => Err(error.kind()),
        }
    }
}

fn server_and_proxy() -> (Server, Proxy) {
    let server = Server::start(ENGINE);
    let proxy = Proxy::start(server.port());
    (server, proxy)
}

#[test]
fn pass_lets_all_through() {
    let (server, proxy) = server_and_proxy();
    assert_eq!(proxy.url(), format!("redis://127.0.0.1:{}/", proxy.port()));
    let mut client = Client::known(&proxy);
    let value = "x".repeat(100_000);
    client.send(&format!("*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$100000\r\n{value}"));
    assert_eq!(client.receive(5), "+OK\r\n");
    assert_eq!(server.ask::<usize>(&["STRLEN", "key"]), 100_000);
    client.send("QUIT");
    assert_eq!(client.receive(5), "+OK\r\n");
    assert_eq!(client.end(), Ok(()));
    assert_eq!(proxy.accepted(), 1);
}

#[test]
fn close_and_reset_end_connections_old_and_new() {
    let (_server, proxy) = server_and_proxy();
    for (mode, end) in [(Mode::Close, Ok(())), (Mode::Reset, Err(ErrorKind::ConnectionReset))] {
        let mut old = Client::known(&proxy);
        proxy.set(mode);
        assert_eq!(old.end(), end, "{mode:?}");
        assert_eq!(Client::of(&proxy).end(), end, "{mode:?}");
        proxy.set(Mode::Pass);
    }
    Client::known(&proxy);
}

#[test]
fn hang_is_silent_and_late() {
    let (server, proxy) = server_and_proxy();
    let mut old = Client::known(&proxy);
    proxy.set(Mode::Hang);
    let mut new = Client::of(&proxy);
    for client in [&mut old, &mut new] {
        client.send("INCR key");
        assert!(client.is_silent());
    }
    assert_eq!(server.ask::<Option<i64>>(&["GET", "key"]), None);
    proxy.set(Mode::Pass);
    let mut answers = [old.receive(4), new.receive(4)];
    answers.sort();
    assert_eq!(answers, [":1\r\n", ":2\r\n"]);
}

#[test]
fn delay_and_slice_take_their_time() {
    let (_server, proxy) = server_and_proxy();
    let mut client = Client::known(&proxy);
    // There and back, or the 13 bytes of both.
    for (mode, least) in [(Mode::Delay(SHORT), 2 * SHORT), (Mode::Slice(SHORT / 10), SHORT)] {
        proxy.set(mode);
        let begun = Instant::now();
        client.send("PING");
        assert_eq!(client.receive(7), "+PONG\r\n");
        assert!(begun.elapsed() >= least, "{mode:?} took {:?}", begun.elapsed());
    }
}

#[test]
fn slice_gives_a_byte_at_a_time() {
    let (_server, proxy) = server_and_proxy();
    let mut client = Client::known(&proxy);
    proxy.set(Mode::Slice(SHORT));
    client.send("PING");
    let mut buffer = [0; 7];
    assert_eq!(client.0.read(&mut buffer).unwrap(), 1);
}

#[test]
fn garbage_is_only_in_answers() {
    let (server, proxy) = server_and_proxy();
    proxy.set(Mode::Garbage);
    let mut client = Client::of(&proxy);
    client.send("SET key 1");
    let mut answer = [0; 5];
    client.0.read_exact(&mut answer).unwrap();
    assert_eq!(answer, b"+OK\r\n".map(|byte| byte ^ 0x55));
    assert_eq!(server.ask::<i64>(&["GET", "key"]), 1);
}

#[test]
fn cut_resets_each_connection_in_the_middle_of_an_answer() {
    let (server, proxy) = server_and_proxy();
    let mut old = Client::known(&proxy);
    proxy.set(Mode::Cut(6));
    for client in [&mut old, &mut Client::of(&proxy)] {
        client.send("INCR key");
        client.receive(4);
        client.send("PING");
        assert_eq!(client.receive(2), "+P");
        assert_eq!(client.end(), Err(ErrorKind::ConnectionReset));
    }
    assert_eq!(server.ask::<i64>(&["GET", "key"]), 2);
}

#[test]
fn one_way_does_and_does_not_tell() {
    let (server, proxy) = server_and_proxy();
    let mut client = Client::known(&proxy);
    proxy.set(Mode::OneWay);
    client.send("INCR key");
    assert!(client.is_silent());
    assert_eq!(server.ask::<i64>(&["GET", "key"]), 1);
    proxy.set(Mode::Pass);
    assert_eq!(client.receive(4), ":1\r\n");
}

#[test]
fn a_black_hole_keeps_what_it_has_and_takes_no_more() {
    let (server, proxy) = server_and_proxy();
    let mut old = Client::known(&proxy);
    proxy.set(Mode::BlackHoleExisting);
    old.send("INCR key");
    assert!(old.is_silent());
    let mut new = Client::known(&proxy);
    proxy.set(Mode::Pass);
    assert!(old.is_silent(), "it is for ever");
    assert_eq!(server.ask::<Option<i64>>(&["GET", "key"]), None);
    server.kill();
    assert_ne!(new.end(), Err(ErrorKind::WouldBlock));
    assert!(old.is_silent(), "not even the end of the server is heard");
}

#[test]
fn a_black_hole_ends_with_its_client() {
    let (server, proxy) = server_and_proxy();
    let clients = || server.ask::<String>(&["CLIENT", "LIST"]).lines().count();
    let before = clients();
    let [mut busy, idle] = [Client::known(&proxy), Client::known(&proxy)];
    proxy.set(Mode::BlackHoleExisting);
    busy.send("INCR key");
    assert!(busy.is_silent());
    assert_eq!(clients(), before + 2);
    drop((busy, idle));
    wait_until("the server to be told", LONG, || clients() == before);
    assert_eq!(server.ask::<Option<i64>>(&["GET", "key"]), None);
}

#[test]
fn a_dropped_proxy_takes_its_connections_with_it() {
    let (_server, proxy) = server_and_proxy();
    let mut clients = [Client::known(&proxy), Client::known(&proxy)];
    proxy.set(Mode::BlackHoleExisting);
    let (port, begun) = (proxy.port(), Instant::now());
    drop(proxy);
    assert!(begun.elapsed() < LONG / 10);
    for client in &mut clients {
        assert_eq!(client.end(), Ok(()));
    }
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[test]
fn without_a_server_connections_are_reset() {
    let (server, proxy) = server_and_proxy();
    server.kill();
    assert_eq!(Client::of(&proxy).end(), Err(ErrorKind::ConnectionReset));
    server.restart();
    Client::known(&proxy);
}
