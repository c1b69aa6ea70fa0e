//! Slots that move, and masters that are lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use purgatory::{CircuitBreaker, CircuitBreakerFactory, RedisStorage, State};
use purgatory_tests::Log;
use purgatory_tests::servers::{Cluster, Engine, wait_until};
use serde_json::json;

use crate::Loss;
use crate::member::{Member, Stored, key, time_of_day};

mod a_reshard_loses_nothing {
    use super::*;

    #[test]
    fn redis() {
        reshard(Engine::Redis);
    }

    #[test]
    fn valkey() {
        reshard(Engine::Valkey);
    }
}

mod a_dead_master_takes_only_its_circuits {
    use super::*;

    #[test]
    fn redis_killed() {
        dead_master(Engine::Redis, Loss::Killed);
    }

    #[test]
    fn redis_hanging() {
        dead_master(Engine::Redis, Loss::Hanging);
    }

    #[test]
    fn valkey_killed() {
        dead_master(Engine::Valkey, Loss::Killed);
    }
}

/// Names of circuits whose slots are so.
pub(crate) fn circuits(
    cluster: &Cluster,
    slots: impl Fn(u16) -> bool,
) -> impl Iterator<Item = String> {
    let names = (0..).map(|number| format!("circuit-{number}"));
    names.filter(move |name| slots(cluster.slot_of(&key(name))))
}

/// A circuit that this node has.
pub(crate) fn circuit_on(cluster: &Cluster, node: usize) -> String {
    let mut all = circuits(cluster, |_| true);
    all.find(|name| cluster.node_of(&key(name)) == node).expect("every node has slots")
}

fn reshard(engine: Engine) {
    let cluster = Cluster::start(engine);
    let mut names: Vec<_> = circuits(&cluster, |slot| slot < 2500).take(3).collect();
    // One that two processes write, and one that stays.
    names.push(names[0].clone());
    names.extend(circuits(&cluster, |slot| slot >= 2500).take(1));
    // With patience: that a busy machine answers late is no loss, but it would be an outage.
    let args = ["--cluster", "--threshold", "4000000000", "--patience", "4"];
    let mut members: Vec<_> =
        names.iter().map(|name| Member::start(&cluster.urls(), name, &args)).collect();
    for member in &mut members {
        member.act("mode fail");
        member.act("load 2 1000");
    }
    let sum = |members: &mut [Member], field| -> u64 {
        members.iter_mut().map(|member| member.number(field)).sum()
    };
    let before = sum(&mut members, "recorded");
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    for end in [499, 999, 1499, 1999, 2499] {
        let began = Instant::now();
        assert_eq!(*cluster.reshard(500).end(), end);
        longest = longest.max(began.elapsed());
    }
    let took = began.elapsed();
    let meanwhile = sum(&mut members, "recorded") - before;
    assert!(meanwhile > 1000, "that is no load: {meanwhile}");

    let mut observed = BTreeMap::<_, u64>::new();
    for (member, name) in members.iter_mut().zip(&names) {
        member.act("stop");
        assert_eq!(member.act("flush 5000")["result"], true, "{:?}", member.log);
        let report = member.report();
        assert_eq!((&report["pending"], &report["discarded"]), (&json!(0), &json!(0)));
        assert_eq!(report["recorded"], report["observed"]);
        *observed.entry(name).or_default() += report["observed"].as_u64().expect("a number");
        assert!(!member.log.iter().any(|line| line.contains(": down")), "{:?}", member.log);
    }
    for (name, observed) in observed {
        let node = cluster.node_of(&key(name));
        assert!(node == 1 || *name == names[4], "the slot of {name} has moved");
        let stored = Stored::on(&cluster.nodes()[node], name).expect("it is stored");
        assert_eq!((&*stored.state, stored.failures), ("C", observed), "{name}");
    }
    let told: Vec<_> = members.iter().flat_map(Member::losses).collect();
    println!("{meanwhile} failures in {took:?}, {longest:?} for 500 slots; told: {told:?}");
}

