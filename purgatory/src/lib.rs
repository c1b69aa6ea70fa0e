//! Circuit breakers.

mod breaker;
mod circuit;
mod clock;
mod config;
mod error;
mod event;
mod factory;
mod global;
mod guarded;
mod listener;
mod locked;
mod name;
mod outbox;
mod outcome;
mod permit;
mod registry;
mod rules;
mod snapshot;
mod state;
mod sync;
mod word;

#[doc(hidden)]
#[allow(missing_docs)] // Semver exempt, and described where it is.
pub mod __private;

pub use crate::breaker::CircuitBreaker;
pub use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use crate::config::{Config, Settings};
pub use crate::error::{ConfigError, Error, Reason, Rejected};
pub use crate::event::{Cause, Change, Event};
pub use crate::factory::{CircuitBreakerFactory, FactoryBuilder};
pub use crate::global::{AlreadyConfigured, configure, factory, get_breaker};
pub use crate::listener::{Listener, ListenerId};
pub use crate::name::Name;
pub use crate::outcome::Outcome;
pub use crate::permit::Permit;
pub use crate::registry::RemoveError;
pub use crate::snapshot::Snapshot;
pub use crate::state::State;
