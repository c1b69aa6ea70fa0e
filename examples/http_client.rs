//! An HTTP client whose server fails, hangs and comes back.
//!
//! ```text
//! cargo run -p purgatory-examples --example http_client
//! ```
//!
//! Each call prints a line: when it was made, what came back, and the state of the circuit after
//! it. The events that it caused come before, with a star. The last line tells how many of the
//! calls the server has seen.

use std::error::Error;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use purgatory::State::{Closed, Open};
use purgatory::{Event, Rejected, circuit_breaker};
use reqwest::StatusCode;
use tokio::net::TcpListener;
use tokio::time::sleep;

#[derive(Debug, thiserror::Error)]
enum WeatherError {
    #[error("{0}")]
    Status(StatusCode),
    #[error("{}", if .0.is_timeout() { "timed out" } else { "no answer" })]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    fn new(url: String) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            // Without it, a server that hangs would never be seen to fail.
            .timeout(Duration::from_millis(500))
            .build()?;
        Ok(Self { http, url })
    }

    #[circuit_breaker(
        "weather",
        threshold = 3,
        ttl = "1s",
        exclude(WeatherError::Status(StatusCode::NOT_FOUND))
    )]
    async fn weather(&self, city: &str) -> Result<String, WeatherError> {
        let response = self.http.get(format!("{}/{city}", self.url)).send().await?;
        match response.status() {
            StatusCode::OK => Ok(response.text().await?),
            status => Err(WeatherError::Status(status)),
        }
    }
}

struct Server {
    mode: Mutex<Mode>,
    requests: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Works,
    Fails,
    Hangs,
}

async fn answer(
    State(server): State<Arc<Server>>,
    Path(city): Path<String>,
) -> Result<&'static str, StatusCode> {
    server.requests.fetch_add(1, Ordering::Relaxed);
    let mode = *server.mode.lock().unwrap();
    match mode {
        Mode::Works if city == "paris" => Ok("18 °C"),
        Mode::Works => Err(StatusCode::NOT_FOUND),
        Mode::Fails => Err(StatusCode::INTERNAL_SERVER_ERROR),
        Mode::Hangs => pending().await,
    }
}

fn print(event: &Event) {
    match event {
        Event::Failed { failures, .. } => println!("      * failure {failures} in a row"),
        Event::StateChanged { change, .. } => {
            println!("      * {} -> {}: {:?}", change.from, change.to, change.cause);
        }
        _ => println!("      * {}", event.name()),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    purgatory::factory().add_listener(print);

    let server = Arc::new(Server { mode: Mutex::new(Mode::Works), requests: AtomicU64::new(0) });
    let app = Router::new().route("/{city}", get(answer)).with_state(Arc::clone(&server));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = Client::new(format!("http://{}", listener.local_addr()?))?;
    tokio::spawn(axum::serve(listener, app).into_future());

    let start = Instant::now();
    let mut calls = 0;
    for (mode, cities, state_after) in [
        (Mode::Works, ["paris", "atlantis", "atlantis", "atlantis"], Closed),
        (Mode::Fails, ["paris"; 4], Open),
        (Mode::Hangs, ["paris"; 4], Open),
        (Mode::Works, ["paris"; 4], Closed),
    ] {
        println!("\nThe server: {mode:?}");
        *server.mode.lock().unwrap() = mode;
        for city in cities {
            let time = start.elapsed().as_secs_f32();
            let report = match client.weather(city).await {
                Ok(report) => report,
                Err(error) => error.to_string(),
            };
            let state = purgatory::get_breaker("weather")?.state();
            println!("{time:.1}s  {city:<8}  {report:<41}  {state}");
            calls += 1;
            sleep(Duration::from_millis(300)).await;
        }
        assert_eq!(purgatory::get_breaker("weather")?.state(), state_after);
    }

    let seen = server.requests.load(Ordering::Relaxed);
    let rejected = purgatory::get_breaker("weather")?.snapshot().rejected;
    println!("\n{calls} calls: {rejected} rejected, {seen} seen by the server");
    assert_eq!(seen + rejected, calls);
    Ok(())
}
