//! What a stranger does with the crate, with nothing but its public names.
#![forbid(unsafe_code)]
#![deny(warnings)]

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use breaker::{
    circuit_breaker, CircuitBreakerFactory, Event, ManualClock, Reason, Rejected, State,
};

#[derive(Debug)]
enum FetchError {
    Io(io::Error),
    Rejected(Rejected),
}

impl From<Rejected> for FetchError {
    fn from(rejected: Rejected) -> Self {
        Self::Rejected(rejected)
    }
}

#[circuit_breaker("pages", threshold = 2, ttl = "30s", crate = breaker)]
fn fetch(up: bool) -> Result<u32, FetchError> {
    if up {
        Ok(7)
    } else {
        Err(FetchError::Io(io::ErrorKind::TimedOut.into()))
    }
}

struct Client {
    calls: AtomicU32,
}

impl Client {
    #[circuit_breaker("pages", threshold = 2, ttl = "30s", crate = breaker)]
    async fn fetch(&self, up: bool) -> Result<u32, FetchError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        fetch_later(up).await
    }
}

async fn fetch_later(up: bool) -> Result<u32, FetchError> {
    if up {
        Ok(8)
    } else {
        Err(FetchError::Io(io::ErrorKind::TimedOut.into()))
    }
}

/// Without a runtime: nothing here waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing waits"),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ManualClock::new();
    let changes = Arc::new(AtomicU32::new(0));
    let heard = Arc::clone(&changes);
    let factory = CircuitBreakerFactory::builder()
        .clock(clock.clone())
        .listener(move |event: &Event| {
            if let Event::StateChanged { .. } = event {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()?;
    let client = Client { calls: AtomicU32::new(0) };
    factory.scope(|| {
        assert_eq!(fetch(true).unwrap(), 7);
        assert_eq!(now(client.fetch(true)).unwrap(), 8);
        for failed in [fetch(false), now(client.fetch(false))] {
            let Err(FetchError::Io(error)) = failed else { panic!("{failed:?}") };
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
        // The function and the method are one circuit, which is open by now.
        for rejected in [fetch(true), now(client.fetch(true))] {
            let Err(FetchError::Rejected(rejected)) = rejected else { panic!("{rejected:?}") };
            assert_eq!((rejected.circuit(), rejected.reason()), ("pages", Reason::Open));
            assert_eq!(rejected.retry_after(), Duration::from_secs(30));
        }
        assert_eq!(client.calls.load(Ordering::Relaxed), 2);
        clock.advance(Duration::from_secs(31));
        assert_eq!(now(client.fetch(true)).unwrap(), 8);
    });
    assert_eq!(factory.get_breaker("pages")?.state(), State::Closed);
    assert_eq!(changes.load(Ordering::Relaxed), 3, "open, half-open, closed");

    let permit = factory.get_breaker("by hand")?.acquire()?.into_owned();
    std::thread::spawn(move || permit.failure()).join().expect("it does not panic");
    assert_eq!(factory.get_breaker("by hand")?.snapshot().failures, 1);
    println!("all as the documentation says");
    Ok(())
}
