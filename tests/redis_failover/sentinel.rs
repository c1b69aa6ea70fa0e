//! A master that is lost, and the replica that takes over.

use std::thread;
use std::time::{Duration, Instant};

use purgatory_tests::servers::{Engine, Sentinel};

use crate::Loss;
use crate::member::{Member, Stored, key, time_of_day};

mod a_failover_by_sentinel_harms_no_call {
    use super::*;

    #[test]
    fn redis_killed() {
        failover(Engine::Redis, Loss::Killed);
    }

    #[test]
    fn redis_hanging() {
        failover(Engine::Redis, Loss::Hanging);
    }

    #[test]
    fn valkey_killed() {
        failover(Engine::Valkey, Loss::Killed);
    }

    #[test]
    fn valkey_hanging() {
        failover(Engine::Valkey, Loss::Hanging);
    }
}

fn failover(engine: Engine, loss: Loss) {
    let sentinel = Sentinel::start(engine);
    let urls = sentinel.sentinel_urls();
    let member = |circuit: &str| {
        let args = ["--sentinel", sentinel.master_name(), "--threshold", "3", "--ttl", "60"];
        Member::start(&urls, circuit, &args)
    };
    let mut busy = [member("busy"), member("busy")];
    let [mut failing, mut other] = [member("failing"), member("failing")];
    let mut counting = member("counting");
    busy.iter_mut().for_each(|member| drop(member.act("load 2 500")));
    counting.act("call fail");
    counting.until("its failure to arrive", |report| report["recorded"] == 1);
    // Asynchronous replication promises nothing; that it is not what is tested.
    assert_eq!(sentinel.master().ask::<u64>(&["WAIT", "1", "1000"]), 1);

    loss.befall(sentinel.master());
    let lost = Instant::now();
    failing.until("it to notice", |report| report["in_sync"] == false);
    let noticed = lost.elapsed();
    assert!(noticed < NOTICED, "noticed after {noticed:?}");
    counting.until("the other to notice", |report| report["in_sync"] == false);
    counting.act("call fail");
    let tripped = [failing.act("call fail"), failing.act("call fail"), failing.act("call fail")];
    let tripped_at = time_of_day();
    assert_eq!(tripped[2]["state"], "open", "its own failures are enough");
    assert_eq!(failing.act("call ok")["result"], "rejected");
    assert_eq!(other.report()["state"], "closed", "it has not heard of it");

    let replica = sentinel.replica();
    sentinel.wait_for_switch_to(replica, 10 * SHARED);
    let (outage, switched) = (lost.elapsed(), Instant::now());
    let all = busy.iter_mut().chain([&mut failing, &mut other, &mut counting]);
    for member in all {
        member.until("it to be shared again", |report| report["in_sync"] == true);
    }
    other.until("the trip to arrive", |report| report["state"] == "open");
    counting.until("its failures to arrive", |report| report["recorded"] == 2);
    let shared = switched.elapsed();
    assert!(shared < SHARED, "shared again {shared:?} after the switch");

    let stored = Stored::on(replica, "failing").expect("it is stored");
    assert_eq!(stored.state, "O", "on the new master it is open too");
    let later = stored.until - (tripped_at + 60.0);
    assert!(later.abs() < 0.05, "its time is over {later} s later than here");
    assert_eq!(other.act("call ok")["result"], "rejected");
    assert_eq!(failing.report()["state"], "open", "and here it stayed so");
    assert_eq!(failing.changes(), ["failing: closed to open, 3 failures in a row"]);
    let stored = Stored::on(replica, "counting").expect("it is stored");
    assert_eq!((&*stored.state, stored.failures), ("C", 2), "those from before and from meanwhile");
    assert_eq!(counting.report()["discarded"], 0);

    // The old master back disturbs nobody, be it that it has answers for them.
    loss.end(sentinel.master());
    thread::sleep(Duration::from_secs(1)); // Two heartbeats: what it would disturb, it would by then.
    assert_eq!(sentinel.master_port(), Some(replica.port()));
    let longest = busy.each_mut().map(Member::undisturbed).into_iter().max();
    for member in busy.iter_mut().chain([&mut failing, &mut other, &mut counting]) {
        assert_eq!(member.report()["in_sync"], true);
        assert_eq!(member.losses().len(), 1, "{:?}", member.log);
    }
    assert!(replica.ask::<i64>(&["PTTL", &key("failing")]) > 0);
    println!(
        "noticed after {noticed:?}, switched after {outage:?}, shared {shared:?} later; \
         longest call {longest:?}"
    );
}

/// A heartbeat and an operation, and as much again for a busy machine.
const NOTICED: Duration = Duration::from_millis(1500);

/// How long after the switch all is as before.
const SHARED: Duration = Duration::from_secs(5);
