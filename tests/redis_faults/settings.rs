//! Processes that do not agree on how a circuit works.

use std::time::Duration;

use purgatory::{Config, State};
use purgatory_tests::servers::{Engine, wait_until};

use crate::here::{Here, all_become};
use crate::stage::{SOON, Stage, millis};
use crate::with_each_engine;

with_each_engine! {
    different_settings_are_told_once
}

fn different_settings_are_told_once(engine: Engine) {
    let stage = Stage::new(engine);
    let [few, many, most] = [(3, 2), (50, 4), (60, 6)]
        .map(|(threshold, ttl)| Config::new().threshold(threshold).ttl(Duration::from_secs(ttl)))
        .map(|config| stage.here(config));
    let all = [&few, &many, &most];
    // Each writes its own settings over those of the others, again and again.
    for _ in 0..10 {
        for here in all {
            here.fail();
            here.flush();
            if here.state() == State::Closed {
                assert!(here.succeeds());
                here.flush();
            }
        }
    }
    // With two others, there are two things to tell.
    let told = || all.map(|here| here.told.count("fleet_conflict"));
    wait_until("all to be told", SOON, || told().iter().all(|&count| count > 0));
    println!("told {:?}", told());
    assert!(told().iter().all(|&count| count <= 2), "{:?}", told());

    // Whoever trips says how long: all agree, though each would have said something else.
    for (tripping, ttl) in [(&few, 2), (&most, 6)] {
        few.breaker.reset();
        all_become(State::Closed, &all, SOON);
        let times = tripping.breaker.settings().threshold;
        for _ in 0..times {
            let _ = tripping.breaker.acquire().map(|permit| permit.failure());
        }
        all_become(State::Open, &all, SOON);
        let left = all.map(remaining);
        println!("open for {left:?}");
        let [least, longest] = [left.iter().min().unwrap(), left.iter().max().unwrap()];
        assert!(*longest - *least < millis(50), "{left:?}");
        assert!(*longest <= Duration::from_secs(ttl) && *least > Duration::from_secs(ttl - 1));
    }
    assert!(told().iter().all(|&count| count <= 2), "{:?}", told());
}

fn remaining(here: &Here) -> Duration {
    here.breaker.acquire().unwrap_err().retry_after()
}
