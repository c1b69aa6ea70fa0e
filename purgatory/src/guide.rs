//! A guide: how to choose, and why things are as they are. There is no code in this module.
//!
//! * [Which calls](#which-calls)
//! * [Names](#names)
//! * [Settings](#settings)
//! * [Errors that are not failures](#errors-that-are-not-failures)
//! * [Permits, cancellation and panics](#permits-cancellation-and-panics)
//! * [Late results](#late-results)
//! * [Listeners](#listeners)
//! * [In operation](#in-operation)
//! * [In tests](#in-tests)
//! * [What is promised, and shown by which test](correctness)
#![cfg_attr(feature = "storage", doc = "* [Sharing circuits among processes](sharing)")]
//!
//! # Which calls
//!
//! Those that leave the process, can fail together, and would be made again and again while they do:
//! HTTP and RPC clients, databases, queues. Put the breaker around one attempt, inside a retry: so the
//! retries of all callers are what it counts, and an open circuit ends them at once. Put a timeout inside
//! the breaker, or a dependency that hangs is never seen to fail.
//!
//! # Names
//!
//! One circuit for what fails as one: a host, a shard, a queue. Two functions with the same name share a
//! circuit, which is what you want for two calls of one service. A name made from an argument gives each
//! tenant or shard its own circuit; a circuit with a short name that is not shared takes up to 256 bytes, and stays until
//! it is [removed](crate::CircuitBreakerFactory::remove), so do not make names out of what users type.
//!
//! # Settings
//!
//! The *threshold* counts failures in a row; one success starts it again. Five is a good start: low enough
//! to trip in the first second of an outage, high enough for a hiccup. The *ttl* is how long the
//! dependency is left alone, and how late its recovery may be noticed.
//!
//! A probe is a real call of a real user. With the default of one, a dead dependency costs one slow call
//! per ttl, whatever the load. More *half-open probes* notice a recovery with more certainty if
//! `success_threshold` is raised with them, at the price of as many slow calls. A probe holds its place
//! for its *lease*. If your calls may take longer than the ttl, make the lease longer than a call; else
//! another probe is let out while the first is still running.
//!
//! # Errors that are not failures
//!
//! A 404 is an answer. Count it as a failure, and a client that asks for nonsense opens the circuit for
//! all. *Exclude* such errors: they show that the dependency works, so they count as successes, which
//! is also what Python's `purgatory` does. *Ignore* errors that say nothing about it, such as the
//! rejection of an inner breaker or a validation before the call.
//!
//! ```
//! use purgatory::{CircuitBreakerFactory, Rejected};
//! use std::io::{Error, ErrorKind};
//!
//! let factory = CircuitBreakerFactory::builder()
//!     .ignore_all::<Rejected>() // before that for `Error`, in which it may be
//!     .exclude::<Error>(|error| error.kind() == ErrorKind::NotFound)
//!     .build()?;
//! # Ok::<(), purgatory::ConfigError>(())
//! ```
//!
//! Rules are tried in order: those of the breaker, then those of the factory. The first whose *type* is
//! found decides; if its condition does not hold, the error is a failure, and no later rule is asked. The
//! patterns of the attribute come before them, and are arms of a `match`: one whose guard does not hold
//! leaves the error to the next, and then to the rules.
//!
//! # Permits, cancellation and panics
//!
//! A [`Permit`](crate::Permit) is settled once, whatever happens. Dropped without a word it is neutral: a
//! future that lost a `select!` or ran into somebody's timeout says nothing about the dependency. If
//! in your service it does, say `on_cancel = failure`. A panic is a failure, and goes on unwinding. Annotated
//! functions and `call_async` tell it apart from a panic elsewhere in the same task, which only cancels the call; a
//! permit that you hold yourself is a failure if any panic drops it that began after `acquire`.
//!
//! With `panic = "abort"` there is no unwinding, and nothing left to count.
//!
//! # Late results
//!
//! A call that began before the circuit changed its state may end after. Its result belongs to the past:
//! a success from before the trip must not close the circuit, and a failure from before must not open a
//! circuit that has just recovered. So every permit carries its generation, and results of another one
//! change nothing but a count and a [`Late`](crate::Event::Late) event.
//!
//! # Listeners
//!
//! Events of one circuit come in order, one at a time, on whichever thread is using the circuit. A
//! listener that takes time holds up one call of the circuit, which meanwhile delivers what the others cause, up to 1024
//! events; nobody else waits. If 1024 events wait, all but new circuits and changes of state are dropped,
//! and [counted](crate::Snapshot::events_dropped). Hand what takes time to a channel.
//!
//! # In operation
//!
//! [`CircuitBreakerFactory::snapshot`](crate::CircuitBreakerFactory::snapshot) has everything a page or a
//! metric needs. [`FactoryBuilder::circuit`](crate::FactoryBuilder::circuit) overrides settings by name,
//! from a file or the environment, without a rebuild. [`CircuitBreaker::reset`](crate::CircuitBreaker::reset)
//! closes a circuit by hand.
//!
//! # In tests
//!
#![cfg_attr(feature = "macros", doc = "```")]
#![cfg_attr(not(feature = "macros"), doc = "```ignore")]
//! use std::time::Duration;
//! use purgatory::{CircuitBreakerFactory, ManualClock, circuit_breaker};
//!
//! #[circuit_breaker("answers", threshold = 1, ttl = "30s")]
//! fn ask(up: bool) -> std::io::Result<u32> {
//!     if up { Ok(42) } else { Err(std::io::ErrorKind::TimedOut.into()) }
//! }
//!
//! let clock = ManualClock::new();
//! let factory = CircuitBreakerFactory::builder().clock(clock.clone()).build()?;
//! factory.scope(|| {
//!     ask(false).unwrap_err();
//!     assert!(ask(true).is_err(), "open: the body does not run");
//!     clock.advance(Duration::from_secs(31));
//!     assert_eq!(ask(true).unwrap(), 42);
//! });
//! # Ok::<(), purgatory::ConfigError>(())
//! ```
//!
//! The scope replaces the global factory for this test alone, so tests that use the same names run side
//! by side. [`scope_async`](crate::CircuitBreakerFactory::scope_async) does the same for a future,
//! whichever thread polls it.

#[doc = include_str!("guide/correctness.md")]
pub mod correctness {}

#[cfg(feature = "storage")]
#[doc = include_str!("guide/sharing.md")]
pub mod sharing {}
