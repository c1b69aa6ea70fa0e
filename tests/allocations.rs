//! What is not allocated. A test binary of its own: the counting allocator is for the whole process.
#![cfg(not(any(loom, shuttle)))]

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use allocation_counter::measure;
use purgatory::{
    CircuitBreaker, CircuitBreakerFactory, Config, Error, FactoryBuilder, ManualClock,
    MemoryStorage, Name, Rejected, State, circuit_breaker,
};

/// How many allocations so many rounds make, after a first one.
fn allocations(mut round: impl FnMut()) -> u64 {
    round();
    measure(|| (0..1000).for_each(|_| round())).count_total
}

fn breaker(config: Config) -> CircuitBreaker {
    CircuitBreakerFactory::new().get_breaker_with("allocations", config).unwrap()
}

fn open() -> CircuitBreaker {
    let breaker = breaker(Config::new().threshold(1).ttl(Duration::from_secs(3600)));
    breaker.acquire().unwrap().failure();
    breaker
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(black_box(Box::new(1)))), 1000);
}

#[test]
fn closed_calls_do_not_allocate() {
    let breaker = breaker(Config::new());
    assert_eq!(allocations(|| drop(breaker.call(|| Ok::<_, u8>(black_box(1))))), 0);
    assert_eq!(allocations(|| breaker.acquire().unwrap().success()), 0);
    assert_eq!(allocations(|| breaker.acquire().unwrap().ignore()), 0);
    assert_eq!(
        allocations(|| {
            let call = breaker.call_async(async || Ok::<_, u8>(black_box(1)));
            let _ = futures_executor::block_on(call);
        }),
        0
    );
}

#[test]
fn failures_below_the_threshold_do_not_allocate() {
    let breaker = breaker(Config::new().threshold(u32::MAX));
    assert_eq!(allocations(|| drop(breaker.call(|| Err::<u8, _>(black_box(1))))), 0);
}

#[test]
fn rejections_do_not_allocate() {
    let breaker = open();
    let rejected = |result| assert!(matches!(result, Err(Error::Rejected(_))));
    assert_eq!(allocations(|| drop(black_box(breaker.acquire().unwrap_err()))), 0);
    assert_eq!(allocations(|| rejected(breaker.call(|| Ok::<u8, u8>(1)))), 0);
    let call = || futures_executor::block_on(breaker.call_async(async || Ok::<u8, u8>(1)));
    assert_eq!(allocations(|| rejected(call())), 0);
}

#[test]
fn annotated_functions_do_not_allocate() {
    #[circuit_breaker("allocations of a fn", threshold = 3)]
    fn work(answer: Result<u8, std::io::Error>) -> Result<u8, std::io::Error> {
        answer
    }

    #[circuit_breaker("allocations of an async fn", threshold = 3)]
    async fn work_async(answer: Result<u8, std::io::Error>) -> Result<u8, std::io::Error> {
        answer
    }

    assert_eq!(allocations(|| drop(work(Ok(black_box(1))))), 0);
    assert_eq!(allocations(|| drop(futures_executor::block_on(work_async(Ok(black_box(1)))))), 0);
}

