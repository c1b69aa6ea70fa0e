//! The slow look at every circuit, which finds what was never told. On tokio's paused time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use purgatory::storage::{Fault, Operation, OperationKind};
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, FactoryBuilder, State, StorageOptions,
};
use tokio::time::{Instant, sleep};

use crate::{Shared, TTL};

const SECOND: Duration = Duration::from_secs(1);

/// Within how many seconds every circuit has its turn, which comes with a poll.
const ROUND: u64 = 30;

/// How many circuits stay. More than there are turns in a round.
const STAY: usize = 60;

/// How many go, one a second.
const GO: usize = 200;

/// The seconds in which each circuit was looked at.
type Looks = Arc<Mutex<BTreeMap<String, Vec<u64>>>>;

fn started(builder: FactoryBuilder) -> CircuitBreakerFactory {
    builder.driver(|driver| drop(tokio::spawn(driver))).build().unwrap()
}

fn circuits(factory: &CircuitBreakerFactory) -> Vec<CircuitBreaker> {
    let config = Config::new().threshold(1).ttl(TTL);
    let breaker = |at| factory.get_breaker_with(&format!("stays {at:02}"), config).unwrap();
    (0..STAY).map(breaker).collect()
}

/// A process whose other circuits go: those that are before the ones that stay.
fn shrinking(shared: &Shared) -> (CircuitBreakerFactory, Looks) {
    let (looks, began) = (Looks::default(), Instant::now());
    let noted = Arc::clone(&looks);
    let note = move |operation: &Operation<'_>| {
        if operation.kind == OperationKind::Load {
            let (mut looks, second) = (noted.lock().unwrap(), began.elapsed().as_secs());
            looks.entry(operation.circuit.to_owned()).or_default().push(second);
        }
        Fault::None
    };
    let factory = started(shared.faulty(StorageOptions::new(), note).seed(1));
    let name = |at| format!("goes {at:03}");
    (0..GO).for_each(|at| drop(factory.get_breaker(&name(at)).unwrap()));
    let going = factory.clone();
    tokio::spawn(async move {
        for at in 0..GO {
            sleep(SECOND).await;
            going.remove(&name(at)).unwrap();
        }
    });
    (factory, looks)
}

#[tokio::test(start_paused = true)]
async fn every_circuit_has_one_look_in_a_round_whichever_others_go() {
    let (factory, looks) = shrinking(&Shared::new());
    let _stay = circuits(&factory);
    // Between two polls.
    sleep(SECOND * 3 / 2).await;
    looks.lock().unwrap().clear();
    sleep(SECOND * 3 * ROUND as u32).await;
    let looks = looks.lock().unwrap();
    let stay = || looks.iter().filter(|(name, _)| name.starts_with("stays"));
    assert_eq!(stay().count(), STAY, "{looks:?}");
    for (name, seconds) in stay() {
        let round = |pair: &[u64]| pair[1] - pair[0] == ROUND;
        assert!(seconds.len() == 3 && seconds.windows(2).all(round), "{name}: {seconds:?}");
    }
    // And they are not all looked at together.
    let mut busy = BTreeMap::<_, usize>::new();
    stay().for_each(|(_, seconds)| *busy.entry(seconds[0]).or_default() += 1);
    assert!(busy.len() > 15 && busy.values().all(|&looks| looks < STAY / 4), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn a_trip_that_nobody_told_of_is_found_in_a_round_whichever_others_go() {
    let shared = Shared::new();
    let lost = |operation: &Operation<'_>| match operation.kind {
        OperationKind::Push => Fault::LoseReply,
        _ => Fault::None,
    };
    let there = started(shared.faulty(StorageOptions::new(), lost).seed(2));
    let (factory, _) = shrinking(&shared);
    let (here, there) = (circuits(&factory), circuits(&there));
    sleep(SECOND * 20).await;
    there.iter().for_each(|breaker| breaker.acquire().unwrap().failure());
    sleep(SECOND).await;
    let open = || here.iter().filter(|breaker| breaker.state() == State::Open).count();
    assert!(open() < STAY / 2, "somebody has told of {} trips", open());
    sleep(SECOND * ROUND as u32).await;
    assert_eq!(open(), STAY);
}
