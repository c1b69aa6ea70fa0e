//! What a rejected call comes to, other than an error.
//!
//! ```text
//! cargo run -p purgatory-examples --example fallback
//! ```
//!
//! The services of a shop are down. Each function is called twice: the first call fails and trips
//! the circuit, the second is rejected. It prints what both came to.

use std::fmt::Debug;
use std::io::{self, ErrorKind};

use purgatory::circuit_breaker;

#[circuit_breaker("prices", threshold = 1, fallback = list_price)]
fn price(article: &str) -> io::Result<u32> {
    get(&format!("/prices/{article}"))
}

/// Is called with the arguments of the rejected call, and may fail as well.
fn list_price(article: &str) -> io::Result<u32> {
    match article {
        "lamp" => Ok(1990),
        _ => Err(ErrorKind::NotFound.into()),
    }
}

#[circuit_breaker("search", threshold = 1, fallback = Ok(vec![article.to_owned()]))]
fn similar(article: &str) -> io::Result<Vec<String>> {
    get(&format!("/similar/{article}"))
}

/// `None` is a failure, and what a rejected call returns.
#[circuit_breaker("reviews", threshold = 1)]
fn review(article: &str) -> Option<String> {
    get(&format!("/reviews/{article}")).ok()
}

#[derive(Debug, PartialEq)]
enum Delivery {
    Days(u32),
    Unknown,
}

/// Any other type has to be told what a failure is.
#[circuit_breaker(
    "delivery",
    threshold = 1,
    failure_if(Delivery::Unknown),
    fallback = Delivery::Days(5),
)]
fn delivery(article: &str) -> Delivery {
    get(&format!("/delivery/{article}")).map_or(Delivery::Unknown, Delivery::Days)
}

fn get<T>(_path: &str) -> io::Result<T> {
    Err(ErrorKind::TimedOut.into())
}

fn main() {
    println!("          first call            second call");
    assert_eq!(both("price", || price("lamp")).unwrap(), 1990);
    assert_eq!(both("similar", || similar("lamp")).unwrap(), ["lamp"]);
    assert_eq!(both("review", || review("lamp")), None);
    assert_eq!(both("delivery", || delivery("lamp")), Delivery::Days(5));

    for circuit in purgatory::factory().snapshot() {
        assert_eq!(circuit.rejected, 1, "{}", circuit.name);
    }
}

/// Calls twice, and gives what the second call came to.
fn both<T: Debug>(name: &str, call: impl Fn() -> T) -> T {
    let (first, second) = (call(), call());
    println!("{name:<8}  {:<20}  {second:?}", format!("{first:?}"));
    second
}
