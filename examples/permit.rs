//! Permits by hand, for calls that do not fit into a function or a closure.
//!
//! ```text
//! cargo run -p purgatory-examples --example permit
//! ```
//!
//! The service is down for its first three requests; two failures trip the circuit. It prints what
//! each way to use a permit came to, and the state and the failures of the circuit after it.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use purgatory::State::{Closed, Open};
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Config, Rejected};

fn send(_number: u8) -> io::Result<()> {
    static REQUESTS: AtomicU32 = AtomicU32::new(0);
    match REQUESTS.fetch_add(1, Ordering::Relaxed) {
        0..3 => Err(ErrorKind::ConnectionRefused.into()),
        _ => Ok(()),
    }
}

fn send_text(breaker: &CircuitBreaker, text: &str) -> Result<(), Box<dyn Error>> {
    let permit = breaker.acquire()?;
    let number = text.parse()?; // an early return drops the permit, which counts as nothing
    let result = send(number);
    permit.settle(&result);
    Ok(result?)
}

fn send_in_background(
    breaker: &CircuitBreaker,
    number: u8,
) -> Result<JoinHandle<io::Result<()>>, Rejected> {
    // Asked for here, so that no thread is started in vain.
    let permit = breaker.acquire()?.into_owned();
    Ok(thread::spawn(move || {
        let result = send(number);
        permit.settle(&result);
        result
    }))
}

/// Sends until it works, and gives the number of probes that took.
fn send_at_last(breaker: &CircuitBreaker, number: u8) -> u32 {
    let mut probes = 0;
    loop {
        match breaker.acquire() {
            Ok(permit) => {
                probes += u32::from(permit.is_probe());
                let result = send(number);
                println!("  {result:?}");
                permit.settle(&result);
                if result.is_ok() {
                    return probes;
                }
            }
            Err(rejected) => {
                println!("  {rejected}");
                thread::sleep(rejected.retry_after());
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::new().threshold(2).ttl(Duration::from_millis(500));
    let breaker = CircuitBreakerFactory::new().get_breaker_with("service", config)?;
    let circuit = || (breaker.state(), breaker.snapshot().failures);

    println!("settled: {:?}, {:?}", send_text(&breaker, "7"), circuit());
    assert_eq!(circuit(), (Closed, 1));

    println!("dropped: {:?}, {:?}", send_text(&breaker, "seven"), circuit());
    assert_eq!(circuit(), (Closed, 1));

    let worker = send_in_background(&breaker, 7)?;
    println!("in a thread: {:?}, {:?}", worker.join().expect("no panic"), circuit());
    assert_eq!(circuit(), (Open, 0));

    println!("until it works:");
    let probes = send_at_last(&breaker, 7);
    println!("after {probes} probes: {:?}", circuit());
    assert_eq!((probes, circuit()), (2, (Closed, 0)));
    Ok(())
}
