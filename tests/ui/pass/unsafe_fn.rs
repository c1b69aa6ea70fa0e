//! The body of an unsafe function stays unsafe.

#![deny(warnings, unsafe_op_in_unsafe_fn)]

use purgatory::{Rejected, circuit_breaker};

#[derive(Debug)]
struct Boom;

impl From<Rejected> for Boom {
    fn from(_: Rejected) -> Self {
        Self
    }
}

#[circuit_breaker("unsafe")]
unsafe fn read(pointer: *const u8) -> Result<u8, Boom> {
    if pointer.is_null() {
        return Err(Boom);
    }
    Ok(unsafe { *pointer })
}

#[circuit_breaker("unsafe")]
unsafe extern "C" fn read_unchecked(pointer: *const u8) -> Option<Box<u8>> {
    #![allow(unsafe_op_in_unsafe_fn)]
    Some(Box::new(*pointer))
}

#[circuit_breaker("unsafe")]
async unsafe fn read_later(pointer: *const u8) -> Option<u8> {
    Some(unsafe { *pointer })
}

fn main() {
    let byte = 7;
    assert_eq!(unsafe { read(&byte) }.unwrap(), 7);
    drop(unsafe { read_later(&byte) });
    assert_eq!(unsafe { read_unchecked(&byte) }, Some(Box::new(7)));
}
