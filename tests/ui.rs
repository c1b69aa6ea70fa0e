//! What the compiler says, and what it lets pass.

#![cfg(not(any(loom, shuttle)))]

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*.rs");
    cases.compile_fail("ui/fail/*.rs");
}
