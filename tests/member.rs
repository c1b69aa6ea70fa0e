//! One process of a fleet, see `member/process.rs`. It is not for the checkers, who build it all the same.

#[cfg(not(any(loom, shuttle, tsan)))]
#[path = "member/process.rs"]
mod process;

fn main() {
    #[cfg(not(any(loom, shuttle, tsan)))]
    process::run();
}
