//! The size of a guarded future.

#![allow(clippy::manual_async_fn)] // Its size is another.

use std::future::Future;
use std::mem::{size_of, size_of_val};

use purgatory::Permit;

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
    assert!(guarded <= 2 * bare + GROWTH, "{bare} has become {guarded}");
    let (bare, guarded) = sizes(bare_eager::eager(BLOCK), guarded_eager::eager(BLOCK));
    assert!(guarded <= 2 * bare + GROWTH, "{bare} has become {guarded}");
}
