//! A master that is watched.

use std::time::Duration;

use purgatory_tests::servers::{Engine, Sentinel, Value};

use crate::with_each_engine;

with_each_engine! {
    the_replica_takes_over_from_a_master_that_is_killed
    the_replica_takes_over_from_a_master_that_hangs
}

/// Long enough for a second try: those who vote at the same time may disagree.
const LIMIT: Duration = Duration::from_secs(30);

fn the_replica_takes_over_from_a_master_that_is_killed(engine: Engine) {
    let sentinel = Sentinel::start(engine);
    let (master, replica) = (sentinel.master(), sentinel.replica());
    assert_eq!(sentinel.master_port(), Some(master.port()));
    assert_eq!(sentinel.sentinel_urls().len(), 3);
    master.command(&["SET", "key", "1"]);
    let error = replica.try_ask::<()>(&["SET", "key", "2"]).unwrap_err();
    assert_eq!(error.code(), Some("READONLY"));
    assert_eq!(master.ask::<u64>(&["WAIT", "1", "1000"]), 1);

    master.kill();
    sentinel.wait_for_switch_to(replica, LIMIT);
    assert_eq!(replica.ask::<i64>(&["INCR", "key"]), 2);
}

fn the_replica_takes_over_from_a_master_that_hangs(engine: Engine) {
    let sentinel = Sentinel::start(engine);
    sentinel.master().stop();
    sentinel.wait_for_switch_to(sentinel.replica(), LIMIT);
    assert_eq!(sentinel.replica().command(&["SET", "key", "1"]), Value::Okay);
}
