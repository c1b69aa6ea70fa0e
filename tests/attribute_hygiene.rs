//! Names around the function that look like those of the expansion.

use std::future::Future;
use std::pin::Pin;

use purgatory::circuit_breaker;

use crate::attribute_support::{Boom, finish, guarded, rejected, sensitive};

mod no_prelude {
    #![no_implicit_prelude]

    use crate::attribute_support::Boom;
    use ::purgatory::circuit_breaker;
    use ::std::result::Result::{self, Ok};

    #[circuit_breaker(
        "bare",
        ttl = "1s",
        exclude(Boom::Code(404)),
        ignore = |_| false,
        failure_if(Ok(0)),
    )]
    pub(super) fn sync(n: u8, (_, m): (u8, u8)) -> Result<u8, Boom> {
        Ok(n + m)
    }

    #[circuit_breaker(name = name, threshold = 1, probe_lease = 1.5)]
    pub(super) async fn later(name: &str, n: u8, _: u8) -> Result<u8, Boom> {
        let _ = name;
        Ok(n)
    }

    #[circuit_breaker("bare")]
    pub(super) fn lazy(
        n: u8,
    ) -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = Result<u8, Boom>>>>
    {
        ::std::boxed::Box::pin(async move { Ok(n) })
    }

    #[circuit_breaker("bare")]
    pub(super) fn eager(
        n: u8,
    ) -> ::std::pin::Pin<::std::boxed::Box<dyn ::std::future::Future<Output = Result<u8, Boom>>>>
    {
        let n = n + 1;
        ::std::boxed::Box::pin(async move { Ok(n) })
    }
}

#[test]
fn no_prelude_is_needed() {
    assert_eq!(guarded("bare", || no_prelude::sync(1, (0, 1))), 2);
    assert_eq!(guarded("named", || finish(no_prelude::later("named", 1, 0))), 1);
    assert_eq!(guarded("bare", || finish(no_prelude::lazy(1))), 1);
    assert_eq!(guarded("bare", || finish(no_prelude::eager(1))), 2);
}

#[allow(unused, non_camel_case_types)]
mod decoys {
    use crate::attribute_support::Boom;

    pub(super) mod core {}
    mod std {}
    mod alloc {}
    mod purgatory {}
    mod __private {}

    pub(super) enum Option {
        None,
        Some,
    }
    pub(super) enum Result {
        Ok,
        Err,
    }
    pub(super) use self::Option::*;
    pub(super) use self::Result::*;
    pub(super) struct Config;
    pub(super) struct Callsite;
    pub(super) struct Breaker;
    pub(super) struct Outcome;
    pub(super) struct Box;
    pub(super) struct bool;
    pub(super) struct u32;
    pub(super) struct Duration;

    fn run() {}
    fn settle() {}
    fn reject() {}
    fn drop() {}

    macro_rules! matches {
        () => {};
    }
    macro_rules! panic {
        () => {};
    }

    /// Methods that are found before those of a type, were they looked for by name.
    trait Clash: Sized {
        fn acquire(self) {}
        fn breaker(self) {}
        fn settle(self) {}
        fn threshold(self) {}
        fn ttl(self) {}
        fn into_future(self) {}
        fn kind(self) {}
    }
    impl<T> Clash for T {}

    #[::purgatory::circuit_breaker(
        "decoys",
        threshold = 1,
        ttl = 1,
        exclude = |_| false,
        ignore(Boom::Code(0)),
    )]
    pub(super) fn sync(n: u8) -> ::std::result::Result<u8, Boom> {
        ::std::result::Result::Ok(n)
    }

    #[::purgatory::circuit_breaker(
        name = "decoys".trim(),
        ttl = 0.5,
        failure_if(::std::option::Option::Some(0)),
    )]
    pub(super) async fn later(n: u8, _: u8) -> ::std::option::Option<u8> {
        ::std::option::Option::Some(n)
    }
}

#[test]
fn decoys_are_not_taken() {
    assert_eq!(guarded("decoys", || decoys::sync(1)), 1);
    let later = || finish(decoys::later(1, 2)).ok_or_else(|| rejected::<()>("decoys").unwrap_err());
    assert_eq!(guarded("decoys", later), 1);
}

