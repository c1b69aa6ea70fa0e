//! One connection of a proxy.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

use super::{Mode, Shared};

/// A client, the server, and what is between.
#[derive(Debug)]
pub(super) struct Line<'a> {
    client: TcpStream,
    server: TcpStream,
    number: u64,
    over: AtomicBool,
    shared: &'a Shared,
}

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

/// Whether something gets through.
#[derive(Debug, Clone, Copy)]
enum Open {
    Mode(Mode),
    Never,
    Ended,
}

impl<'a> Line<'a> {
    /// Connects a client to the server. Without a server, the client is reset.
    pub(super) fn new(
        client: TcpStream,
        upstream_port: u16,
        number: u64,
        shared: &'a Shared,
    ) -> Option<Self> {
        let mode = shared.state().mode;
        if mode == Mode::Close {
            return None;
        }
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream_port));
        let (Ok(server), false) = (server, mode == Mode::Reset) else {
            reset(&client);
            return None;
        };
        for stream in [&client, &server] {
            stream.set_nodelay(true).ok()?;
            // For its thread to look up, and see that the mode is another.
            stream.set_read_timeout(Some(TICK)).ok()?;
            stream.set_write_timeout(Some(TICK)).ok()?;
        }
        Some(Self { client, server, number, over: AtomicBool::new(false), shared })
    }

    /// Carries bytes until the line ends.
    pub(super) fn run(&self) {
        thread::scope(|threads| {
            threads.spawn(|| self.carry(Way::ToServer));
            self.carry(Way::ToClient);
        });
    }

    /// Carries bytes one way until there are no more, or the line ends. Both ways have then to end.
    fn carry(&self, way: Way) {
        let (mut from, to) = match way {
            Way::ToServer => (&self.client, &self.server),
            Way::ToClient => (&self.server, &self.client),
        };
        let mut buffer = [0; 4096];
        let mut carried = 0;
        loop {
            let read = match from.read(&mut buffer) {
                Err(error) if is_timeout(&error) => None,
                Err(_) => return self.end(),
                Ok(read) => Some(read),
            };
            let mode = match self.mode_when_open(way) {
                Open::Mode(mode) => mode,
                // What was read is gone. The client's end is the line's: there is nobody to be silent to.
                Open::Never if read == Some(0) && way == Way::ToServer => return self.end(),
                Open::Never => {
                    if read == Some(0) {
                        thread::sleep(TICK); // Nothing comes any more; the line ends the other way.
                    }
                    continue;
                }
                Open::Ended => return,
            };
            if !matches!(mode, Mode::Cut(_)) {
                carried = 0;
            }
            let bytes = &mut buffer[..read.unwrap_or_default()];
            let passed = match mode {
                Mode::Close => None,
                Mode::Reset => self.reset(),
                _ if read.is_none() => Some(()),
                _ if bytes.is_empty() => {
                    // It may still be answered.
                    let _ = to.shutdown(Shutdown::Write);
                    return;
                }
                Mode::Delay(time) => self.pause(time).and_then(|()| self.write(to, bytes)),
                Mode::Slice(time) => bytes
                    .iter()
                    .try_for_each(|byte| self.write(to, &[*byte]).and_then(|()| self.pause(time))),
                Mode::Garbage if way == Way::ToClient => {
                    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
                    self.write(to, bytes)
                }
                Mode::Cut(most) if way == Way::ToClient => {
                    let left = bytes.len().min(most.saturating_sub(carried));
                    carried += left;
                    let written = self.write(to, &bytes[..left]);
                    if carried >= most { self.reset() } else { written }
                }
                _ => self.write(to, bytes),
            };
            if passed.is_none() {
                return self.end();
            }
        }
    }

    /// The mode, as soon as it lets something through this way.
    fn mode_when_open(&self, way: Way) -> Open {
        loop {
            if self.ended() {
                return Open::Ended;
            }
            let (mode, silent) = {
                let state = self.shared.state();
                (state.mode, self.number <= state.silent)
            };
            if silent {
                return Open::Never;
            }
            let held = match mode {
                Mode::Hang => true,
                Mode::OneWay => way == Way::ToClient,
                _ => false,
            };
            if !held {
                return Open::Mode(mode);
            }
            thread::sleep(TICK);
        }
    }

    /// Waits, unless the line ends meanwhile.
    fn pause(&self, time: Duration) -> Option<()> {
        let end = Instant::now() + time;
        while !self.ended() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(());
            }
            thread::sleep(left.min(TICK));
        }
        None
    }

    /// Writes all, unless the line ends meanwhile.
    fn write(&self, mut to: &TcpStream, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            match to.write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if is_timeout(&error) && !self.ended() => {}
                Err(_) => return None,
            }
        }
        Some(())
    }

    /// Has both ends closed with a reset. This is for the match above: nothing gets through.
    fn reset(&self) -> Option<()> {
        reset(&self.client);
        reset(&self.server);
        None
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn ended(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.shared.ended()
    }
}

/// Has it reset when it is closed, which is when both ways have ended.
fn reset(stream: &TcpStream) {
    // It may be closed already.
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// How long a thread of a line takes to see that something has changed.
const TICK: Duration = Duration::from_millis(10);
