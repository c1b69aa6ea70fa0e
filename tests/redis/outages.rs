//! What befalls a server befalls no call.

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Event, RedisStorage};
use purgatory_tests::servers::{Engine, Mode, Proxy, Server, limited_url, wait_until};

use crate::fleet::{CIRCUIT, Fleet, LONG, Stored, time_of_day};
use crate::with_each_engine;

with_each_engine! {
    together a_server_that_is_killed_harms_no_call
    together a_trip_without_the_server_is_there_when_it_is_back
    together a_server_that_hangs_harms_no_call
    together a_silent_peer_is_left
}

/// Four processes of two threads whose calls succeed.
const CALLS: &str = "load 2 500";

/// The longest that a call may be in the breaker. The list has 20 ms, which a thread may lose its processor for
/// where others want it too; one that waited for the server would take 50 ms, or 250.
const LONGEST: Duration = Duration::from_millis(40);

/// A heartbeat and the time for an answer. The list's limit, and some for a driver that gets no processor.
const NOTICED: f64 = 0.75 + 0.1;

/// The longest time between two attempts, and half a second.
const BACK: f64 = 1.5;

/// Waits until all have told of something after some time, and returns how long after it the last one did.
#[track_caller]
fn told(fleet: &mut Fleet, name: &str, since: f64) -> f64 {
    fleet.wait(name, LONG, |member| member.after(since, name).is_some());
    let times = fleet.iter().filter_map(|member| member.after(since, name));
    times.fold(since, f64::max) - since
}

/// No call was turned away, or held up; and there were some since there were so many.
#[track_caller]
fn unharmed(fleet: &mut Fleet, before: u64) {
    fleet.act("report");
    assert_eq!(fleet.sum("rejected"), 0);
    assert!(fleet.sum("calls") > before);
    let longest = fleet.longest();
    eprintln!("{} calls, the longest took {longest:?}", fleet.sum("calls"));
    assert!(longest <= LONGEST, "{longest:?}");
}

fn a_server_that_is_killed_harms_no_call(engine: Engine) {
    let server = Server::limited(engine);
    let mut fleet = Fleet::start(&server.limited_url(), 4, &[]);
    fleet.act(CALLS);
    let told_to_die = time_of_day();
    server.kill();
    let killed = time_of_day();
    let down = told(&mut fleet, "storage_down", told_to_die) - (killed - told_to_die);
    assert!(down <= 0.1, "noticed after {down} s");
    let before = fleet.sum("calls");
    thread::sleep(Duration::from_secs(2)); // Until the waits between attempts are longest.
    server.restart();
    let restarted = time_of_day();
    let up = told(&mut fleet, "storage_up", killed) - (restarted - killed);
    eprintln!("noticed after {down:.3} s, back after {up:.3} s");
    assert!(up <= BACK, "back after {up} s");
    unharmed(&mut fleet, before);
    fleet.act("stop");
    for member in fleet.iter() {
        assert_eq!(member.events("storage_down").count(), 1);
        assert_eq!(member.events("storage_up").count(), 2);
        assert_eq!(member.events("state_changed").count(), 0);
    }
}

fn a_trip_without_the_server_is_there_when_it_is_back(engine: Engine) {
    const TTL: f64 = 4.0;

    let server = Server::limited(engine);
    let ttl = TTL.to_string();
    let mut fleet = Fleet::start(&server.limited_url(), 4, &["--threshold", "3", "--ttl", &ttl]);
    let killed = time_of_day();
    server.kill();
    told(&mut fleet, "storage_down", killed);
    for member in fleet.iter_mut() {
        for failures in 1..=3 {
            assert_eq!(member.act("call fail"), "failed");
            assert!(member.is("state", if failures < 3 { "closed" } else { "open" }));
        }
        assert_eq!(member.act("call ok"), "rejected");
    }
    server.restart();
    told(&mut fleet, "storage_up", killed);
    let mut stored = None;
    wait_until("the trip to be stored", LONG, || {
        stored = Stored::on(&server).filter(|stored| stored.state == "O");
        stored.is_some()
    });
    // Of whoever was first.
    let until = stored.expect("it was waited for").until;
    let tripped = |fleet: &Fleet| -> Vec<f64> {
        let changes = fleet.iter().flat_map(|member| member.events("state_changed"));
        changes.map(|event| event.at).collect()
    };
    let off = tripped(&fleet).iter().map(|at| (at + TTL - until).abs()).fold(TTL, f64::min);
    eprintln!("the deadline is off by {:.1} ms", off * 1e3);
    assert!(off <= 0.05, "it is to end {off} s from where it was to");

    // Calls all the time: a moment in which they are let through would be told of.
    fleet.act("load 1 200");
    let left = until - 0.2 - time_of_day();
    thread::sleep(Duration::try_from_secs_f64(left).expect("the ttl has not passed"));
    fleet.act("stop");
    for member in fleet.iter() {
        assert!(member.is("observed", 3) && member.is("probes", 0));
        let changes: Vec<_> = member.events("state_changed").map(|event| &*event.text).collect();
        assert_eq!(changes, ["payments: closed to open, 3 failures in a row"]);
    }
    // All agree on it, also those who had another.
    for member in fleet.iter_mut() {
        let before = time_of_day();
        assert_eq!(member.act("call ok"), "rejected");
        // The call was somewhere between these.
        let (most, least) = (until - before, until - time_of_day());
        let left = member.retry_after();
        assert!(
            least - 0.05 <= left && left <= most + 0.05,
            "{left} s are left, not {least} to {most}"
        );
    }
}

