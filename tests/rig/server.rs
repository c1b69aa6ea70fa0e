//! Single servers.

use std::env;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime};

use purgatory_tests::servers::{Engine, Server, Value, faketime_library, openssl, wait_until};
use redis::{Client, RedisResult};

use crate::with_each_engine;

with_each_engine! {
    a_server_is_of_its_engine_and_begins_empty
    a_stopped_server_is_silent_until_it_resumes
    a_killed_server_is_gone_until_it_restarts
    a_dropped_server_is_gone_even_if_it_was_stopped
    a_server_ends_with_a_test_process_that_is_killed
    a_setting_holds_after_a_restart_too
    a_user_has_its_own_url
    a_server_speaks_tls
}

/// A connection that nobody answers for long ends the test, not the build.
fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn refuses(port: u16) -> bool {
    let answer = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn a_server_is_of_its_engine_and_begins_empty(engine: Engine) {
    let (server, other) = (Server::start(engine), Server::start(engine));
    let info: String = server.ask(&["INFO", "server"]);
    assert_eq!(info.contains("server_name:valkey"), engine == Engine::Valkey);
    assert!(info.contains(&format!("process_id:{}\r", server.pid())));
    assert_eq!(server.url(), format!("redis://127.0.0.1:{}/", server.port()));

    assert_eq!(server.command(&["SET", "key", "1"]), Value::Okay);
    assert_eq!(server.ask::<i64>(&["INCR", "key"]), 2);
    assert_eq!(other.command(&["GET", "key"]), Value::Nil);
    let error = server.try_ask::<()>(&["HGET", "key", "field"]).unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    // The rig itself sends nothing but these.
    let stats: String = other.ask(&["INFO", "commandstats"]);
    let seen: Vec<_> = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")).collect();
    assert!(seen.iter().all(|line| ["get:", "ping:"].iter().any(|own| line.starts_with(own))));
}

fn a_stopped_server_is_silent_until_it_resumes(engine: Engine) {
    let server = Server::start(engine);
    server.stop();
    let mut stream = connect(server.port());
    stream.write_all(b"PING\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut answer = [0; 7];
    assert_eq!(stream.read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    server.resume();
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

fn a_killed_server_is_gone_until_it_restarts(engine: Engine) {
    let server = Server::start(engine);
    let (port, pid) = (server.port(), server.pid());
    server.command(&["SET", "key", "1"]);
    server.kill();
    assert!(refuses(port));
    server.kill();
    server.restart();
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.command(&["GET", "key"]), Value::Nil);
}

fn a_dropped_server_is_gone_even_if_it_was_stopped(engine: Engine) {
    let server = Server::start(engine);
    let port = server.port();
    server.stop();
    drop(server);
    assert!(refuses(port));
}

fn a_server_ends_with_a_test_process_that_is_killed(engine: Engine) {
    const SELF: &str = "PURGATORY_RIG_IS_TO_BE_KILLED";
    if env::var_os(SELF).is_some() {
        let server = Server::start(engine);
        let [_, folder]: [String; 2] = server.ask(&["CONFIG", "GET", "dir"]);
        server.stop();
        println!("port {}\nfolder {folder}\nready", server.port());
        loop {
            thread::park();
        }
    }
    let name = thread::current().name().expect("tests have names").to_owned();
    let mut test = Command::new(env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(SELF, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = String::new();
    let mut stdout = test.stdout.take().unwrap();
    while !output.ends_with("ready\n") {
        let mut bytes = [0; 100];
        let read = stdout.read(&mut bytes).unwrap();
        assert_ne!(read, 0, "the other test has ended: {output}");
        output.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    let told = |what: &str| {
        let (_, line) = output.split_once(what).expect("it is told");
        line.lines().next().expect("there are more lines").to_owned()
    };
    let (port, folder) = (told("port ").parse().unwrap(), PathBuf::from(told("folder ")));
    assert!(folder.is_dir());
    assert!(!refuses(port), "it is stopped, its port is not");
    test.kill().unwrap();
    test.wait().unwrap();
    wait_until("the server to end", Duration::from_secs(10), || refuses(port));
    wait_until("its folder to go", Duration::from_secs(10), || !folder.exists());
}

fn a_setting_holds_after_a_restart_too(engine: Engine) {
    let server = Server::builder(engine).arg("--maxmemory", "1mb").start();
    for _ in 0..2 {
        let error = server.try_ask::<()>(&["SET", "key", &"x".repeat(1 << 20)]);
        let small = error.and_then(|()| server.try_ask::<()>(&["SET", "key", "x"]));
        assert_eq!(small.unwrap_err().code(), Some("OOM"));
        server.restart();
    }
    let kept = Server::builder(engine).arg("--appendonly", "yes").start();
    kept.command(&["SET", "key", "1"]);
    kept.restart();
    assert_eq!(kept.ask::<i64>(&["GET", "key"]), 1);
}

fn a_user_has_its_own_url(engine: Engine) {
    let server = Server::start(engine);
    server.command(&["ACL", "SETUSER", "worker", "on", ">secret", "~*", "+get", "+client"]);
    let ask = |password: &str| -> RedisResult<Value> {
        let mut connection = Client::open(server.url_as("worker", password))?.get_connection()?;
        redis::cmd("GET").arg("key").query(&mut connection)
    };
    assert_eq!(ask("secret").unwrap(), Value::Nil);
    assert!(ask("wrong").is_err());
}

fn a_server_speaks_tls(engine: Engine) {
    let server = Server::tls(engine);
    assert_eq!(server.url(), format!("rediss://localhost:{}/", server.port()));
    let ask = |host: &str| {
        let mut client = Command::new(openssl())
            .args(["s_client", "-quiet", "-verify_return_error", "-CAfile"])
            .arg(server.ca_path())
            .args(["-verify_hostname", host, "-connect", &format!("localhost:{}", server.port())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It may have ended over the certificate.
        let _ = client.stdin.take().unwrap().write_all(b"GET key\r\nQUIT\r\n");
        String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap()
    };
    server.command(&["SET", "key", "1"]);
    assert_eq!(ask("localhost"), "$1\r\n1\r\n+OK\r\n");
    assert_eq!(ask("example.com"), "");
}

#[test]
fn the_time_can_be_another_one() {
    let output = Command::new("date")
        .arg("+%s")
        .env("LD_PRELOAD", faketime_library())
        .env("FAKETIME", "+1h")
        .output()
        .unwrap();
    let told: u64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
    let is = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(told.abs_diff(is + 3600) < 60, "told {told}, is {is}");
}
