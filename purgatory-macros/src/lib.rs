//! Implementation detail of `purgatory`.
