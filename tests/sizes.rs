//! The sizes of what calls carry about.

#![allow(clippy::manual_async_fn)] // Its size is another.

use std::future::Future;
use std::io;
use std::mem::{size_of, size_of_val};

use purgatory::{CircuitBreaker, Error, Permit, Rejected};

use crate::attribute_support::{finish, pair, pause};

type Block = [u8; 1024];

const BLOCK: Block = [2; 1024];

pair! { bare_argument guarded_argument()
    pub(super) async fn argument(block: Block) -> Option<u8> {
        pause().await;
        Some(block[1])
    }
}

pair! { bare_local guarded_local()
    pub(super) async fn local(n: u8) -> Option<u8> {
        let block = [n; 1024];
        pause().await;
        Some(block[1])
    }
}

pair! { bare_lazy guarded_lazy()
    pub(super) fn lazy(block: Block) -> impl Future<Output = Option<u8>> {
        async move {
            pause().await;
            Some(block[1])
        }
    }
}

pair! { bare_eager guarded_eager()
    pub(super) fn eager(block: Block) -> impl Future<Output = Option<u8>> {
        let first = block[0];
        async move {
            pause().await;
            Some(block[1] + first)
        }
    }
}

/// Every result of a guarded call has room for a `Rejected`, and every guarded future for a permit: a field
/// more is copied at each call.
#[test]
#[cfg(target_arch = "x86_64")]
fn what_calls_carry_about_is_as_small_as_it_was() {
    let sizes = [
        ("CircuitBreaker", size_of::<CircuitBreaker>(), 16),
        ("Permit", size_of::<Permit>(), 32),
        ("Permit<&CircuitBreaker>", size_of::<Permit<&CircuitBreaker>>(), 24),
        ("Rejected", size_of::<Rejected>(), 32),
        ("Option<Rejected>", size_of::<Option<Rejected>>(), 32),
        ("Error<()>", size_of::<Error<()>>(), 32),
        ("Error<io::Error>", size_of::<Error<io::Error>>(), 32),
        ("Error<Box<dyn Error>>", size_of::<Error<Box<dyn std::error::Error>>>(), 32),
        ("Error<String>", size_of::<Error<String>>(), 32),
        ("Error<[u64; 8]>", size_of::<Error<[u64; 8]>>(), 72),
    ];
    let other: Vec<_> = sizes.into_iter().filter(|(_, is, was)| is != was).collect();
    assert!(other.is_empty(), "name, size, expected: {other:?}");
}

/// A permit, and four words: the breaker that it borrows, where the body has come to, and what it may have to
/// wait for.
const GROWTH: usize = size_of::<Permit>() + 4 * size_of::<usize>();

/// The sizes of two futures that come to the same.
fn sizes<B, G>(bare: B, guarded: G) -> (usize, usize)
where
    B: Future<Output = Option<u8>>,
    G: Future<Output = Option<u8>>,
{
    let sizes = (size_of_val(&bare), size_of_val(&guarded));
    assert_eq!(finish(guarded), finish(bare));
    sizes
}

#[test]
fn an_async_fn_grows_by_its_permit() {
    let (bare, guarded) = sizes(bare_argument::argument(BLOCK), guarded_argument::argument(BLOCK));
    assert!(guarded <= bare + GROWTH, "{bare} has become {guarded}");
    let (bare, guarded) = sizes(bare_local::local(2), guarded_local::local(2));
    assert!(guarded <= bare + GROWTH, "{bare} has become {guarded}");
}

/// As does every async fn with its arguments.
#[test]
fn a_future_made_by_hand_is_there_twice_while_it_starts() {
    let (bare, guarded) = sizes(bare_lazy::lazy(BLOCK), guarded_lazy::lazy(BLOCK));
    // Three words less, as the compiler lays it out.
    let growth = GROWTH - 3 * size_of::<usize>();
    assert!(guarded <= 2 * bare + growth, "{bare} has become {guarded}");
    let (bare, guarded) = sizes(bare_eager::eager(BLOCK), guarded_eager::eager(BLOCK));
    assert!(guarded <= 2 * bare + GROWTH, "{bare} has become {guarded}");
}
