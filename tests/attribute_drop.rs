//! The order in which arguments are dropped: that of the function without the attribute.

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use purgatory::circuit_breaker;

use crate::attribute_support::{finish, pair, pause};

type Log = RefCell<Vec<&'static str>>;

/// Says when it is dropped.
struct Noisy<'a>(&'static str, &'a Log);

impl Drop for Noisy<'_> {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

impl fmt::Display for Noisy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a call drops, in order. It gets seven arguments, `a` to `g`.
fn drops<R>(call: impl FnOnce([Noisy<'_>; 7]) -> R) -> Vec<&'static str> {
    let log = Log::default();
    let arguments = ["a", "b", "c", "d", "e", "f", "g"].map(|name| Noisy(name, &log));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(call(arguments))));
    log.into_inner()
}

/// How the body ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Return,
    Early,
    Panic,
    /// After it has dropped one of the arguments.
    Taken,
}

const ENDS: [(End, [&str; 8]); 4] = [
    (End::Return, ["local", "g", "f", "e", "d", "c", "b", "a"]),
    (End::Early, ["local", "g", "f", "e", "d", "c", "b", "a"]),
    (End::Panic, ["local", "g", "f", "e", "d", "c", "b", "a"]),
    (End::Taken, ["d", "local", "g", "f", "e", "c", "b", "a"]),
];

pair! { bare guarded()
    pub(super) fn function<'a>(
        end: End,
        a: Noisy<'a>,
        _: Noisy<'a>,
        (c, d): (Noisy<'a>, Noisy<'a>),
        _e: Noisy<'a>,
        f: Noisy<'a>,
        _: Noisy<'a>,
    ) -> Option<usize> {
        let _local = Noisy("local", c.1);
        match end {
            End::Return => {}
            End::Early => return None,
            End::Panic => panic!("{f}"),
            End::Taken => drop(d),
        }
        Some(a.0.len() + c.0.len())
    }
}

#[test]
fn arguments_of_a_function() {
    for (end, expected) in ENDS {
        let bare = drops(|[a, b, c, d, e, f, g]| bare::function(end, a, b, (c, d), e, f, g));
        let guarded = drops(|[a, b, c, d, e, f, g]| guarded::function(end, a, b, (c, d), e, f, g));
        assert_eq!(bare, expected, "{end:?}");
        assert_eq!(guarded, expected, "{end:?}");
    }
}

pair! { bare_async guarded_async()
    pub(super) async fn function<'a>(
        end: End,
        a: Noisy<'a>,
        _: Noisy<'a>,
        (c, d): (Noisy<'a>, Noisy<'a>),
        _e: Noisy<'a>,
        f: Noisy<'a>,
        _: Noisy<'a>,
    ) -> Option<usize> {
        let _local = Noisy("local", c.1);
        pause().await;
        match end {
            End::Return => {}
            End::Early => return None,
            End::Panic => panic!("{f}"),
            End::Taken => drop(d),
        }
        Some(a.0.len() + c.0.len())
    }
}

#[test]
fn arguments_of_an_async_function() {
    for (end, expected) in ENDS {
        let bare =
            drops(|[a, b, c, d, e, f, g]| finish(bare_async::function(end, a, b, (c, d), e, f, g)));
        let guarded = drops(|[a, b, c, d, e, f, g]| {
            finish(guarded_async::function(end, a, b, (c, d), e, f, g))
        });
        assert_eq!(bare, expected, "{end:?}");
        assert_eq!(guarded, expected, "{end:?}");
    }
}

async fn cached<'a>(
    _: Noisy<'a>,
    _: Noisy<'a>,
    _: (Noisy<'a>, Noisy<'a>),
    _: Noisy<'a>,
    _: Noisy<'a>,
    _: Noisy<'a>,
) -> Option<usize> {
    pause().await;
    None
}

pair! { bare_fallback guarded_fallback(fallback = cached)
    pub(super) async fn function<'a>(
        _: Noisy<'a>,
        b: Noisy<'a>,
        (c, d): (Noisy<'a>, Noisy<'a>),
        e: Noisy<'a>,
        _f: Noisy<'a>,
        g: Noisy<'a>,
    ) -> Option<usize> {
        pause().await;
        Some([b, c, d, e, g].map(|noisy| noisy.0.len()).into_iter().sum())
    }
}

#[test]
fn arguments_that_a_fallback_could_get() {
    let bare =
        drops(|[a, b, c, d, e, f, g]| finish(bare_fallback::function(a, b, (c, d), e, f, g)));
    let guarded =
        drops(|[a, b, c, d, e, f, g]| finish(guarded_fallback::function(a, b, (c, d), e, f, g)));
    assert_eq!(bare, ["b", "c", "d", "e", "g", "f", "a"]);
    assert_eq!(guarded, bare);
}

impl Noisy<'_> {
    fn bare(self, _: Self, other: Self) -> Option<usize> {
        Some(self.0.len() + other.0.len())
    }

    #[circuit_breaker("method")]
    fn guarded(self, _: Self, other: Self) -> Option<usize> {
        Some(self.0.len() + other.0.len())
    }

    #[circuit_breaker("method")]
    async fn guarded_async(self: Box<Self>, _: Self, other: Self) -> Option<usize> {
        pause().await;
        Some(self.0.len() + other.0.len())
    }
}

#[test]
fn the_receiver_is_dropped_last() {
    let expected = ["c", "b", "a", "d", "e", "f", "g"];
    assert_eq!(drops(|[a, b, c, ..]| a.bare(b, c)), expected);
    assert_eq!(drops(|[a, b, c, ..]| a.guarded(b, c)), expected);
    assert_eq!(drops(|[a, b, c, ..]| finish(Box::new(a).guarded_async(b, c))), expected);
}

struct Pair<'a> {
    _first: Noisy<'a>,
    second: Noisy<'a>,
}

impl<'a> Pair<'a> {
    fn new(_first: Noisy<'a>, second: Noisy<'a>) -> Self {
        Self { _first, second }
    }

    fn bare(self, other: Self) -> Option<String> {
        Some(self.second.to_string() + &other.second.to_string())
    }

    #[circuit_breaker("method")]
    fn guarded(self, other: Self) -> Option<String> {
        Some(self.second.to_string() + &other.second.to_string())
    }
}

#[test]
fn an_argument_of_which_a_part_is_used_stays_whole() {
    let bare = drops(|[a, b, c, d, ..]| Pair::new(a, b).bare(Pair::new(c, d)));
    let guarded = drops(|[a, b, c, d, ..]| Pair::new(a, b).guarded(Pair::new(c, d)));
    assert_eq!(bare, ["c", "d", "a", "b", "e", "f", "g"]);
    assert_eq!(guarded, bare);
}