fn a_server_that_hangs_harms_no_call(engine: Engine) {
    let server = Server::limited(engine);
    let mut fleet = Fleet::start(&server.limited_url(), 4, &[]);
    let probers = ["sync", "async"].map(|scope| Prober::start(&server, scope));
    fleet.act(CALLS);
    let stopped = time_of_day();
    server.stop();
    thread::scope(|threads| {
        let [sync, unsync] = probers;
        let sync = threads.spawn(move || sync.probe(|breaker| drop(breaker.acquire())));
        let unsync =
            threads.spawn(move || unsync.probe(|breaker| drop(block_on(breaker.acquire_async()))));
        for (kind, longest) in [("sync", sync), ("async", unsync)] {
            let longest = longest.join().expect("no call panics");
            eprintln!("the longest {kind} call that wanted to probe took {longest:?}");
            // It waits for 50 ms, and then has to get a processor.
            assert!(longest <= Duration::from_millis(100), "{kind}: {longest:?}");
            assert!(longest >= Duration::from_millis(45), "{kind}: nobody waited, {longest:?}");
        }
    });
    let down = told(&mut fleet, "storage_down", stopped);
    assert!(down <= NOTICED, "noticed after {down} s");
    let before = fleet.sum("calls");
    // So that new connections fail too, which the kernel takes for the server.
    let left = stopped + 3.0 - time_of_day();
    thread::sleep(Duration::try_from_secs_f64(left).unwrap_or_default());
    let resumed = time_of_day();
    server.resume();
    let up = told(&mut fleet, "storage_up", stopped) - (resumed - stopped);
    eprintln!("noticed after {down:.3} s, back after {up:.3} s");
    assert!(up <= BACK, "back after {up} s");
    unharmed(&mut fleet, before);
    fleet.act("stop");
}

/// A process whose circuit opens for a moment.
struct Prober {
    _factory: CircuitBreakerFactory,
    breaker: CircuitBreaker,
    down: Receiver<()>,
}

impl Prober {
    /// In a scope of its own: another's probe would not be its.
    fn start(server: &Server, scope: &str) -> Self {
        let (tell, down) = mpsc::channel();
        let listener = move |event: &Event| {
            if matches!(event, Event::StorageDown { .. }) {
                let _ = tell.send(());
            }
        };
        let storage = RedisStorage::builder(server.limited_url()).scope(scope).build();
        let factory = CircuitBreakerFactory::builder()
            .storage(storage.expect("a valid URL"))
            .listener(listener)
            .build()
            .expect("valid options");
        let config = Config::new().threshold(1).ttl(Duration::from_millis(100));
        let breaker = factory.get_breaker_with(CIRCUIT, config).expect("a valid name");
        wait_until("the storage", LONG, || breaker.snapshot().shared.is_some_and(|s| s.in_sync));
        Self { _factory: factory, breaker, down }
    }

    /// Opens the circuit, calls until the storage is down, and returns how long the longest call waited. Its
    /// ttl passes before the driver has given the server up.
    fn probe(self, call: impl Fn(&CircuitBreaker)) -> Duration {
        self.breaker.acquire().expect("it is closed").failure();
        let mut longest = Duration::ZERO;
        while self.down.try_recv().is_err() {
            let asked = Instant::now();
            call(&self.breaker);
            longest = longest.max(asked.elapsed());
            thread::sleep(Duration::from_millis(1)); // The pace of the calls.
        }
        longest
    }
}

fn a_silent_peer_is_left(engine: Engine) {
    let server = Server::limited(engine);
    let proxy = Proxy::start(server.port());
    let mut fleet = Fleet::start(&limited_url(&proxy.url()), 4, &[]);
    fleet.act(CALLS);
    let silent = time_of_day();
    proxy.set(Mode::BlackHoleExisting);
    let down = told(&mut fleet, "storage_down", silent);
    let up = told(&mut fleet, "storage_up", silent) - down;
    eprintln!("noticed after {down:.3} s, back after {up:.3} s more");
    assert!(down <= NOTICED, "noticed after {down} s");
    assert!(up <= 1.0, "back after {up} s more");
    unharmed(&mut fleet, 0);
    fleet.act("stop");
    // They are in touch again: one of them fails, and all hear of it.
    let mut one = fleet.iter_mut();
    assert_eq!(one.next().expect("there are four").act("call fail"), "failed");
    fleet.wait("the failure", LONG, |member| member.is("failures", 1));
}
