//! A line to a server that can be disturbed.

mod line;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use self::line::Line;

/// What a [`Proxy`] does with its connections: those that there are, and those that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Lets all through.
    Pass,
    /// Closes them (`FIN`).
    Close,
    /// Resets them (`RST`).
    Reset,
    /// Lets nothing through, and keeps it: it comes late when the mode ends.
    Hang,
    /// Lets it through after a while: each piece, in both directions.
    Delay(Duration),
    /// Lets it through byte by byte, with a pause after each.
    Slice(Duration),
    /// Replaces every byte of the answers.
    Garbage,
    /// Lets so many bytes of answers through on each connection, then resets it.
    Cut(usize),
    /// Lets requests through and keeps their answers: a command is done, and who sent it never knows. The
    /// answers come late if the mode ends before the connection does.
    OneWay,
    /// Lets nothing through on the connections that there are, for ever, whatever the mode is later. They
    /// stay open until their client closes them. New ones work.
    BlackHoleExisting,
}

/// A line to a server that can be disturbed. It begins in [`Mode::Pass`].
///
/// Dropped, it closes its connections, and its threads have ended.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Makes one to a server on this machine.
    ///
    /// # Panics
    ///
    /// If there is no port for it.
    pub fn start(upstream_port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let state = State { mode: Mode::Pass, accepted: 0, silent: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), ended: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(&listener, upstream_port, &serving));
        Self { port, shared, thread: Some(thread) }
    }

    /// Where it is: `redis://127.0.0.1:port/`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Sets what it does from now on.
    pub fn set(&self, mode: Mode) {
        let mut state = self.shared.state();
        state.mode = mode;
        if mode == Mode::BlackHoleExisting {
            state.silent = state.accepted;
        }
    }

    /// How many connections it has taken.
    pub fn accepted(&self) -> u64 {
        self.shared.state().accepted
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // For its thread to look up.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            // What it may have panicked about is in the output of the test.
            let _ = thread.join();
        }
    }
}

/// What the threads of a proxy have in common.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// How many connections there have been. They have numbers, from one.
    accepted: u64,
    /// The last connection that is silent for ever.
    silent: u64,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// Takes connections until the proxy ends, and waits for their threads.
fn serve(listener: &TcpListener, upstream_port: u16, shared: &Shared) {
    thread::scope(|threads| {
        for client in listener.incoming() {
            if shared.ended() {
                break;
            }
            // A client that has gone before it was taken.
            let Ok(client) = client else { continue };
            let number = {
                let mut state = shared.state();
                state.accepted += 1;
                state.accepted
            };
            threads.spawn(move || {
                if let Some(line) = Line::new(client, upstream_port, number, shared) {
                    line.run();
                }
            });
        }
    });
}
