//! A circuit in all its states, in four seconds and without a network.
//!
//! ```text
//! cargo run -p purgatory-examples --example quickstart
//! ```
//!
//! The service works, fails four times, and works again. Each call prints a line: when it was made,
//! what its caller got, and the states that the circuit went through.

use std::io;
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use purgatory::State::{Closed, HalfOpen, Open};
use purgatory::{Event, circuit_breaker};

#[derive(Default)]
struct Service {
    requests: u32,
}

impl Service {
    #[circuit_breaker("answers", threshold = 3, ttl = "1s")]
    fn ask(&mut self) -> io::Result<u32> {
        self.requests += 1;
        match self.requests {
            2..=5 => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(42),
        }
    }
}

fn main() {
    let (sender, changes) = mpsc::channel();
    purgatory::factory().add_listener(move |event: &Event| {
        if let Event::StateChanged { change, .. } = event {
            sender.send(change.to).expect("main listens until the end");
        }
    });

    let mut service = Service::default();
    let mut states = vec![Closed];
    let start = Instant::now();

    println!("time  call                                       circuit");
    for _ in 0..13 {
        let time = start.elapsed().as_secs_f32();
        let answer = match service.ask() {
            Ok(answer) => answer.to_string(),
            Err(error) => error.to_string(),
        };
        let before = states.len() - 1;
        states.extend(changes.try_iter());
        let path = states[before..].iter().map(|state| state.as_str()).collect::<Vec<_>>();
        println!("{time:.1}s  {answer:<41}  {}", path.join(" -> "));
        sleep(Duration::from_millis(300));
    }

    println!("13 calls, of which {} reached the service", service.requests);
    assert_eq!(states, [Closed, Open, HalfOpen, Open, HalfOpen, Closed]);
}
