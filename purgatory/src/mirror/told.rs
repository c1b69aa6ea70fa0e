//! What a mirror has to tell, and what it has told.

use super::Reader;
use crate::circuit::{Effect, ProbeId};
use crate::config::Settings;
use crate::error::StorageError;
use crate::event::Change;
use crate::outcome::Outcome;
use crate::waiter::{Stage, Verdict, Waiter};

/// What came of the driver's work: to be told to listeners and callers, without the lock.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) notices: Vec<Notice>,
    pub(crate) verdicts: Vec<(Waiter, Verdict)>,
}

/// Calls that wait, and not for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The call that asks for leave to be this probe.
    Ask(ProbeId),
    /// The first so many that wait for a reading.
    Read(u64),
}

/// Something that listeners are told.
#[derive(Debug)]
pub(crate) enum Notice {
    Effect(Effect),
    Change(Change),
    /// What a probe of that generation came to, which had lost its place.
    Late(Outcome, u64),
    /// The record is of a format to come.
    Newer,
    /// The record is none.
    Garbled,
    /// The storage cannot share it.
    CutOff(StorageError),
    /// Another process works with these settings.
    Settings(Settings),
}

/// What was told already, to tell it once.
#[derive(Debug, Default)]
pub(super) struct Reported {
    pub(super) cut_off: bool,
    pub(super) newer: bool,
    pub(super) garbled: bool,
    /// Those of other processes.
    pub(super) settings: Vec<Settings>,
}

impl Told {
    /// They go on, from what is known by now.
    pub(super) fn decide(&mut self, readers: impl IntoIterator<Item = Reader>) {
        let readers = readers.into_iter();
        let decide = |reader: Reader| (reader.waiter, Verdict::Decide(Stage::Read));
        self.verdicts.extend(readers.map(decide));
    }

    /// What probes came to when their places were not theirs any more.
    pub(super) fn fence_off(&mut self, outcomes: Vec<(ProbeId, Outcome)>, generation: u64) {
        // What is only given back is nothing that a call came to.
        let late = outcomes.into_iter().filter(|&(_, outcome)| outcome != Outcome::Ignored);
        self.notices.extend(late.map(|(_, outcome)| Notice::Late(outcome, generation)));
    }
}
