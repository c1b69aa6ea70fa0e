//! What happens while a process does not listen.

use std::thread;
use std::time::{Duration, Instant};

use purgatory::storage::RedisStorageBuilder;
use purgatory::{Config, RedisStorage, State};
use purgatory_tests::servers::{Engine, wait_until};

use crate::here::{Here, all_become};
use crate::stage::{SOON, Stage, millis};
use crate::with_each_engine;

with_each_engine! {
    a_trip_in_the_gap_of_a_subscription_arrives
}

/// Every listener loses its connection, and the circuit trips elsewhere: in some rounds before they are back, in
/// some while they subscribe or read, in some just after.
fn a_trip_in_the_gap_of_a_subscription_arrives(engine: Engine) {
    let stage = Stage::alone(engine);
    let config = Config::new().threshold(1).ttl(Duration::from_secs(60));
    // Nobody asks by itself, and the gap is as short as it gets: a connection takes about 2 ms to come back.
    let deaf = |storage: RedisStorageBuilder| {
        stage.here_with(config, storage.poll(Duration::from_secs(3600)).max_backoff(millis(1)))
    };
    let listeners: [Here; 3] = std::array::from_fn(|_| deaf(stage.storage()));
    // As another user, whose connection stays.
    let elsewhere = deaf(RedisStorage::builder(stage.server.url()));
    let all = [&listeners[0], &listeners[1], &listeners[2], &elsewhere];
    let mut kill = stage.server.connect().unwrap();

    let (began, mut slowest, mut rounds) = (Instant::now(), Duration::ZERO, 0);
    // 200 rounds, or as many as a busy machine does in fifteen seconds.
    while rounds < 200 && (rounds < 50 || began.elapsed() < Duration::from_secs(15)) {
        let ups = listeners.each_ref().map(|here| here.told.count("storage_up"));
        let killed: i64 = redis::cmd("CLIENT")
            .arg(&["KILL", "TYPE", "pubsub", "USER", "breakers"])
            .query(&mut kill)
            .unwrap();
        assert!(killed > 0);
        let cut = Instant::now();
        if rounds % 4 == 0 {
            wait_until("a listener to be back", SOON, || {
                listeners.iter().zip(ups).any(|(here, ups)| here.told.count("storage_up") > ups)
            });
        } else {
            // From before they know to after they are back, in steps of 50 microseconds.
            let delay = Duration::from_micros(50 * (rounds % 100));
            thread::sleep(delay.saturating_sub(cut.elapsed()));
        }
        elsewhere.fail();
        slowest = slowest.max(all_become(State::Open, &all, Duration::from_secs(1)));
        // Those that were cut off see the reset as they see a trip; a round begins when they all listen again.
        wait_until("all to be back", SOON, || {
            listeners.iter().zip(ups).all(|(here, ups)| here.told.count("storage_up") > ups)
        });
        elsewhere.breaker.reset();
        all_become(State::Closed, &all, SOON);
        rounds += 1;
    }
    println!("{rounds} rounds in {:?}, the slowest trip took {slowest:?}", began.elapsed());
}