#[test]
fn annotated_functions_that_are_rejected_do_not_allocate() {
    /// With nothing on the heap, as the error that it is made into would be the user's own to pay.
    #[derive(Debug)]
    struct Failed(#[allow(dead_code)] Option<Rejected>); // Kept, as a user would keep it.

    impl From<Rejected> for Failed {
        fn from(rejected: Rejected) -> Self {
            Self(Some(rejected))
        }
    }

    #[circuit_breaker("rejections of a fn", threshold = 1, ttl = "1h")]
    fn work() -> Result<u8, Failed> {
        Err(Failed(None))
    }

    #[circuit_breaker("rejections of an async fn", threshold = 1, ttl = "1h")]
    async fn work_async() -> Result<u8, Failed> {
        Err(Failed(None))
    }

    let rejected = |result: Result<u8, Failed>| assert!(result.unwrap_err().0.is_some());
    work().unwrap_err();
    assert_eq!(allocations(|| rejected(work())), 0);
    futures_executor::block_on(work_async()).unwrap_err();
    assert_eq!(allocations(|| rejected(futures_executor::block_on(work_async()))), 0);
}

#[test]
fn what_nobody_listens_to_does_not_allocate() {
    let clock = ManualClock::new();
    let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
    let config = Config::new().threshold(2).ttl(Duration::from_secs(1));
    let breaker = factory.get_breaker_with("allocations", config).unwrap();
    let trip = || {
        let late = breaker.acquire().unwrap();
        breaker.acquire().unwrap().failure();
        breaker.acquire().unwrap().failure();
        assert_eq!(breaker.state(), State::Open);
        late.failure();
        breaker.acquire().unwrap_err();
    };
    let reset = || {
        trip();
        breaker.reset();
    };
    assert_eq!(allocations(reset), 0);
    let recover = || {
        trip();
        clock.advance(Duration::from_secs(2));
        let probe = breaker.acquire().unwrap();
        breaker.acquire().unwrap_err();
        probe.success();
        assert_eq!(breaker.state(), State::Closed);
    };
    // The list of the probes that are out, once in a half-open state.
    assert!(allocations(recover) <= 1000);
    // One that disagrees with the settings in force, which is an event as well.
    assert_eq!(allocations(|| drop(factory.get_breaker("allocations").unwrap())), 0);
    assert_eq!(
        allocations(|| drop(factory.get_breaker_with("allocations", Config::new().threshold(7)))),
        0
    );
}

#[test]
fn looking_a_breaker_up_does_not_allocate() {
    #[circuit_breaker(name = tenant)]
    fn work(tenant: &str) -> std::io::Result<usize> {
        Ok(tenant.len())
    }

    let factory = CircuitBreakerFactory::new();
    let early = format!("tenant {}", 1);
    ["allocations", &early].iter().for_each(|name| drop(factory.get_breaker(name).unwrap()));
    // One whose name comes after those that are kept for good, see purgatory/src/name.rs.
    (0..5000).for_each(|id| drop(factory.get_breaker(&format!("before {id}")).unwrap()));
    let late = format!("tenant {}", 2);
    for name in ["allocations", &early, &late] {
        let name = black_box(name);
        assert_eq!(allocations(|| drop(factory.get_breaker(name).unwrap())), 0, "{name}");
        assert_eq!(allocations(|| drop(factory.get_breaker_with(name, Config::new()).unwrap())), 0);
        assert_eq!(allocations(|| drop(factory.find(name).unwrap())), 0, "{name}");
        assert_eq!(allocations(|| drop(work(name))), 0, "{name}");
    }
}

#[test]
fn closed_calls_of_a_shared_circuit_do_not_allocate() {
    let factory = CircuitBreakerFactory::builder().storage(MemoryStorage::new()).build().unwrap();
    let breaker = factory.get_breaker("allocations").unwrap();
    while !breaker.snapshot().shared.unwrap().in_sync {
        thread::yield_now();
    }
    assert_eq!(allocations(|| drop(breaker.call(|| Ok::<_, u8>(black_box(1))))), 0);
    assert_eq!(allocations(|| breaker.acquire().unwrap().success()), 0);
    assert_eq!(
        allocations(|| {
            let call = breaker.call_async(async || Ok::<_, u8>(black_box(1)));
            let _ = futures_executor::block_on(call);
        }),
        0
    );
}

#[test]
fn a_circuit_takes_at_most_256_bytes() {
    let factory = CircuitBreakerFactory::new();
    let mut next = (0..).map(|id| format!("circuit number {id:05}"));
    // Beyond the growth of the tables, which doubles them now and then: their room is counted here.
    let count = 14_000;
    let names: Vec<_> = next.by_ref().take(count).collect();
    let info = measure(|| names.iter().for_each(|name| drop(factory.get_breaker(name).unwrap())));
    let bytes = info.bytes_current / count as i64;
    println!("{bytes} bytes a circuit");
    assert!(bytes <= 256, "{bytes} bytes a circuit, name and all");
}

/// What a circuit takes of a factory, in a build that can share circuits.
fn bytes_of_a_circuit(builder: FactoryBuilder, config: Config) -> i64 {
    let factory = builder.build().unwrap();
    let names: Vec<_> =
        (0..2000).map(|id| Name::new(&format!("shared {id:04}")).unwrap()).collect();
    let register = |name: &Name| drop(factory.get_breaker_with(name, config).unwrap());
    let info = measure(|| names.iter().for_each(register));
    info.bytes_current / names.len() as i64
}

#[test]
fn a_circuit_that_is_not_shared_has_nothing_of_a_storage() {
    let with_storage = || {
        // Without a driver, which has its own.
        CircuitBreakerFactory::builder().storage(MemoryStorage::new()).driver(drop)
    };
    let alone = bytes_of_a_circuit(CircuitBreakerFactory::builder(), Config::new());
    let unshared = bytes_of_a_circuit(with_storage(), Config::new().shared(false));
    let shared = bytes_of_a_circuit(with_storage(), Config::new());
    println!("{alone} bytes a circuit, {unshared} unshared, {shared} shared");
    // The tables grow as the names, whose hashes are random, come to lie.
    assert!(alone.abs_diff(unshared) <= 32, "{alone} and {unshared} bytes");
    assert!(shared - alone <= 1024, "{shared} bytes, of which {alone} if it is not shared");
}
