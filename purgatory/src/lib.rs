//! Circuit breakers.

mod circuit;
mod clock;
mod config;
mod error;
mod event;
mod name;
mod outcome;
mod state;
mod sync;
mod word;

pub use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::config::{Config, Settings};
pub use crate::error::{ConfigError, Error, Reason, Rejected};
pub use crate::event::{Cause, Change, Event};
pub use crate::name::Name;
pub use crate::outcome::Outcome;
pub use crate::state::State;
