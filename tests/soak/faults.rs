//! What happens to the storage, and to the lines to it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use purgatory_tests::servers::{Mode, Proxy};

use crate::dice::Dice;
use crate::journal::Journal;
use crate::world::World;

/// How many kinds of them are noted in the journal.
pub(crate) const KINDS: usize = 15;

/// Faults, one after the other, until they are ended.
pub(crate) struct Faults {
    end: mpsc::Sender<()>,
    thread: JoinHandle<()>,
}

struct Fate {
    world: Arc<World>,
    dice: Dice,
    /// Whether the server may lose what it has.
    lossy: bool,
    ended: mpsc::Receiver<()>,
}

impl Faults {
    pub(crate) fn begin(world: &Arc<World>, dice: Dice, lossy: bool) -> Self {
        let (end, ended) = mpsc::channel();
        let mut fate = Fate { world: Arc::clone(world), dice, lossy, ended };
        let world = Arc::clone(world);
        let run = move || world.journal.hear("who makes the faults", || fate.run());
        Self { end, thread: thread::spawn(run) }
    }

    /// All is well again when this returns.
    pub(crate) fn end(self, journal: &Journal) {
        // If it has panicked, the journal says so.
        let _ = self.end.send(());
        self.thread.join().expect("a panic is in the journal");
        journal.check();
    }
}

impl Fate {
    fn run(&mut self) {
        loop {
            let time = self.dice.millis(500, 1500);
            if self.waits(time) {
                return;
            }
            if self.strike() {
                return;
            }
        }
    }

    /// Lets time pass, and says whether it is over.
    fn waits(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) != Err(mpsc::RecvTimeoutError::Timeout)
    }

    /// Has something happen, and says whether it is all over.
    fn strike(&mut self) -> bool {
        match self.dice.below(20) {
            // Early, so that what comes after it meets a server that has lost something.
            0..4 if self.lossy => self.lose(),
            0..12 => self.disturb(),
            12..15 => {
                let time = self.dice.millis(100, 1200);
                self.note("server hangs", format!("the server hangs for {time:?}"));
                self.world.server.stop();
                let over = self.waits(time);
                self.world.server.resume();
                over
            }
            15 => {
                let time = self.dice.between(100, 600) as f64 / 1e3;
                self.command("server sleeps", &["DEBUG", "SLEEP", &time.to_string()])
            }
            16 => self.command("scripts forgotten", &["SCRIPT", "FLUSH"]),
            17 => self.command("clients killed", &["CLIENT", "KILL", "TYPE", "normal"]),
            _ => self.command("clients killed", &["CLIENT", "KILL", "TYPE", "pubsub"]),
        }
    }

    /// The server loses what it has.
    fn lose(&mut self) -> bool {
        self.world.lossy.store(true, Ordering::SeqCst);
        if self.dice.percent(50) {
            return self.command("flushed", &["FLUSHALL"]);
        }
        let time = self.dice.millis(0, 800);
        self.note("restart", format!("the server is killed, and restarts empty {time:?} later"));
        self.world.server.kill();
        let over = self.waits(time);
        self.world.server.restart();
        over
    }

    fn note(&self, kind: &'static str, text: String) {
        self.world.journal.fault(kind, text);
    }

    fn command(&self, kind: &'static str, command: &[&str]) -> bool {
        self.note(kind, command.join(" "));
        self.world.server.command(command);
        false
    }

    /// A line, or all of them, does not carry what it should for a while.
    fn disturb(&mut self) -> bool {
        let dice = &mut self.dice;
        let (kind, mode) = match dice.below(10) {
            0 => ("close", Mode::Close),
            1 => ("reset", Mode::Reset),
            2 => ("hang", Mode::Hang),
            // Some longer than an operation may take, some not.
            3 => ("delay", Mode::Delay(dice.millis(1, 300))),
            4 => ("slice", Mode::Slice(Duration::from_micros(dice.between(10, 2000)))),
            5 => ("garbage", Mode::Garbage),
            6 => ("cut", Mode::Cut(dice.between(1, 2000) as usize)),
            7..9 => ("one way", Mode::OneWay),
            _ => ("black hole", Mode::BlackHoleExisting),
        };
        let time = dice.millis(20, 2000);
        let instances = &self.world.instances;
        let struck = dice.below(instances.len() as u64 + 2) as usize;
        let who =
            instances.get(struck).map_or_else(|| "all".to_owned(), |one| one.number.to_string());
        let lines: Vec<&Proxy> = match instances.get(struck) {
            Some(one) => vec![&one.proxy],
            None => instances.iter().map(|instance| &instance.proxy).collect(),
        };
        self.note(kind, format!("{mode:?} for {time:?}: {who}"));
        lines.iter().for_each(|line| line.set(mode));
        let over = self.waits(time);
        lines.iter().for_each(|line| line.set(Mode::Pass));
        over
    }
}
