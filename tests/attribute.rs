//! `#[circuit_breaker]`, used as its users do.

#![cfg(not(any(loom, shuttle)))]

mod attribute_calls;
mod attribute_drop;
mod attribute_editions;
mod attribute_fallback;
mod attribute_futures;
mod attribute_hygiene;
mod attribute_lints;
mod attribute_methods;
mod attribute_names;
mod attribute_shapes;
mod attribute_support;
mod attribute_verdict;
mod sizes;