#[test]
fn the_names_of_the_expansion_are_free() {
    const PERMIT: u8 = 1;

    #[circuit_breaker(name = permit, exclude = |_| error.is_some())]
    fn sync(
        permit: &str,
        ret: u8,
        breaker: u8,
        rejected: u8,
        error: Option<u8>,
        future: u8,
    ) -> Result<u8, Boom> {
        let sum = ret + breaker + rejected + future + error.unwrap_or(0);
        if permit.is_empty() { Err(Boom::Code(1)) } else { Ok(sum + PERMIT) }
    }
    #[circuit_breaker("expression", fallback = Ok(rejected + ret + permit + breaker))]
    fn fallback(permit: u8, ret: u8, breaker: u8, rejected: u8) -> Result<u8, Boom> {
        Ok(permit - ret - breaker - rejected)
    }
    #[circuit_breaker("eager", threshold = __PURGATORY_CALLSITE_LIMIT)]
    async fn later(name: u8, future: u8) -> Result<u8, Boom> {
        Ok(name + future)
    }
    const __PURGATORY_CALLSITE_LIMIT: u32 = 1;

    assert_eq!(guarded("sync", || sync("sync", 1, 2, 3, Some(4), 5)), 16);
    assert_eq!(guarded("eager", || finish(later(1, 2))), 3);
    let (factory, _clock) = sensitive();
    factory.get_breaker("expression").unwrap().acquire().unwrap().failure();
    assert_eq!(factory.scope(|| fallback(1, 2, 3, 4)), Ok(10));
}

#[test]
fn an_item_of_the_body_does_not_shadow_the_return_type() {
    mod inner {
        pub(super) struct Boom;
    }

    #[circuit_breaker("use")]
    fn sync() -> Result<u8, Boom> {
        use inner::*;
        let _ = Boom;
        Ok(1)
    }
    #[circuit_breaker("use")]
    async fn later() -> Result<u8, Boom> {
        #[allow(dead_code)]
        struct Boom;
        Ok(1)
    }

    assert_eq!(guarded("use", sync), 1);
    assert_eq!(guarded("use", || finish(later())), 1);
}

macro_rules! functions {
    (
        $vis:vis $name:ident, $circuit:expr, $threshold:literal, $ttl:expr,
        $argument:ident: $ty:ty, $error:pat, $result:ty, $value:expr
    ) => {
        #[circuit_breaker($circuit, threshold = $threshold, ttl = $ttl, exclude($error))]
        $vis fn $name($argument: $ty, unused: $ty, _: $ty) -> $result {
            let permit = 1;
            let _ = unused;
            Ok($argument + permit + $value)
        }
    };
}

functions!(pub(crate) from_a_macro, "macro", 1, "1m", n: u8, Boom::Code(404), Result<u8, Boom>, 5);

macro_rules! method {
    ($(#[$attribute:meta])* fn $name:ident(&$this:ident) -> $result:ty $body:block) => {
        $(#[$attribute])*
        fn $name(&$this) -> $result $body
    };
}

struct Client(u8);

impl Client {
    method! {
        #[circuit_breaker("method", failure_if(Ok(0)))]
        fn method(&self) -> Result<u8, Boom> { Ok(self.0) }
    }
}

#[test]
fn functions_may_come_from_a_macro() {
    assert_eq!(guarded("macro", || from_a_macro(1, 2, 3)), 7);
    assert_eq!(guarded("method", || Client(1).method()), 1);
}

macro_rules! return_types {
    ($never:ty, $output:ty, $future:ty) => {
        #[circuit_breaker("type", fallback = std::panic::panic_any("rejected"))]
        fn never() -> $never {
            std::panic::panic_any("called")
        }
        #[circuit_breaker("type", on_cancel = failure)]
        #[allow(unused_parens)]
        fn lazy(n: u8) -> (Pin<(Box<(dyn Future<Output = $output>)>)>) {
            Box::pin(async move { Ok(n) })
        }
        #[circuit_breaker("type", on_cancel = failure)]
        fn eager(n: u8) -> $future {
            let n = n + 1;
            Box::pin(async move { Ok(n) })
        }
    };
}

return_types!(!, Result<u8, Boom>, Pin<Box<dyn Future<Output = Result<u8, Boom>>>>);

#[test]
fn a_return_type_may_come_from_a_macro_or_in_parentheses() {
    assert_eq!(guarded("type", || finish(lazy(1))), 1);
    assert_eq!(guarded("type", || finish(eager(1))), 2);
    let payload = std::panic::catch_unwind(|| never()).unwrap_err();
    assert_eq!(payload.downcast_ref(), Some(&"called"));
}
