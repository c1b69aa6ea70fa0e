//! The events of one circuit on their way to the listeners.

use std::collections::VecDeque;

use crate::event::Event;

/// Events in the order in which they happened, kept under the lock of their circuit.
///
/// Whoever finds that nobody is delivering delivers, without the lock. So listeners get every event
/// once and in order, never two at a time, and a listener that causes another event gets it after the
/// one it is working on.
///
/// While no event is on its way, this is two words.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Option<Box<Queue>>,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    delivering: bool,
}

impl Outbox {
    /// Takes an event, unless it is a frequent one and a stuck listener has let too many pile up.
    pub(crate) fn push(&mut self, event: Event) {
        let queue = self.queue.get_or_insert_default();
        let rare = matches!(event, Event::Created { .. } | Event::StateChanged { .. });
        if !rare && queue.waiting.len() >= MAX_WAITING {
            self.dropped += 1;
        } else {
            queue.waiting.push_back(event);
        }
    }

    /// Whether the caller has to deliver.
    pub(crate) fn begin(&mut self) -> bool {
        let Some(queue) = &mut self.queue else { return false };
        let begin = !queue.waiting.is_empty() && !queue.delivering;
        queue.delivering |= begin;
        begin
    }

    /// Whether the creation of the circuit is still to be told.
    pub(crate) fn is_untold(&self) -> bool {
        let first = self.queue.as_ref().and_then(|queue| queue.waiting.front());
        matches!(first, Some(Event::Created { .. }))
    }

    /// The next event to deliver; after the last one the delivery has ended.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let next = self.queue.as_mut()?.waiting.pop_front();
        if next.is_none() {
            self.queue = None;
        }
        next
    }

    /// Leaves the rest, if there is any, to whoever changes the circuit next.
    pub(crate) fn pause(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.delivering = false;
        }
        self.queue.take_if(|queue| queue.waiting.is_empty());
    }

    /// How many events were not taken.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// How many events one call delivers at most. The rest goes with the next event.
pub(crate) const AT_ONCE: usize = 1024;

/// 128 KiB of events.
const MAX_WAITING: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    #[test]
    fn nothing_is_kept_when_the_last_event_is_the_last_of_a_delivery() {
        let mut outbox = Outbox::default();
        for _ in 0..AT_ONCE {
            outbox.push(Event::Recovered { circuit: Name::new("outbox").unwrap() });
        }
        assert!(outbox.begin());
        assert!((0..AT_ONCE).all(|_| outbox.next().is_some()));
        outbox.pause();
        assert!(outbox.queue.is_none());
        outbox.push(Event::Recovered { circuit: Name::new("outbox").unwrap() });
        assert!(outbox.begin());
        outbox.push(Event::Recovered { circuit: Name::new("outbox").unwrap() });
        assert!(outbox.next().is_some());
        outbox.pause();
        assert!(outbox.begin(), "the rest is left to the next");
    }
}
