//! Outcomes of a closed circuit, folded.

#[cfg(test)]
mod tests;

use crate::outcome::Outcome;

/// Outcomes of a closed circuit in the order in which they came, folded into what they do to its failures
/// in a row: a run as long as you like takes the place of a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Run {
    /// The failures before the first success, or all of them.
    pub(crate) head: u32,
    /// Whether there was a success.
    pub(crate) reset: bool,
    /// The failures after the last success.
    pub(crate) tail: u32,
    /// All failures, those between two successes too.
    pub(crate) total: u64,
}

impl Run {
    pub(crate) fn push(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Success => {
                self.reset = true;
                self.tail = 0;
            }
            Outcome::Failure => {
                let row = if self.reset { &mut self.tail } else { &mut self.head };
                *row = row.saturating_add(1);
                self.total += 1;
            }
            Outcome::Ignored => {}
        }
    }

    /// How many failures in a row there are after it, if there were so many before.
    pub(crate) fn after(&self, failures: u32) -> u32 {
        if self.reset { self.tail } else { failures.saturating_add(self.head) }
    }

    /// One run of both, this one first.
    pub(crate) fn then(self, next: Self) -> Self {
        let total = self.total + next.total;
        if self.reset {
            Self { tail: next.after(self.tail), total, ..self }
        } else {
            Self { head: self.head.saturating_add(next.head), total, ..next }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
