//! Circuits shared through real servers, which are killed, hang, and go silent.

#[path = "redis/counting.rs"]
mod counting;
#[path = "redis/fleet.rs"]
mod fleet;
#[path = "redis/outages.rs"]
mod outages;
#[path = "redis/silence.rs"]
mod silence;
#[path = "redis/tripping.rs"]
mod tripping;

use std::sync::{PoisonError, RwLock};

/// The processors: to be had alone by tests that use them up, or together by tests that mostly wait.
static PROCESSORS: RwLock<()> = RwLock::new(());

/// Makes tests of functions that take an engine, one with each. They run `alone` or `together` with others.
macro_rules! with_each_engine {
    ($($how:ident $test:ident)*) => { $(
        mod $test {
            use purgatory_tests::servers::Engine;

            #[test]
            fn redis() {
                crate::$how(|| super::$test(Engine::Redis));
            }

            #[test]
            fn valkey() {
                crate::$how(|| super::$test(Engine::Valkey));
            }
        }
    )* };
}
use with_each_engine;

fn alone(test: impl FnOnce()) {
    let _processors = PROCESSORS.write().unwrap_or_else(PoisonError::into_inner);
    test();
}

fn together(test: impl FnOnce()) {
    let _processors = PROCESSORS.read().unwrap_or_else(PoisonError::into_inner);
    test();
}
