//! A fleet that shares a circuit through Redis or Valkey: four processes of this program, whose dependency
//! breaks and heals, while the server itself is killed in between.
//!
//!     cargo run -p purgatory-examples --example redis_shared [-- redis://host:port]
//!
//! Without a URL it starts a server of its own, `redis-server` or `valkey-server` as found on the path. A server
//! that is given is not killed.

#[path = "redis_shared/server.rs"]
mod server;
#[path = "redis_shared/worker.rs"]
mod worker;

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use self::server::Server;

const WORKERS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [role, url] if role == "worker" => worker::run(url),
        [] => {
            let mut server = Server::start()?;
            let url = server.url();
            show(&url, Some(&mut server))
        }
        [url] => show(url, None),
        _ => Err("usage: redis_shared [URL]".into()),
    }
}

fn show(url: &str, server: Option<&mut Server>) -> Result<(), Box<dyn Error>> {
    let mut fleet = Fleet::start(url)?;
    fleet.until("every worker is connected", |heard| heard.all("storage: up"))?;

    println!("\nThe dependency breaks: the failures of all add up to one trip.");
    fleet.tell("break")?;
    fleet.until("the circuit is open in all", |heard| heard.all("to open"))?;
    println!("...from the first to the last in {:?}", fleet.heard.spread("to open"));

    println!("\nIt stays broken: one probe for all, after a ttl of one second.");
    fleet.heard.clear();
    fleet.until("a probe has failed, for all", |heard| heard.all("half-open to open"))?;
    let probes = fleet.heard.count("the ttl has passed");
    println!("...calls that went out as a probe: {probes}");
    assert_eq!(probes, 1);

    if let Some(server) = server {
        println!("\nThe server is killed: each worker goes on alone.");
        fleet.heard.clear();
        server.kill()?;
        fleet.until("they know", |heard| heard.all("storage: down"))?;
        println!("\nThe server is back, and empty.");
        server.restart()?;
        fleet.until("they share again", |heard| heard.all("storage: up"))?;
    }

    println!("\nThe dependency heals: the next probe closes the circuit for all.");
    fleet.heard.clear();
    fleet.tell("heal")?;
    fleet.until("the circuit is closed in all", |heard| heard.all("to closed"))?;

    println!("\nEvery failure is in the record, or was discarded when it did not matter any more:");
    fleet.heard.clear();
    fleet.tell("end")?;
    fleet.until("they have ended", |heard| heard.all("failures:"))?;
    for line in fleet.heard.lines.iter().filter(|line| line.text.starts_with("failures:")) {
        let numbers: Vec<u64> = line.text.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers[0], numbers[1] + numbers[2], "they add up");
    }
    Ok(())
}

/// The processes, and what they say.
struct Fleet {
    workers: Vec<(Child, ChildStdin)>,
    lines: Receiver<Line>,
    heard: Heard,
}

struct Line {
    worker: usize,
    at: Instant,
    text: String,
}

#[derive(Default)]
struct Heard {
    lines: Vec<Line>,
}

impl Fleet {
    fn start(url: &str) -> Result<Self, Box<dyn Error>> {
        let (send, lines) = mpsc::channel();
        let mut workers = Vec::new();
        for worker in 0..WORKERS {
            let mut child = Command::new(std::env::current_exe()?)
                .args(["worker", url])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let stdin = child.stdin.take().ok_or("no input")?;
            let stdout = BufReader::new(child.stdout.take().ok_or("no output")?);
            let send = send.clone();
            thread::spawn(move || {
                for text in stdout.lines().map_while(Result::ok) {
                    let line = Line { worker, at: Instant::now(), text };
                    if send.send(line).is_err() {
                        break;
                    }
                }
            });
            workers.push((child, stdin));
        }
        Ok(Self { workers, lines, heard: Heard::default() })
    }

    fn tell(&mut self, word: &str) -> std::io::Result<()> {
        self.workers.iter_mut().try_for_each(|(_, stdin)| writeln!(stdin, "{word}"))
    }

    /// Listens until that holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Heard) -> bool) -> Result<(), Box<dyn Error>> {
        while !holds(&self.heard) {
            let line = self.lines.recv_timeout(Duration::from_secs(20));
            let line = line.map_err(|_| format!("waited too long until {what}"))?;
            println!("  worker {}: {}", line.worker + 1, line.text);
            self.heard.lines.push(line);
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (child, _) in &mut self.workers {
            // It may have ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Heard {
    /// Whether every worker has said so.
    fn all(&self, text: &str) -> bool {
        (0..WORKERS).all(|worker| self.with(text).any(|line| line.worker == worker))
    }

    fn with<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.text.contains(text))
    }

    fn count(&self, text: &str) -> usize {
        self.with(text).count()
    }

    fn spread(&self, text: &str) -> Duration {
        let times = || self.with(text).map(|line| line.at);
        times().max().zip(times().min()).map_or(Duration::ZERO, |(last, first)| last - first)
    }

    fn clear(&mut self) {
        self.lines.clear();
    }
}
