//! How to test annotated functions: a clock that is moved by hand, and circuits for each test.
//!
//! ```text
//! cargo run -p purgatory-examples --example testing
//! cargo test -p purgatory-examples --example testing
//! ```
//!
//! The tests use circuits of the same name and run side by side. It prints that they passed.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::thread;
use std::time::Duration;

use purgatory::{CircuitBreakerFactory, ManualClock, circuit_breaker};

// The code under test:

trait Bank {
    fn transfer(&self, cents: u32) -> io::Result<()>;
}

#[circuit_breaker("bank", threshold = 2, ttl = "30s")]
fn pay(bank: &impl Bank, cents: u32) -> io::Result<()> {
    bank.transfer(cents)
}

#[circuit_breaker("bank", threshold = 2, ttl = "30s")]
async fn refund(bank: &impl Bank, cents: u32) -> io::Result<()> {
    tokio::task::yield_now().await;
    bank.transfer(cents)
}

// Its tests. Elsewhere they would be `#[test]` and `#[tokio::test]`; here `main` runs them as well.

#[derive(Default)]
struct FakeBank {
    is_up: Cell<bool>,
    requests: Cell<u32>,
}

impl Bank for FakeBank {
    fn transfer(&self, _cents: u32) -> io::Result<()> {
        self.requests.set(self.requests.get() + 1);
        if self.is_up.get() { Ok(()) } else { Err(ErrorKind::ConnectionRefused.into()) }
    }
}

#[cfg_attr(test, test)]
fn a_dead_bank_is_left_alone() {
    CircuitBreakerFactory::new().scope(|| {
        let bank = FakeBank::default();
        for _ in 0..10 {
            pay(&bank, 1999).unwrap_err();
        }
        assert_eq!(bank.requests.get(), 2);
    });
}

#[cfg_attr(test, test)]
fn a_bank_that_is_back_is_noticed() {
    let clock = ManualClock::new();
    let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build().unwrap();
    factory.scope(|| {
        let bank = FakeBank::default();
        for _ in 0..2 {
            pay(&bank, 1999).unwrap_err();
        }
        bank.is_up.set(true);
        pay(&bank, 1999).unwrap_err();
        clock.advance(Duration::from_secs(31));
        pay(&bank, 1999).unwrap();
    });
}

#[tokio::main(flavor = "current_thread")]
#[cfg_attr(test, test)]
async fn a_dead_bank_gets_no_refunds() {
    let factory = CircuitBreakerFactory::new();
    let refunds = async {
        let bank = FakeBank::default();
        for _ in 0..10 {
            refund(&bank, 1999).await.unwrap_err();
        }
        assert_eq!(bank.requests.get(), 2);
    };
    factory.scope_async(refunds).await;
    assert_eq!(factory.get_breaker("bank").unwrap().snapshot().rejected, 8);
}

fn main() {
    thread::scope(|scope| {
        scope.spawn(a_dead_bank_is_left_alone);
        scope.spawn(a_bank_that_is_back_is_noticed);
        scope.spawn(a_dead_bank_gets_no_refunds);
    });
    println!("all three tests passed");
}
