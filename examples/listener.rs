//! A listener that feeds Prometheus metrics.
//!
//! ```text
//! cargo run -p purgatory-examples --example listener
//! ```
//!
//! It makes some calls, serves the metrics over HTTP, scrapes them once, and prints what it got.

use std::error::Error;
use std::io::{self, ErrorKind};

use axum::{Router, routing::get};
use prometheus::{
    IntCounterVec, IntGaugeVec, TextEncoder, register_int_counter_vec, register_int_gauge_vec,
};
use purgatory::{Cause, CircuitBreakerFactory, Event, Listener, State, circuit_breaker};
use tokio::net::TcpListener;

struct Metrics {
    state: IntGaugeVec,
    changes: IntCounterVec,
    failures: IntCounterVec,
    rejections: IntCounterVec,
}

impl Metrics {
    fn new() -> prometheus::Result<Self> {
        Ok(Self {
            state: register_int_gauge_vec!(
                "circuit_breaker_state",
                "State of the circuit: 0 is closed, 1 is half-open, 2 is open.",
                &["circuit"]
            )?,
            changes: register_int_counter_vec!(
                "circuit_breaker_state_changes_total",
                "How often the circuit came into a state.",
                &["circuit", "state"]
            )?,
            failures: register_int_counter_vec!(
                "circuit_breaker_failures_total",
                "How many calls failed.",
                &["circuit"]
            )?,
            rejections: register_int_counter_vec!(
                "circuit_breaker_rejections_total",
                "How many calls were rejected.",
                &["circuit"]
            )?,
        })
    }
}

impl Listener for Metrics {
    fn on_event(&self, event: &Event) {
        let circuit = event.circuit();
        match event {
            Event::Created { .. } => self.state.with_label_values(&[circuit]).set(0),
            Event::StateChanged { change, .. } => {
                let state = match change.to {
                    State::Closed => 0,
                    State::HalfOpen => 1,
                    State::Open => 2,
                };
                self.state.with_label_values(&[circuit]).set(state);
                self.changes.with_label_values(&[circuit, change.to.as_str()]).inc();
                // The failure of a probe has no event of its own.
                if change.cause == Cause::ProbeFailed {
                    self.failures.with_label_values(&[circuit]).inc();
                }
            }
            Event::Failed { .. } => self.failures.with_label_values(&[circuit]).inc(),
            Event::Rejected { .. } => self.rejections.with_label_values(&[circuit]).inc(),
            _ => {}
        }
    }
}

#[circuit_breaker("payments", threshold = 2)]
fn pay() -> io::Result<()> {
    Err(ErrorKind::ConnectionRefused.into())
}

#[circuit_breaker("search")]
fn search() -> io::Result<()> {
    Ok(())
}

async fn metrics() -> String {
    TextEncoder::new().encode_to_string(&prometheus::gather()).expect("the metrics are well-formed")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let factory = CircuitBreakerFactory::builder().listener(Metrics::new()?).build()?;
    purgatory::configure(factory)?;

    for _ in 0..5 {
        pay().unwrap_err();
        search()?;
    }

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let app = Router::new().route("/metrics", get(metrics));
    tokio::spawn(axum::serve(listener, app).into_future());

    let client = reqwest::Client::builder().no_proxy().build()?;
    let text = client.get(url).send().await?.error_for_status()?.text().await?;
    print!("{text}");
    for line in [
        r#"circuit_breaker_state{circuit="payments"} 2"#,
        r#"circuit_breaker_state{circuit="search"} 0"#,
        r#"circuit_breaker_state_changes_total{circuit="payments",state="open"} 1"#,
        r#"circuit_breaker_failures_total{circuit="payments"} 2"#,
        r#"circuit_breaker_rejections_total{circuit="payments"} 3"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    Ok(())
}
