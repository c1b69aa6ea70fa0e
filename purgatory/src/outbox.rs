//! The events of one circuit on their way to the listeners.

use std::collections::VecDeque;

use crate::event::Event;

/// Events in the order in which they happened, kept under the lock of their circuit.
///
/// Whoever finds that nobody is delivering delivers, without the lock, until nothing is left. So
/// listeners get every event once and in order, never two at a time, and a listener that causes
/// another event gets it after the one it is working on.
///
/// A circuit that nobody listens to pays for this with one word.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    delivering: bool,
    dropped: u64,
}

impl Outbox {
    /// Takes an event, unless it is a frequent one and a stuck listener has let too many pile up.
    pub(crate) fn push(&mut self, event: Event) {
        let queue = self.0.get_or_insert_default();
        let frequent = matches!(
            event,
            Event::Failed { .. }
                | Event::Rejected { .. }
                | Event::Late { .. }
                | Event::ConfigConflict { .. }
        );
        if frequent && queue.waiting.len() >= MAX_WAITING {
            queue.dropped += 1;
        } else {
            queue.waiting.push_back(event);
        }
    }

    /// Whether the caller has to deliver.
    pub(crate) fn begin(&mut self) -> bool {
        let Some(queue) = &mut self.0 else { return false };
        let begin = !queue.waiting.is_empty() && !queue.delivering;
        queue.delivering |= begin;
        begin
    }

    /// The next event to deliver; after the last one the delivery has ended.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let queue = self.0.as_mut()?;
        let next = queue.waiting.pop_front();
        queue.delivering = next.is_some();
        next
    }

    /// How many events were not taken.
    pub(crate) fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |queue| queue.dropped)
    }
}

/// About 100 KiB of events.
const MAX_WAITING: usize = 1024;
