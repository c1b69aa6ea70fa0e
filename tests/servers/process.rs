//! Processes that end with the test.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};

/// A process that is killed when this is dropped, and when this process ends without dropping it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts a program with a folder, which is removed if we cannot do it, and writes into `log` there.
    pub(super) fn start(program: &Path, args: &[String], folder: &Path) -> Self {
        let log = File::options().create(true).append(true).open(folder.join("log"));
        let log = log.expect("the folder is there");
        let child = Command::new("sh")
            .args(["-c", GUARDED])
            .arg(folder)
            .arg(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a file can be open twice"))
            .stderr(log)
            .spawn();
        Self { child: child.expect("there is a shell") }
    }

    /// The id of the process.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still there, be it stopped.
    pub(super) fn runs(&self) -> bool {
        // Left as it is if it has ended, so that its id stays taken: the guard knows no other name for it.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.wait(look).is_none()
    }

    /// Stops it, and waits until it has stopped.
    pub(super) fn stop(&self) {
        self.signal(Signal::STOP);
        self.wait(WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    }

    /// Lets it go on.
    pub(super) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn wait(&self, options: WaitIdOptions) -> Option<WaitIdStatus> {
        waitid(WaitId::Pid(Pid::from_child(&self.child)), options).expect("it is our child")
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is our child");
    }
}

impl Drop for Process {
    /// Kills it, also when it is stopped, and waits until it is gone.
    fn drop(&mut self) {
        // Only the guard kills: it holds an id that must not be another process's by then.
        let guard = self.child.stdin.take();
        let _ = guard.expect("it is taken only here").write_all(b"\n");
        let _ = self.child.wait();
    }
}

/// Becomes the program, and leaves a guard behind, who hears of us through a pipe. On a line it kills the
/// program, and when we are gone without a word it also removes the folder, which is `$0`. It outlives the
/// signals that a terminal sends to all.
const GUARDED: &str = r#"
    exec 3<&0
    (
        trap '' HUP INT TERM
        if read -r _ <&3; then
            kill -KILL $$
        else
            kill -KILL $$
            rm -rf "$0"
        fi
    ) &
    exec "$@" </dev/null 3<&-
"#;
