//! Servers that are gone or hang, and what both consistencies see of Python.

use std::thread;
use std::time::{Duration, Instant};

use purgatory::{Consistency, State};
use purgatory_tests::servers::{Engine, Server, wait_until};

use crate::fleet::{Inside, Keys, Language, PATIENCE, record, results};

/// Makes calls for a while, and returns how many and the longest.
#[track_caller]
fn calls(process: &Inside, time: Duration, result: &str) -> (u32, Duration) {
    let (began, mut made, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while began.elapsed() < time {
        let asked = Instant::now();
        assert_eq!(process.call(true), result);
        longest = longest.max(asked.elapsed());
        made += 1;
        thread::sleep(Duration::from_millis(1)); // The pace of the calls.
    }
    assert!(longest < STRICT, "a call took {longest:?}");
    (made, longest)
}

fn in_sync(process: &Inside) -> bool {
    process.breaker.snapshot().shared.expect("it has a storage").in_sync
}

#[test]
fn a_server_that_is_killed_fails_no_call() {
    let server = Server::start(Engine::Redis);
    let process = Inside::usual(&server.url(), "svc", [3, 60_000]).joined();
    assert_eq!(process.call(false), "failed");
    thread::scope(|threads| {
        let calling = threads.spawn(|| calls(&process, Duration::from_millis(1500), "ok"));
        server.kill();
        println!("killed: {:?}", calling.join().expect("no call fails"));
    });
    assert!(!in_sync(&process));
    assert_eq!([(); 4].map(|()| process.call(false)), ["failed", "failed", "failed", "rejected"]);

    // It begins again with nothing: what is restrictive comes back.
    server.restart();
    wait_until("it to be back", PATIENCE, || in_sync(&process));
    process.factory.flush(PATIENCE).expect("the server answers");
    let mut python = Language::Python.peer(&server, "svc", &[]);
    assert_eq!(results(&mut python, "ok"), ["rejected"]);
    let keys = Keys::new(&server, "svc");
    assert_eq!(keys.get().1.as_deref(), Some("3"));
    assert_eq!(process.breaker.state(), State::Open);
    let told = process.log.lines();
    let downs = told.iter().filter(|line| *line == "storage_down").count();
    assert_eq!(downs, 1, "{told:?}");
}

#[test]
fn a_server_that_hangs_fails_no_call() {
    let server = Server::start(Engine::Redis);
    let keys = Keys::new(&server, "svc");
    let process = Inside::usual(&server.url(), "svc", [5, 60_000]).joined();
    assert_eq!(process.call(false), "failed");
    process.factory.flush(PATIENCE).expect("the server answers");
    assert_eq!(keys.get().1.as_deref(), Some("1"));
    server.stop();
    let asked = Instant::now();
    assert_eq!(process.call(false), "failed");
    assert!(asked.elapsed() < STRICT, "a call took {:?}", asked.elapsed());
    wait_until("it to notice", Duration::from_secs(2), || !in_sync(&process));
    assert_eq!(process.call(false), "failed");
    println!("hanging: {:?}", {
        server.resume();
        wait_until("it to be back", PATIENCE, || in_sync(&process));
        asked.elapsed()
    });
    process.factory.flush(PATIENCE).expect("the server answers");
    // What the server was sent before it hung it does when it goes on, and is sent again.
    let counter: u32 = keys.get().1.expect("there were failures").parse().expect("a number");
    assert!((3..=4).contains(&counter), "{counter}");
    assert_eq!(keys.get().0, Some(record("svc", ["5", "60"], "closed", "null")));
    let mut python = Language::Python.peer(&server, "svc", &[]);
    assert_eq!(results(&mut python, "ok"), ["ok"]);
    assert_eq!(process.call(true), "ok");
    assert_eq!(process.breaker.snapshot().failures, 0);
}

/// While it hangs, also those calls end that had begun, and those that wait for leave.
#[test]
fn a_server_that_hangs_during_calls_keeps_none() {
    let server = Server::start(Engine::Valkey);
    let process = Inside::usual(&server.url(), "svc", [1, 300]).joined();
    let [running, failing] = [(); 2].map(|()| process.breaker.acquire().unwrap().into_owned());
    thread::scope(|threads| {
        let process = &process;
        let callers = [(); 4].map(|()| {
            threads.spawn(|| {
                let (began, mut longest) = (Instant::now(), Duration::ZERO);
                while began.elapsed() < Duration::from_millis(1500) {
                    let asked = Instant::now();
                    process.call(false);
                    longest = longest.max(asked.elapsed());
                    thread::sleep(Duration::from_millis(1)); // The pace of the calls.
                }
                longest
            })
        });
        server.stop();
        let asked = Instant::now();
        running.success();
        failing.failure();
        assert!(asked.elapsed() < STRICT);
        for caller in callers {
            let longest = caller.join().expect("no call panics");
            assert!(longest < STRICT, "a call took {longest:?}");
            println!("the longest of a caller: {longest:?}");
        }
    });
    server.resume();
    wait_until("it to be back", PATIENCE, || in_sync(&process));
    process.factory.flush(PATIENCE).expect("the server answers");
    let mut python = Language::Python.peer(&server, "svc", &[]);
    wait_until("the ttl to pass for both", PATIENCE, || results(&mut python, "ok") == ["ok"]);
    wait_until("it to be closed here", PATIENCE, || process.call(true) == "ok");
}

#[test]
fn strict_sees_python_at_the_next_call_and_a_mirror_within_a_poll() {
    let server = Server::start(Engine::Redis);
    let url = server.url();
    let strict = Inside::patient(&url, "svc", [2, 60_000], Consistency::Strict).joined();
    let mirror = Inside::patient(&url, "svc", [2, 60_000], Consistency::Mirror).joined();
    let keys = Keys::new(&server, "svc");
    let mut python = Language::Python.peer(&server, "svc", &[]);
    let scripts = || {
        let stats: String = server.ask(&["INFO", "commandstats"]);
        let (_, line) = stats.split_once("cmdstat_evalsha:calls=").expect("they were used");
        line.split(',').next().expect("a number").parse::<u32>().expect("a number")
    };
    for _ in 0..3 {
        let before = scripts();
        assert_eq!([(); 100].map(|()| mirror.call(true)), ["ok"; 100]);
        // It, and the other, look by themselves every now and then.
        let asked = scripts() - before;
        assert!(asked < 10, "{asked} scripts for 100 calls of a mirror");
        let before = scripts();
        assert_eq!([(); 100].map(|()| strict.call(true)), ["ok"; 100]);
        assert!(scripts() - before >= 100, "strict is to ask at every call");

        // Of a healthy circuit the mirror has nothing to tell, and hears nothing.
        assert_eq!(results(&mut python, "fail:2"), ["failed"; 2]);
        let tripped = Instant::now();
        assert_eq!(keys.read()["state"], "opened");
        assert_eq!(strict.call(true), "rejected");
        wait_until("the mirror to see it", POLL, || mirror.call(true) == "rejected");
        println!("seen by the mirror after {:?}", tripped.elapsed());

        // And the other way round: what a mirror does, Python sees at its next call.
        mirror.breaker.reset();
        mirror.factory.flush(PATIENCE).expect("the server answers");
        assert_eq!(results(&mut python, "ok"), ["ok"]);
        assert_eq!(strict.call(true), "ok");
        // A failure of each.
        assert_eq!(results(&mut python, "fail"), ["failed"]);
        assert_eq!(mirror.call(false), "failed");
        mirror.factory.flush(PATIENCE).expect("the server answers");
        assert_eq!(keys.get().1.as_deref(), Some("2"));
        assert_eq!(mirror.call(true), "rejected");
        mirror.factory.flush(PATIENCE).expect("the server answers");
        assert_eq!(results(&mut python, "ok"), ["rejected"]);
        assert_eq!(strict.call(true), "rejected");
        strict.breaker.reset();
        strict.factory.flush(PATIENCE).expect("the server answers");
        assert_eq!(results(&mut python, "ok"), ["ok"]);
        wait_until("the mirror to see it", POLL, || mirror.call(true) == "ok");
    }
}

/// The longest that a call may take in strict consistency: an operation and the wait for leave to probe, and
/// as much again for a busy machine. A connection that is waited for would take a second.
const STRICT: Duration = Duration::from_millis(600);

/// The time between two looks, and as much again for a busy machine.
const POLL: Duration = Duration::from_secs(2);
