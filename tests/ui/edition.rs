//! A program that means the same in every edition.

#![deny(warnings, rust_2018_idioms)]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use purgatory::{Rejected, circuit_breaker};

#[derive(Debug, PartialEq)]
struct Boom(u8);

impl From<Rejected> for Boom {
    fn from(_: Rejected) -> Self {
        Boom(0)
    }
}

#[circuit_breaker("edition", threshold = 1, ttl = "1m", exclude(Boom(2..=9)), ignore = |e| e.0 == 10)]
fn sync<'a>(list: &'a mut Vec<u8>, (n, _): (u8, String), _: u8) -> Result<&'a mut u8, Boom> {
    list.push(n);
    list.last_mut().ok_or(Boom(1))
}

#[circuit_breaker(name = format!("edition/{}", n), failure_if(Ok(0)), fallback = cached)]
async fn later(n: u8, text: &str) -> Result<usize, Boom> {
    if n == 0 {
        return Err(Boom(1));
    }
    Ok(text.len())
}

async fn cached(n: u8, _: &str) -> Result<usize, Boom> {
    Err(Boom(n))
}

#[circuit_breaker("edition/lazy")]
fn lazy<'a>(text: &'a str) -> impl Future<Output = Option<usize>> + 'a {
    async move { Some(text.len()) }
}

#[circuit_breaker(name = text)]
fn eager(text: &str) -> Pin<Box<dyn Future<Output = Option<usize>> + Send>> {
    let length = text.len();
    Box::pin(async move { Some(length) })
}

struct Client(u8);

impl Client {
    #[circuit_breaker("edition/method", failure_if = |n| *n > 5, fallback = 0)]
    fn method(self: Box<Self>) -> u8 {
        self.0
    }
}

fn finish<F: Future>(future: F) -> F::Output {
    match Box::pin(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!(),
    }
}

fn main() {
    assert_eq!(sync(&mut Vec::new(), (5, String::new()), 0), Ok(&mut 5));
    assert_eq!(finish(later(1, "four")), Ok(4));
    assert_eq!(finish(lazy("four")), Some(4));
    assert_eq!(finish(eager("four")), Some(4));
    assert_eq!(Box::new(Client(3)).method(), 3);
}
