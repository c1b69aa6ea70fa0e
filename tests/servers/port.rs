//! Ports of servers.

use std::net::{Ipv4Addr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// A loopback port that nobody else uses while this lives, also while its server is down.
///
/// The even ports are those of servers. Who holds the odd one above has the even one: so tests that run at
/// the same time, in other processes too, do not meet, and a process that is killed leaves nothing behind.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    _sign: TcpListener,
}

impl Port {
    /// Finds one.
    ///
    /// # Panics
    ///
    /// If all are taken.
    pub(super) fn new() -> Self {
        static TRIED: AtomicU16 = AtomicU16::new(0);
        // Processes that start at the same time begin far from each other.
        let first = process::id().wrapping_mul(97) % PAIRS;
        for _ in 0..PAIRS {
            let tried = u32::from(TRIED.fetch_add(1, Ordering::Relaxed));
            let number = LOWEST + 2 * u16::try_from((first + tried) % PAIRS).expect("few pairs");
            if let Ok(sign) = TcpListener::bind((Ipv4Addr::LOCALHOST, number + 1))
                && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            {
                return Self { number, _sign: sign };
            }
        }
        panic!("no free port from {LOWEST}");
    }

    /// Its number.
    pub(super) fn number(&self) -> u16 {
        self.number
    }
}

/// Below those that Linux gives to whoever asks for any: such a port could be lost to a connection while
/// its server restarts.
const LOWEST: u16 = 20_000;

/// Up to port 32 000.
const PAIRS: u32 = 6_000;
