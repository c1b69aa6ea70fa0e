//! What a call came to.

use std::fmt;

/// What a call came to, as its circuit counts it.
///
/// A closed circuit takes a [`Success`](Self::Success) as the end of a row of failures, and a
/// [`Failure`](Self::Failure) as one more of it. [`Ignored`](Self::Ignored) is neither: the call
/// says nothing about the dependency, and a probe gives its place back.
///
/// ```
/// use purgatory::Outcome;
/// let outcome = if "200 OK".starts_with('5') { Outcome::Failure } else { Outcome::Success };
/// assert_eq!(outcome, Outcome::Success);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The dependency did its work. Errors that are *excluded* count as this, as in Python.
    Success,
    /// The dependency failed, or the call panicked.
    Failure,
    /// Nothing was learnt: the call was cancelled, or its error is *ignored*.
    Ignored,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Ignored => "ignored",
        })
    }
}
