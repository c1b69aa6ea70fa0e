//! Errors that are no failures: by pattern in the attribute, by type for a whole factory.
//!
//! ```text
//! cargo run -p purgatory-examples --example exclude
//! ```
//!
//! It prints errors and what they counted as. An excluded error is a success, as the dependency has
//! answered; an ignored one is neither success nor failure.

use std::error::Error;
use std::fmt::Debug;

use purgatory::Outcome::{self, Failure, Ignored, Success};
use purgatory::{CircuitBreaker, CircuitBreakerFactory, Rejected, circuit_breaker};

#[derive(Debug, thiserror::Error)]
enum QueryError {
    #[error("no such row")]
    NotFound,
    #[error("SQLSTATE {0}")]
    Sql(&'static str),
    #[error("cancelled by the user")]
    Cancelled,
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

#[circuit_breaker(
    "database",
    exclude(QueryError::NotFound, QueryError::Sql(state) if state.starts_with("23")),
    ignore(QueryError::Cancelled),
)]
fn query(error: QueryError) -> Result<(), QueryError> {
    Err(error)
}

fn by_pattern() -> Result<(), Box<dyn Error>> {
    let database = purgatory::get_breaker("database")?;

    println!("by pattern");
    assert_eq!(outcome(&database, || query(QueryError::NotFound)), Success);
    assert_eq!(outcome(&database, || query(QueryError::Sql("23505"))), Success); // duplicate key
    assert_eq!(outcome(&database, || query(QueryError::Sql("57P01"))), Failure); // shutting down
    assert_eq!(outcome(&database, || query(QueryError::Cancelled)), Ignored);
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("status {0}")]
struct HttpError(u16);

fn fetch(status: u16) -> Result<(), HttpError> {
    Err(HttpError(status))
}

fn fetch_boxed(status: u16) -> Result<(), Box<dyn Error + Send + Sync>> {
    Ok(fetch(status)?)
}

#[derive(Debug, thiserror::Error)]
#[error("there is no report")]
struct ReportError(#[from] HttpError);

fn report(status: u16) -> Result<(), ReportError> {
    Ok(fetch(status)?)
}

fn by_type() -> Result<(), Box<dyn Error>> {
    let factory = CircuitBreakerFactory::builder()
        .exclude::<HttpError>(|error| error.0 < 500)
        .look_into::<ReportError>() // boxes are looked into without being told
        .build()?;
    let reports = factory.get_breaker("reports")?;

    println!("by type");
    assert_eq!(outcome(&reports, || reports.call(|| fetch(404))), Success);
    assert_eq!(outcome(&reports, || reports.call(|| fetch(503))), Failure);
    assert_eq!(outcome(&reports, || reports.call(|| fetch_boxed(404))), Success);
    assert_eq!(outcome(&reports, || reports.call(|| report(404))), Success);
    assert_eq!(outcome(&reports, || reports.call(|| report(503))), Failure);
    Ok(())
}

/// What the call counts as, seen from the failure before it: a success makes that void.
fn outcome<E: Debug>(breaker: &CircuitBreaker, call: impl FnOnce() -> Result<(), E>) -> Outcome {
    breaker.reset();
    breaker.acquire().expect("it is closed").failure();
    let error = call().expect_err("all of these calls fail");
    let outcome = match breaker.snapshot().failures {
        0 => Success,
        1 => Ignored,
        _ => Failure,
    };
    println!("  {:<40}{outcome:?}", format!("{error:?}"));
    outcome
}

fn main() -> Result<(), Box<dyn Error>> {
    by_pattern()?;
    by_type()
}
