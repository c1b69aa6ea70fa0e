//! What a seed stands for.

use std::time::Duration;

use purgatory::{Config, Consistency, StorageOptions};

use crate::dice::Dice;

/// Everything that is drawn before a run begins. What happens in it is drawn on the way.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) processes: usize,
    pub(crate) circuits: usize,
    pub(crate) callers: usize,
    pub(crate) threshold: u32,
    pub(crate) ttl: Duration,
    pub(crate) lease: Duration,
    pub(crate) probes: u32,
    pub(crate) successes: u32,
    pub(crate) strict: bool,
    pub(crate) timeout: Duration,
    pub(crate) probe_wait: Duration,
    pub(crate) backoff: Duration,
    pub(crate) poll: Duration,
    pub(crate) bump: bool,
    pub(crate) watch: bool,
    /// Nothing but failures, and so many allowed that nothing trips: every one must be in the record.
    pub(crate) counting: bool,
    pub(crate) faults: bool,
    /// Pushes may be lost.
    pub(crate) deaf: bool,
    /// Beginnings of a watch may hang.
    pub(crate) mute: bool,
    /// The storage's clock is set now and then.
    pub(crate) steps: bool,
    /// Somebody else writes to the records.
    pub(crate) tampers: bool,
    pub(crate) resets: bool,
    pub(crate) restarts: bool,
    pub(crate) length: Duration,
    pub(crate) healthy_end: bool,
}

impl Plan {
    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let counting = dice.percent(20);
        let threshold = match () {
            () if counting || dice.percent(10) => 1_000_000,
            () => dice.between(1, 6) as u32,
        };
        let rarely = |dice: &mut Dice| dice.percent(15) && !counting;
        Self {
            processes: dice.between(2, 5) as usize,
            circuits: dice.pick(&[1, 1, 2]),
            callers: dice.pick(&[1, 1, 2, 3]),
            threshold,
            // Failures older than that are discarded when the storage is back, whether they arrive or not.
            ttl: if counting { dice.millis(1200, 1500) } else { dice.millis(200, 1500) },
            lease: dice.millis(500, 1500),
            probes: dice.between(1, 3) as u32,
            successes: dice.pick(&[1, 1, 2, 3]),
            strict: dice.percent(25),
            timeout: dice.millis(100, 250),
            probe_wait: dice.millis(20, 50),
            backoff: dice.millis(100, 1000),
            poll: dice.millis(500, 1000),
            bump: dice.percent(60),
            watch: dice.percent(80),
            counting,
            faults: dice.percent(90),
            deaf: dice.percent(40),
            mute: dice.percent(15),
            steps: rarely(dice),
            tampers: rarely(dice),
            resets: rarely(dice),
            restarts: dice.percent(25),
            length: dice.millis(1000, 4000),
            healthy_end: !counting && dice.percent(65),
        }
    }

    pub(crate) fn config(&self) -> Config {
        Config::new()
            .threshold(self.threshold)
            .ttl(self.ttl)
            .half_open_probes(self.probes)
            .success_threshold(self.successes)
            .probe_lease(self.lease)
    }

    pub(crate) fn options(&self) -> StorageOptions {
        let consistency = if self.strict { Consistency::Strict } else { Consistency::Mirror };
        StorageOptions::new()
            .consistency(consistency)
            .operation_timeout(self.timeout)
            .probe_wait(self.probe_wait)
            .max_backoff(self.backoff)
            .poll(self.poll)
    }

    pub(crate) fn trips(&self) -> bool {
        self.threshold < 1000
    }

    /// How long a call may wait for leave. Timers of tokio have milliseconds.
    pub(crate) fn patience(&self) -> Duration {
        let strict = if self.strict { self.timeout } else { Duration::ZERO };
        self.probe_wait + strict + Duration::from_millis(3)
    }

    /// When all processes are connected again, after the last fault: what is under way is given up, a watch
    /// that hangs too, the longest wait passes, and every circuit is read.
    pub(crate) fn connects_within(&self) -> Duration {
        let hanging = if self.mute { CONNECT } else { Duration::ZERO };
        self.timeout * 2 + hanging + self.backoff * 3 / 2 + Duration::from_millis(100)
    }

    /// When all know what the storage has: after that, the next look.
    pub(crate) fn agrees_within(&self) -> Duration {
        self.connects_within() + self.looks_within()
    }

    /// How long a process may miss what it was not told.
    pub(crate) fn looks_within(&self) -> Duration {
        let look = if self.watch && self.deaf { LOOK_AT_ALL } else { Duration::ZERO };
        look + self.poll * 2
    }

    /// When a dependency that is well is used again: a probe that hangs holds its place for a lease, and
    /// then each of the probes that are needed comes as fast as calls do. A step of the storage's clock can
    /// begin one period anew.
    pub(crate) fn recovers_within(&self) -> Duration {
        let steps = if self.steps { 2 } else { 1 };
        let periods = (self.ttl + self.lease) * (1 + steps);
        self.agrees_within() + periods + CALM * (self.successes * 3 + 2)
    }
}

/// How long the driver waits for a watch to begin.
const CONNECT: Duration = Duration::from_secs(5);

/// How often the driver reads every circuit.
const LOOK_AT_ALL: Duration = Duration::from_secs(30);

/// The longest pause of a caller until all agree.
pub(crate) const SLEEPY: Duration = Duration::from_secs(5);

/// The longest pause of a caller after that.
pub(crate) const CALM: Duration = Duration::from_millis(600);
