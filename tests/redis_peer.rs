//! The example of that name, as a program that tests can start. It is not for the checkers, who build it all
//! the same.

#[cfg(not(any(loom, shuttle, tsan)))]
#[path = "../examples/redis_peer.rs"]
mod example;

#[cfg(not(any(loom, shuttle, tsan)))]
fn main() -> std::process::ExitCode {
    example::main()
}

#[cfg(any(loom, shuttle, tsan))]
fn main() {}
