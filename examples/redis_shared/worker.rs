//! One process of the fleet.

use std::error::Error;
use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, Event, RedisStorage, circuit_breaker};

/// The call that is guarded: 200 times a second in each process.
#[circuit_breaker("dependency", threshold = 20, ttl = "1s")]
fn call(broken: bool) -> io::Result<()> {
    if broken { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) }
}

/// Says what happens, and does what its standard input says: `break`, `heal`, `end`.
pub(super) fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let factory = CircuitBreakerFactory::builder()
        .storage(RedisStorage::builder(url).build()?)
        .listener(tell)
        .build()?;
    purgatory::configure(factory.clone())?;
    let (broken, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let caller = {
        let (broken, ended) = (Arc::clone(&broken), Arc::clone(&ended));
        thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // A rejection is an error like any other here.
                let _ = call(broken.load(Ordering::Relaxed));
                thread::sleep(Duration::from_millis(5)); // The pace of the load.
            }
        })
    };
    for line in io::stdin().lock().lines() {
        match line?.as_str() {
            "break" => broken.store(true, Ordering::Relaxed),
            "heal" => broken.store(false, Ordering::Relaxed),
            _ => break,
        }
    }
    ended.store(true, Ordering::Relaxed);
    caller.join().expect("no call panics");
    factory.flush(Duration::from_secs(5))?;
    let breaker = purgatory::get_breaker("dependency")?;
    let shared = breaker.snapshot().shared.ok_or("not shared")?;
    let (recorded, discarded) = (shared.recorded, shared.discarded);
    let counted = FAILURES.load(Ordering::Relaxed);
    println!("failures: {counted} counted, {recorded} recorded, {discarded} discarded");
    Ok(())
}

/// As a listener has heard of them.
static FAILURES: AtomicU64 = AtomicU64::new(0);

fn tell(event: &Event) {
    match event {
        Event::Failed { .. } => drop(FAILURES.fetch_add(1, Ordering::Relaxed)),
        Event::StateChanged { .. } | Event::StorageDown { .. } | Event::StorageUp { .. } => {
            println!("{event}");
        }
        _ => {}
    }
}
