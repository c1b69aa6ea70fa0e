//! What listeners are told.

use std::fmt;
#[cfg(feature = "storage")]
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{Config, Settings};
use crate::error::Rejected;
#[cfg(feature = "storage")]
use crate::error::StorageError;
use crate::name::Name;
use crate::outcome::Outcome;
use crate::state::State;

/// Something that happened to a circuit.
///
/// The first four are those of Python's `purgatory`, under the same [`name`](Self::name).
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use purgatory::{CircuitBreakerFactory, Event};
///
/// let seen = Arc::new(Mutex::new(Vec::new()));
/// let log = Arc::clone(&seen);
/// let factory = CircuitBreakerFactory::builder()
///     .listener(move |event: &Event| {
///         log.lock().unwrap().push(format!("{} {}", event.circuit(), event.name()));
///     })
///     .build()?;
///
/// factory.get_breaker("payments")?.acquire()?.failure();
/// assert_eq!(*seen.lock().unwrap(), ["payments circuit_breaker_created", "payments failed"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A name was registered.
    #[non_exhaustive]
    Created {
        /// The circuit.
        circuit: Name,
        /// What is in force for it.
        settings: Settings,
    },
    /// The circuit opened, closed, or turned half-open.
    #[non_exhaustive]
    StateChanged {
        /// The circuit.
        circuit: Name,
        /// From what to what, and why.
        change: Change,
    },
    /// A call of the closed circuit failed. As in Python, the failure of a probe is not told as this, but
    /// as a change of state with [`Cause::ProbeFailed`].
    #[non_exhaustive]
    Failed {
        /// The circuit.
        circuit: Name,
        /// How many failed in a row, this one counted.
        failures: u32,
    },
    /// A success ended a row of failures, or a half-open state.
    #[non_exhaustive]
    Recovered {
        /// The circuit.
        circuit: Name,
    },
    /// A call was not admitted.
    #[non_exhaustive]
    Rejected {
        /// The circuit.
        circuit: Name,
        /// What its caller got.
        rejected: Rejected,
    },
    /// A call ended after its circuit had changed its state or been reset, or as a probe of a shared circuit that
    /// had lost its place, so that its outcome was not counted.
    #[non_exhaustive]
    Late {
        /// The circuit.
        circuit: Name,
        /// What would have been counted.
        outcome: Outcome,
        /// The generation in which the call was admitted.
        generation: u64,
    },
    /// A registered name was asked for with other settings, or to be shared though it is not, or the other way
    /// round. It stays as it is. Told at every such request: an annotated function makes its first call one, and
    /// every call if its name is an expression, in a scope, or with a factory of its own.
    #[non_exhaustive]
    ConfigConflict {
        /// The circuit.
        circuit: Name,
        /// What was asked for.
        asked: Config,
        /// What is in force.
        in_force: Settings,
    },
    /// Another process shares the circuit with other settings. Each goes by its own; how long the circuit
    /// stays open is decided by the one that opened it.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    FleetConflict {
        /// The circuit.
        circuit: Name,
        /// What is in force here.
        ours: Settings,
        /// What is in force in the process that wrote last.
        theirs: Settings,
    },
    /// A newer version of this crate has written the record of the circuit. It is obeyed, and not
    /// overwritten.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    RecordNewer {
        /// The circuit.
        circuit: Name,
    },
    /// What the storage has for the circuit is no record. It is treated as if it were not there.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    RecordGarbled {
        /// The circuit.
        circuit: Name,
    },
    /// The storage cannot share this circuit, or not as it should; if there is no circuit, any of them.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    StorageRefused {
        /// The circuit.
        circuit: Option<Name>,
        /// Why.
        cause: StorageError,
    },
    /// This process cannot reach the storage, or has no driver: from here on it goes on alone.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    StorageDown {
        /// Why.
        cause: StorageError,
    },
    /// The storage is there, and what it has is known.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    StorageUp {
        /// For how long it was away; the first time, since the factory was built.
        down_for: Duration,
        /// Failures that were counted meanwhile, and are added now.
        merged: u64,
        /// Failures that were counted meanwhile, and do not matter any more.
        discarded: u64,
    },
    /// The factory and its breakers are gone, and sharing has ended.
    #[cfg(feature = "storage")]
    #[non_exhaustive]
    StorageClosed {
        /// Failures that did not reach the storage any more.
        discarded: u64,
    },
}

impl Event {
    /// The name of the circuit; empty, as no name is, if something happened to the storage of all.
    ///
    /// ```
    /// # use purgatory::{Event, Listener};
    /// let listener = |event: &Event| println!("something happened to {}", event.circuit());
    /// # fn is_listener(_: impl Listener) {}
    /// # is_listener(listener);
    /// ```
    pub fn circuit(&self) -> &str {
        match self {
            #[cfg(feature = "storage")]
            Self::FleetConflict { circuit, .. }
            | Self::RecordNewer { circuit }
            | Self::RecordGarbled { circuit } => circuit,
            #[cfg(feature = "storage")]
            Self::StorageRefused { circuit, .. } => circuit.as_deref().unwrap_or_default(),
            #[cfg(feature = "storage")]
            Self::StorageDown { .. } | Self::StorageUp { .. } | Self::StorageClosed { .. } => "",
            Self::Created { circuit, .. }
            | Self::StateChanged { circuit, .. }
            | Self::Failed { circuit, .. }
            | Self::Recovered { circuit, .. }
            | Self::Rejected { circuit, .. }
            | Self::Late { circuit, .. }
            | Self::ConfigConflict { circuit, .. } => circuit,
        }
    }

