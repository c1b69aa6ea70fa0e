//! What listeners are told, kept.

use std::sync::{Arc, Mutex};

use purgatory::{Event, Listener};

/// A listener that keeps what it is told. Clones keep it in the same place.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    /// What was told since the last look.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// The same, a line for each event.
    pub fn lines(&self) -> Vec<String> {
        self.take().iter().map(line).collect()
    }
}

impl Listener for Log {
    fn on_event(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

/// An event in one line: everything but the name of its circuit.
pub fn line(event: &Event) -> String {
    match event {
        Event::StateChanged { change, .. } => {
            let opened = change.opened_at.map(|at| format!(", opened at {:?}", at.since_origin()));
            format!(
                "{} to {}, generation {}{}: {:?}",
                change.from,
                change.to,
                change.generation,
                opened.unwrap_or_default(),
                change.cause
            )
        }
        Event::Failed { failures, .. } => format!("failed {failures}"),
        Event::Rejected { rejected, .. } => {
            format!("rejected: {}, {:?} left", rejected.reason(), rejected.retry_after())
        }
        Event::Late { outcome, generation, .. } => {
            format!("late: {outcome:?} of generation {generation}")
        }
        Event::ConfigConflict { asked, in_force, .. } => {
            format!("config conflict: asked {asked:?}, in force {in_force:?}")
        }
        Event::Created { settings, .. } => format!("created: {settings:?}"),
        _ => event.name().to_owned(),
    }
}
