//! Other processes that use circuits.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::python::python;

/// A process with one factory, which does what it is told and says what came of it.
///
/// It takes `--url URL --circuit NAME [--threshold N] [--ttl SECONDS] [ACTION...] --stdin`, then an action a
/// line, and answers each with a line of JSON. `peer.py` lists the actions.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    actions: ChildStdin,
    answers: Receiver<String>,
}

impl Peer {
    /// Starts a program that is such a peer. What it writes to its standard error goes to that of the test.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(mut program: Command, url: &str, circuit: &str, args: &[&str]) -> Self {
        program.args(["--url", url, "--circuit", circuit]).args(args).arg("--stdin");
        program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        let actions = child.stdin.take().expect("it is piped");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (send, answers) = mpsc::channel();
        // It ends with the process, or with the peer that nobody listens to any more.
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, actions, answers }
    }

    /// Starts one with the Python package `purgatory`.
    ///
    /// # Panics
    ///
    /// If Python or the package cannot be had (see [`python`]).
    pub fn python(url: &str, circuit: &str, args: &[&str]) -> Self {
        Self::start(python(), url, circuit, args)
    }

    /// Has it do something, and waits for the answer.
    ///
    /// # Panics
    ///
    /// As [`Peer::send`] and [`Peer::answer`].
    #[track_caller]
    pub fn action(&mut self, action: &str) -> Value {
        self.send(action);
        self.answer()
    }

    /// Has it do something, and does not wait: for peers that are to do it at the same time.
    ///
    /// # Panics
    ///
    /// If it has ended.
    #[track_caller]
    pub fn send(&mut self, action: &str) {
        writeln!(self.actions, "{action}").expect("the peer has not ended");
    }

    /// Waits for the next answer.
    ///
    /// # Panics
    ///
    /// If there is none within a minute, or it is not JSON.
    #[track_caller]
    pub fn answer(&mut self) -> Value {
        let line = self.answers.recv_timeout(PATIENCE).expect("the peer answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// The id of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (`SIGKILL`), with whatever it is doing.
    pub fn kill(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How long an action may take: calls may be told to last a while.
const PATIENCE: Duration = Duration::from_secs(60);
