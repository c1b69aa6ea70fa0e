//! A program that means the same in every edition.

#![deny(warnings, rust_2018_idioms)]

use std::cell::RefCell;
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

type Log = RefCell<Vec<&'static str>>;

/// Says when it is dropped.
struct Noisy<'a>(&'static str, &'a Log);

impl Noisy<'_> {
    fn answer(&self) -> Option<u8> {
        Some(42)
    }
}

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

/// The functions with the attribute, or without. Until the edition 2024, what the last expression makes is
/// dropped after the variables.
macro_rules! temporaries {
    ($name:ident $(#[$attribute:meta])?) => {
        mod $name {
            use super::*;

            $(#[$attribute])?
            pub fn sync<'a>(log: &'a Log, _argument: Noisy<'a>) -> Option<u8> {
                let _variable = Noisy("variable", log);
                Noisy("temporary", log).answer()
            }

            $(#[$attribute])?
            pub async fn later<'a>(log: &'a Log, _argument: Noisy<'a>) -> Option<u8> {
                let _variable = Noisy("variable", log);
                Noisy("temporary", log).answer()
            }

            $(#[$attribute])?
            pub fn lazy<'a>(log: &'a Log, argument: Noisy<'a>) -> impl Future<Output = Option<u8>> + 'a {
                async move {
                    let _argument = argument;
                    let _variable = Noisy("variable", log);
                    Noisy("temporary", log).answer()
                }
            }
        }

        fn $name() -> Vec<&'static str> {
            let log = Log::default();
            let argument = || Noisy("argument", &log);
            $name::sync(&log, argument());
            finish($name::later(&log, argument()));
            finish($name::lazy(&log, argument()));
            log.take()
        }
    };
}

temporaries!(bare);
temporaries!(guarded #[circuit_breaker("edition/temporaries")]);

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
    assert_eq!(guarded(), bare());
}
