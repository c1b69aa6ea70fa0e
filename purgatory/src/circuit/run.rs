//! Outcomes of a closed circuit, folded.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_are_one() {
        let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Failure];
        let run = |choices: &[usize]| {
            let mut run = Run::default();
            choices.iter().for_each(|&choice| run.push(outcomes[choice % 3]));
            run
        };
        // All rows of up to six, cut everywhere.
        for number in 0..3_usize.pow(6) {
            let all: Vec<usize> = (0..6).map(|place| number / 3_usize.pow(place) % 3).collect();
            for cut in 0..=6 {
                let (first, next) = all.split_at(cut);
                assert_eq!(run(first).then(run(next)), run(&all), "{all:?} at {cut}");
            }
        }
    }
}
