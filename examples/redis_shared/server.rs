//! A server of this program's own.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server that keeps nothing, and ends with this program.
pub(super) struct Server {
    program: &'static str,
    port: u16,
    child: Child,
}

impl Server {
    pub(super) fn start() -> io::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut found = Err(io::Error::other("there is neither redis-server nor valkey-server"));
        for program in ["redis-server", "valkey-server"] {
            match run(program, port) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => {
                    found = other.map(|child| Self { program, port, child });
                    break;
                }
            }
        }
        found
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.child = run(self.program, self.port)?;
        Ok(())
    }
}

fn run(program: &str, port: u16) -> io::Result<Child> {
    let child = Command::new(program)
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .stdout(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if began.elapsed() > Duration::from_secs(5) {
            return Err(io::Error::other(format!("{program} does not answer on port {port}")));
        }
        thread::sleep(Duration::from_millis(5)); // There is nothing to be woken by.
    }
    Ok(child)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.kill();
    }
}