    /// The kind of event in snake case: `circuit_breaker_created`, `state_changed`, `failed`,
    /// `recovered` (the names of Python's hooks), `rejected`, `late`, `config_conflict`, and of shared
    /// circuits `fleet_conflict`, `record_newer`, `record_garbled`, `storage_refused`,
    /// `storage_down`, `storage_up`, `storage_closed`.
    ///
    /// ```
    /// # use purgatory::{Event, Listener};
    /// let listener = |event: &Event| println!("count one more {}", event.name());
    /// # fn is_listener(_: impl Listener) {}
    /// # is_listener(listener);
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created { .. } => "circuit_breaker_created",
            Self::StateChanged { .. } => "state_changed",
            Self::Failed { .. } => "failed",
            Self::Recovered { .. } => "recovered",
            Self::Rejected { .. } => "rejected",
            Self::Late { .. } => "late",
            Self::ConfigConflict { .. } => "config_conflict",
            #[cfg(feature = "storage")]
            Self::FleetConflict { .. } => "fleet_conflict",
            #[cfg(feature = "storage")]
            Self::RecordNewer { .. } => "record_newer",
            #[cfg(feature = "storage")]
            Self::RecordGarbled { .. } => "record_garbled",
            #[cfg(feature = "storage")]
            Self::StorageRefused { .. } => "storage_refused",
            #[cfg(feature = "storage")]
            Self::StorageDown { .. } => "storage_down",
            #[cfg(feature = "storage")]
            Self::StorageUp { .. } => "storage_up",
            #[cfg(feature = "storage")]
            Self::StorageClosed { .. } => "storage_closed",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.circuit() {
            "" => f.write_str("storage: ")?,
            circuit => write!(f, "{circuit}: ")?,
        }
        match self {
            Self::Created { .. } => f.write_str("created"),
            Self::StateChanged { change, .. } => change.fmt(f),
            Self::Failed { failures, .. } => write!(f, "failed, {failures} in a row"),
            Self::Recovered { .. } => f.write_str("recovered"),
            Self::Rejected { rejected, .. } => write!(f, "rejected, {}", rejected.reason()),
            Self::Late { outcome, .. } => write!(f, "late {outcome}"),
            Self::ConfigConflict { .. } => f.write_str("asked for with other settings"),
            #[cfg(feature = "storage")]
            Self::FleetConflict { .. } => f.write_str("shared with other settings"),
            #[cfg(feature = "storage")]
            Self::RecordNewer { .. } => f.write_str("shared in a newer format"),
            #[cfg(feature = "storage")]
            Self::RecordGarbled { .. } => f.write_str("stored as something that is no record"),
            #[cfg(feature = "storage")]
            Self::StorageRefused { cause, .. } => write!(f, "not shared, {cause}"),
            #[cfg(feature = "storage")]
            Self::StorageDown { cause } => write!(f, "down, {cause}"),
            #[cfg(feature = "storage")]
            Self::StorageUp { down_for, merged, discarded } => {
                write!(f, "up after {down_for:?}, {merged} failures merged, {discarded} discarded")
            }
            #[cfg(feature = "storage")]
            Self::StorageClosed { discarded } => {
                write!(f, "closed, {discarded} failures discarded")
            }
        }
    }
}

/// One change of state.
///
/// ```
/// use purgatory::{CircuitBreakerFactory, Event, State};
///
/// let factory = CircuitBreakerFactory::builder()
///     .listener(|event: &Event| {
///         if let Event::StateChanged { change, .. } = event {
///             println!("{change}"); // closed to open, 5 failures in a row
///         }
///     })
///     .build()?;
/// # Ok::<(), purgatory::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// The generation that began with this change. A reset of a closed circuit also begins one.
    pub generation: u64,
    /// If the circuit opened: when the call that opened it ended.
    pub opened_at: Option<Timestamp>,
    /// Why.
    pub cause: Cause,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}, {}", self.from, self.to, self.cause)
    }
}

/// Why a circuit changed its state.
///
/// ```
/// use purgatory::Cause;
/// let cause = Cause::ProbeFailed;
/// assert!(!matches!(cause, Cause::Tripped { .. }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// Closed to open: this many failures in a row reached the threshold.
    #[non_exhaustive]
    Tripped {
        /// The failures in a row.
        failures: u32,
        /// The threshold in force.
        threshold: u32,
    },
    /// Open to half-open: the ttl has passed, and a call came.
    TtlPassed,
    /// Half-open to closed: enough probes succeeded.
    ProbesSucceeded,
    /// Half-open to open.
    ProbeFailed,
    /// To closed, by [`CircuitBreaker::reset`](crate::CircuitBreaker::reset).
    Reset,
    /// The storage has it so: another process changed it, or this one did and the answer was lost.
    Shared,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tripped { failures, .. } => write!(f, "{failures} failures in a row"),
            Self::TtlPassed => f.write_str("the ttl has passed"),
            Self::ProbesSucceeded => f.write_str("enough probes succeeded"),
            Self::ProbeFailed => f.write_str("a probe failed"),
            Self::Reset => f.write_str("reset"),
            Self::Shared => f.write_str("as in another process"),
        }
    }
}
