//! The first call of an annotated function, through the global factory. A binary of its own, as that
//! factory is the process's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use purgatory::{Event, circuit_breaker};
use purgatory_tests::in_time;

#[circuit_breaker("first")]
fn first() -> std::io::Result<()> {
    Ok(())
}

/// I12, I16: the listener is told of the circuit that the first call makes. While it is stuck there,
/// it calls the same function, and so does another thread.
#[test]
fn a_listener_may_call_the_function_whose_first_call_it_is_told_of() {
    let (free, wait) = mpsc::channel::<()>();
    let (wait, called) = (Mutex::new(wait), AtomicBool::new(false));
    let (stuck, is_stuck) = mpsc::channel();
    purgatory::factory().add_listener(move |_: &Event| {
        if !called.swap(true, Ordering::Relaxed) {
            first().unwrap();
            stuck.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
    });
    in_time(move || {
        let caller = thread::spawn(first);
        is_stuck.recv().unwrap();
        first().unwrap();
        free.send(()).unwrap();
        caller.join().unwrap().unwrap();
    });
}
