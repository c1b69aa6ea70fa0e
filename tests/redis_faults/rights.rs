//! Users who may do less than others.

use std::time::{Duration, Instant};

use purgatory::{Config, State};
use purgatory_tests::servers::{Engine, wait_until};

use crate::here::{Here, all_become};
use crate::stage::{SOON, Stage, millis};
use crate::with_each_engine;

with_each_engine! {
    a_user_with_few_rights_shares
    a_user_that_may_not_publish_shares
    a_user_that_may_run_no_script_goes_on_alone
}

fn config() -> Config {
    Config::new().threshold(6).ttl(millis(600))
}

/// Everything that a fleet does, as the user of the documentation. The other tests are that user too.
fn a_user_with_few_rights_shares(engine: Engine) {
    let stage = Stage::new(engine);
    stage.server.command(&["ACL", "LOG", "RESET"]);
    let fleet: [Here; 3] = stage.fleet(config());
    let all: Vec<_> = fleet.iter().collect();
    for here in &fleet {
        here.fail();
        here.flush();
    }
    assert_eq!(stage.record().unwrap().failures, 3);
    stage.server.command(&["CLIENT", "KILL", "USER", "breakers"]);
    fleet.iter().for_each(Here::fail);
    all_become(State::Open, &all, SOON);
    let mut succeeded = false;
    wait_until("the circuit to recover", SOON, || {
        succeeded |= fleet[0].succeeds();
        succeeded
    });
    all_become(State::Closed, &all, SOON);
    fleet[1].breaker.reset();
    stage.server.command(&["SCRIPT", "FLUSH"]);
    fleet[2].fail();
    fleet.iter().for_each(Here::flush);
    let refused: Vec<redis::Value> = stage.server.ask(&["ACL", "LOG"]);
    assert_eq!(refused, []);
    assert!(all.iter().all(|here| here.told.count("storage_refused") == 0));
}

fn a_user_that_may_not_publish_shares(engine: Engine) {
    let stage = Stage::new(engine);
    stage.server.command(&["ACL", "SETUSER", "breakers", "-publish"]);
    let fleet: [Here; 2] = stage.fleet(Config::new().threshold(3).ttl(Duration::from_secs(30)));
    let [here, there] = &fleet;
    for _ in 0..3 {
        here.fail();
    }
    let took = all_become(State::Open, &[here, there], SOON);
    there.breaker.reset();
    let again = all_become(State::Closed, &[here, there], SOON);
    println!("the trip arrived after {took:?}, the reset after {again:?}");
    // It asks once a second; half a second more is for the answer, on a busy machine.
    assert!(took.max(again) < millis(1500));
    for here in &fleet {
        let [refused] = &here.told.of("storage_refused")[..] else { panic!("{:?}", here.told) };
        assert!(refused.starts_with("storage: not shared") && refused.contains("PUBLISH"));
        assert_eq!(here.told.count("storage_down"), 0, "{:?}", here.told.texts());
    }
}

fn a_user_that_may_run_no_script_goes_on_alone(engine: Engine) {
    let stage = Stage::new(engine);
    stage.server.command(&["ACL", "SETUSER", "breakers", "-evalsha"]);
    let fleet: [Here; 2] =
        [(); 2].map(|()| Here::start(stage.storage(), Config::new().threshold(2).ttl(millis(300))));
    let [here, there] = &fleet;
    wait_until("both to be refused", SOON, || {
        fleet.iter().all(|here| here.told.count("storage_down") > 0)
    });
    // As if there were no storage.
    here.fail();
    here.fail();
    assert_eq!([here.state(), there.state()], [State::Open, State::Closed]);
    wait_until("a probe", SOON, || here.succeeds());
    assert_eq!(here.state(), State::Closed);
    for here in &fleet {
        let downs = here.told.of("storage_down");
        assert!(downs.len() == 1 && downs[0].contains("NOPERM"), "{downs:?}");
        assert_eq!(here.told.count("storage_up"), 0);
    }

    stage.server.command(&["ACL", "SETUSER", "breakers", "+evalsha"]);
    let granted = Instant::now();
    fleet.iter().for_each(Here::is_up);
    println!("shared {:?} after the right was given", granted.elapsed());
    here.fail();
    here.flush();
    // Of the same generation: what is counted in another is not added to it.
    wait_until("the other to hear of it", SOON, || there.breaker.snapshot().failures == 1);
    there.fail();
    all_become(State::Open, &[here, there], SOON);
}