fn dead_master(engine: Engine, loss: Loss) {
    let cluster = Cluster::start(engine);
    for node in cluster.nodes() {
        // Else all nodes refuse everything between the loss of one and its replica's start.
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    // All of them have their watch on the first node.
    let [busy, lost, kept] = [0, 1, 2].map(|node| circuit_on(&cluster, node));
    let member = |circuit: &str| {
        let args = ["--cluster", "--threshold", "3", "--ttl", "60"];
        Member::start(&cluster.urls(), circuit, &args)
    };
    let mut busy = member(&busy);
    let [mut failing, mut other] = [member(&lost), member(&lost)];
    let [mut tripping, mut hearing] = [member(&kept), member(&kept)];
    let both = Both::new(&cluster, [&lost, &kept]);
    busy.act("load 2 500");
    failing.act("call fail");
    failing.until("its failure to arrive", |report| report["recorded"] == 1);

    loss.befall(&cluster.nodes()[1]);
    let began = Instant::now();
    failing.act("call fail");
    let tripped = failing.act("call fail");
    let tripped_at = time_of_day();
    assert_eq!(tripped["state"], "open", "its own failures are enough");
    failing.until("it to notice", |report| report["in_sync"] == false);
    let noticed = began.elapsed();
    assert!(noticed < NOTICED, "noticed after {noticed:?}");
    assert_eq!(other.act("call ok")["result"], "ok", "it has not heard of it");

    (0..3).for_each(|_| drop(tripping.act("call fail")));
    let told = Instant::now();
    hearing.until("the trip to arrive", |report| report["state"] == "open");
    let told = told.elapsed();
    assert!(told < TOLD, "told after {told:?}");
    // A process with circuits on both has lost one of them.
    both.lost.acquire().expect("it has not heard of it").failure();
    wait_until("it to notice", NOTICED, || !in_sync(&both.lost));
    assert!(in_sync(&both.kept), "{:?}", both.log.lines());
    wait_until("it to hear of the trip", TOLD, || both.kept.state() == State::Open);

    let replica = &cluster.nodes()[4];
    wait_until("the replica to take over", LIMIT, || cluster.node_of(&key(&lost)) == 4);
    let (outage, took_over) = (began.elapsed(), Instant::now());
    failing.until("it to be shared again", |report| report["in_sync"] == true);
    other.until("the trip to arrive", |report| report["state"] == "open");
    wait_until("it to arrive there too", LIMIT, || both.lost.state() == State::Open);
    let shared = took_over.elapsed();
    assert!(shared < SHARED, "shared again {shared:?} after the failover");
    let stored = Stored::on(replica, &lost).expect("it is stored");
    assert_eq!(stored.state, "O", "on the new master it is open too");
    let later = stored.until - (tripped_at + 60.0);
    assert!(later.abs() < 0.05, "its time is over {later} s later than here");
    assert_eq!(failing.changes().len(), 1, "{:?}", failing.log);
    assert_eq!(failing.losses().len(), 1, "{:?}", failing.log);

    let longest = busy.undisturbed();
    for member in [&mut busy, &mut tripping, &mut hearing] {
        assert_eq!(member.report()["in_sync"], true);
        assert_eq!(member.losses(), [""; 0]);
    }
    let told_both = both.log.lines();
    let told_of = |what: &str| told_both.iter().filter(|line| *line == what).count();
    assert_eq!((told_of("storage_refused"), told_of("storage_down")), (1, 0), "{told_both:?}");
    println!(
        "noticed after {noticed:?}, taken over after {outage:?}, shared {shared:?} later; \
         a trip elsewhere told in {told:?}, longest call {longest:?}"
    );
}

/// A process inside the test, with two circuits.
struct Both {
    lost: CircuitBreaker,
    kept: CircuitBreaker,
    log: Log,
}

impl Both {
    fn new(cluster: &Cluster, names: [&String; 2]) -> Self {
        let others = cluster.nodes()[1..].iter().map(|node| format!("127.0.0.1:{}", node.port()));
        let storage = RedisStorage::builder(cluster.nodes()[0].url()).cluster(others).build();
        let log = Log::default();
        let factory = CircuitBreakerFactory::builder()
            .threshold(3)
            .ttl(Duration::from_secs(60))
            .storage(storage.expect("the addresses are valid"))
            .listener(log.clone())
            .build()
            .expect("the options are valid");
        let [lost, kept] = names.map(|name| factory.get_breaker(name).expect("a valid name"));
        for breaker in [&lost, &kept] {
            wait_until("it to join", LIMIT, || in_sync(breaker));
        }
        Self { lost, kept, log }
    }
}

fn in_sync(breaker: &CircuitBreaker) -> bool {
    breaker.snapshot().shared.expect("it has a storage").in_sync
}

/// What the loss of one node may keep a circuit on it from: an operation, and as much again for a busy
/// machine.
const NOTICED: Duration = Duration::from_millis(1000);

/// How long a trip takes to others at most.
const TOLD: Duration = Duration::from_millis(200);

/// How long after the failover all is as before.
const SHARED: Duration = Duration::from_secs(2);

const LIMIT: Duration = Duration::from_secs(30);
