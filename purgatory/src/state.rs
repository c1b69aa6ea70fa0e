//! The three states of a circuit.

use std::fmt;

/// What a circuit is: letting calls through, turning them away, or finding out.
///
/// The words are those of Nygard, *Release It!*; Python's `purgatory` says `opened` and
/// `half-opened`.
///
/// ```
/// use purgatory::State;
/// assert_eq!(State::HalfOpen.to_string(), "half-open");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Every call is admitted; failures are counted.
    Closed,
    /// Every call is rejected, until the ttl has passed.
    Open,
    /// A few calls, the probes, are admitted to find out whether the dependency is back.
    HalfOpen,
}

impl State {
    /// The state in lower case: `closed`, `open` or `half-open`.
    ///
    /// ```
    /// assert_eq!(purgatory::State::Open.as_str(), "open");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
