//! Circuit breakers for Rust, on sync and async functions alike.
//!
//! * [In one minute](#in-one-minute)
//! * [The three states](#the-three-states)
//! * [Ways to guard a call](#ways-to-guard-a-call)
//! * [What counts as a failure](#what-counts-as-a-failure)
//! * [Listening](#listening)
//! * [Configuring](#configuring)
//! * [Sharing](#sharing)
//! * [Testing](#testing)
//! * [What it costs](#what-it-costs)
//! * [When not to use it](#when-not-to-use-it)
//! * [Features](#features)
//!
//! The [`guide`] goes through the same with reasons.
//!
//! # In one minute
//!
//! When a dependency keeps failing, its circuit opens: calls are rejected at once, the dependency
//! gets room to recover, and a probe finds out when it has.
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use purgatory::{Rejected, circuit_breaker};
//! # #[derive(Debug)] struct Card;
//! # #[derive(Debug)] struct Receipt;
//!
//! #[derive(Debug)]
//! enum PaymentError {
//!     Declined,
//!     Unavailable,
//! }
//!
//! impl From<Rejected> for PaymentError {
//!     fn from(_: Rejected) -> Self {
//!         PaymentError::Unavailable
//!     }
//! }
//!
//! #[circuit_breaker("payments", threshold = 5, ttl = "30s", exclude(PaymentError::Declined))]
//! async fn charge(card: Card) -> Result<Receipt, PaymentError> {
//!     // call the payment service
//! #   Ok(Receipt)
//! }
//! # futures_executor::block_on(charge(Card)).unwrap();
//! ```
//!
//! After five failures in a row `charge` returns `PaymentError::Unavailable` at once, without running
//! its body. After 30 seconds one call is let through as a probe. If it succeeds, all are.
//!
//! # The three states
//!
//! ```text
//!                 threshold failures in a row
//!     +--------+ ----------------------------> +--------+
//!     | closed |                               |  open  | <-------+
//!     +--------+ <---+                         +--------+         |
//!                    |                             | the ttl has  |
//!                    |  enough probes              | passed, and  | a probe
//!                    |  succeeded                  v a call comes | failed
//!                    |                       +-----------+        |
//!                    +---------------------- | half-open | -------+
//!                                            +-----------+
//! ```
//!
//! Closed admits every call. Open rejects every call. Half-open admits a bounded number of probes, one
//! by default. Every change starts a new *generation*: a call that was admitted in an earlier one and
//! ends late changes nothing.
//!
//! # Ways to guard a call
//!
//! | | |
//! | --- | --- |
//! | [`#[circuit_breaker]`](macro@circuit_breaker) | a function, sync or async, once and for all |
//! | [`CircuitBreaker::call`], [`call_async`](CircuitBreaker::call_async) | a closure |
//! | [`CircuitBreaker::acquire`] | anything: get a [`Permit`], settle it later |
//!
//! # What counts as a failure
//!
//! `Err` and a panic are failures. An *excluded* error counts as a success (the dependency answered,
//! and said no), an *ignored* one as neither. A call that is cancelled, a future that is dropped, counts
//! as neither. The attribute takes patterns, and [factories](FactoryBuilder::exclude) and
//! [breakers](CircuitBreaker::exclude) take rules by error type.
//!
//! # Listening
//!
//! A [`Listener`] is told of every [`Event`]: changes of state, failures, rejections. It is called
//! outside every lock, in the order in which things happened to a circuit.
//!
//! # Configuring
//!
//! ```
//! use purgatory::{CircuitBreakerFactory, Config};
//!
//! let factory = CircuitBreakerFactory::builder()
//!     .threshold(3) // the default for all circuits
//!     .circuit("payments", Config::new().threshold(10)) // overrides what the code asks for
//!     .build()?;
//! purgatory::configure(factory)?; // at start-up, before the first annotated call
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Sharing
//!
//! With a [storage](storage), the processes of a fleet share their circuits: their failures add up, a trip reaches all
//! of them, and one probe finds out for all. Unless asked to be [strict](Consistency::Strict), no call waits for
//! the storage but one that asks for leave to probe. The guide has [a page](guide::sharing) about it.
//!
//! # Testing
//!
//! A [`ManualClock`] replaces sleeping, and [`CircuitBreakerFactory::scope`] gives each test circuits of
//! its own, also under annotated functions.
//!
//! # What it costs
//!
//! While its circuit is closed and nothing has failed, a call costs two loads of one atomic word: no
//! write, lock, clock or allocation, and threads share only memory that nobody writes. A rejection
//! reads the coarse clock and counts itself. Failures, the first success after one, late outcomes, probes, rejections
//! that a listener is told of, and all calls of a strict circuit take a short lock, under which no code of yours runs. The README has measured figures.
//!
//! # When not to use it
//!
//! A breaker turns a partial failure into a full one, for a while: if one of ten shards is down, nine
//! tenths of the calls would have worked. Give each shard a circuit of its own, or use none. For calls
//! that are safe to repeat and fail rarely, a retry is enough; for a dependency that is slow rather than
//! failing, begin with a timeout (an error that the breaker can count).
//!
//! # Features
//!
//! | feature | default | what it adds |
//! | --- | --- | --- |
//! | `macros` | yes | the attribute |
//! | `anyhow` | no | rules find what lies inside an `anyhow::Error` |
//! | `storage` | no | circuits shared among factories, see [`storage`] |
//! | `redis` | no | circuits shared among processes, through Redis or Valkey, see [`RedisStorage`] |
//! | `redis-cluster`, `redis-tls` | no | the same on a cluster, and through TLS |

// What belongs to a feature is mentioned elsewhere too, and is no link without it.
#![cfg_attr(
    not(all(feature = "macros", feature = "redis-cluster", feature = "redis-tls")),
    allow(rustdoc::broken_intra_doc_links)
)]

mod breaker;
#[cfg(feature = "storage")]
mod bump;
mod circuit;
mod clock;
mod config;
#[cfg(feature = "storage")]
mod driver;
mod error;
mod event;
mod factory;
mod global;
mod guarded;
pub mod guide;
#[cfg(feature = "storage")]
mod link;
mod listener;
mod locked;
#[cfg(feature = "storage")]
mod mirror;
mod name;
#[cfg(feature = "storage")]
mod offset;
mod outbox;
mod outcome;
mod permit;
#[cfg(feature = "storage")]
mod random;
#[cfg(feature = "storage")]
mod record;
mod registry;
mod rules;
#[cfg(all(test, feature = "storage"))]
#[path = "../../fuzz/seeds.rs"]
mod seeds;
mod snapshot;
mod state;
#[cfg(feature = "storage")]
pub mod storage;
mod sync;
#[cfg(feature = "storage")]
mod update;
#[cfg(feature = "storage")]
mod waiter;
mod word;

#[doc(hidden)]
#[allow(missing_docs)] // Semver exempt, and described where it is.
pub mod __private;

#[cfg(all(fuzzing, feature = "redis"))]
#[doc(hidden)]
pub mod __fuzzing;

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
#[cfg(feature = "storage")]
pub use crate::snapshot::SharedSnapshot;
pub use crate::snapshot::Snapshot;
pub use crate::state::State;
#[cfg(feature = "redis")]
pub use crate::storage::RedisStorage;
#[cfg(feature = "storage")]
pub use crate::storage::{Consistency, MemoryStorage, Storage, StorageOptions};

#[doc = include_str!("attribute.md")]
#[cfg(feature = "macros")]
pub use purgatory_macros::circuit_breaker;
