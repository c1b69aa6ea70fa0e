//! Functions of every shape.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::marker::PhantomData;
use std::panic::Location;

use purgatory::circuit_breaker;

use crate::attribute_support::{Boom, finish, guarded, pause, rejected, sensitive};

type Outcome<T> = Result<T, Boom>;

#[test]
fn references_out_of_mutable_arguments() {
    #[circuit_breaker("mut")]
    fn first<'a>(list: &'a mut Vec<u8>) -> Outcome<&'a mut u8> {
        list.first_mut().ok_or(Boom::Code(1))
    }
    #[circuit_breaker("mut")]
    fn longest<'a, 'b: 'a>(one: &'a mut [u8], other: &'b mut [u8]) -> Outcome<&'a mut [u8]> {
        Ok(if one.len() > other.len() { one } else { other })
    }
    #[circuit_breaker("mut")]
    fn skip<'a>(mut list: &'a mut [u8], n: usize) -> Outcome<&'a mut [u8]> {
        for _ in 0..n {
            list = &mut list[1..];
        }
        Ok(list)
    }
    #[circuit_breaker("mut")]
    async fn last(list: &mut [u8]) -> Outcome<&mut u8> {
        pause().await;
        list.last_mut().ok_or(Boom::Code(1))
    }

    guarded("mut", || first(&mut vec![1]).map(|first| *first = 2));
    let mut list = vec![1, 2, 3];
    *first(&mut list).unwrap() = 10;
    *finish(last(&mut list)).unwrap() = 30;
    skip(&mut list, 1).unwrap()[0] = 20;
    longest(&mut [], &mut list).unwrap()[0] += 1;
    assert_eq!(list, [11, 20, 30]);
}

#[test]
fn generics_lifetimes_and_where_clauses() {
    #[circuit_breaker("generic")]
    fn generic<'a, T, const N: usize>(list: &'a [T; N], at: usize) -> Outcome<Cow<'a, T>>
    where
        T: Clone + 'a,
        [T; N]: AsRef<[T]>,
    {
        list.as_ref().get(at).map(Cow::Borrowed).ok_or(Boom::Code(1))
    }
    #[circuit_breaker("generic")]
    async fn error<T: Send, E: From<purgatory::Rejected> + 'static>(
        value: Result<T, E>,
    ) -> Result<T, E> {
        pause().await;
        value
    }

    assert_eq!(*guarded("generic", || generic(&["a", "b"], 1)), "b");
    assert_eq!(guarded("generic", || finish(error(Ok(1)))), 1);
}

#[test]
fn one_circuit_for_all_types() {
    #[circuit_breaker("shared")]
    fn shared<T>(value: Outcome<T>) -> Outcome<T> {
        value
    }

    let (factory, _clock) = sensitive();
    factory.scope(|| {
        shared::<u8>(Err(Boom::Code(1))).unwrap_err();
        assert_eq!(shared(Ok("text")), rejected("shared"));
    });
}

#[test]
fn impl_trait_in_arguments_and_in_the_return_type() {
    #[circuit_breaker("impl")]
    fn both(
        values: impl IntoIterator<Item = impl Display>,
    ) -> Outcome<impl Iterator<Item = String>> {
        Ok(values.into_iter().map(|value| value.to_string()))
    }
    #[circuit_breaker("impl")]
    fn pair() -> Outcome<(impl Fn(u8) -> u8 + use<>, [impl Debug; 1])> {
        Ok((|n| n + 1, ["x"]))
    }
    #[circuit_breaker("impl")]
    async fn later<'a>(text: &'a str) -> Outcome<impl Iterator<Item = &'a str> + use<'a>> {
        pause().await;
        if text.is_empty() {
            return Err(Boom::Code(1));
        }
        Ok(text.split(' '))
    }
    #[circuit_breaker("impl", failure_if = |_| false, fallback = None.into_iter())]
    fn bare(n: Option<u8>) -> impl Iterator<Item = u8> {
        n.into_iter()
    }

    assert_eq!(guarded("impl", || both([1, 2]).map(Vec::from_iter)), ["1", "2"]);
    assert_eq!(
        guarded("impl", || pair().map(|(next, [x])| format!("{} {x:?}", next(1)))),
        "2 \"x\""
    );
    assert_eq!(guarded("impl", || finish(later("a b")).map(Vec::from_iter)), ["a", "b"]);
    assert!(bare(Some(1)).eq([1]));
}

#[test]
fn values_are_coerced_at_every_exit() {
    trait Shape {
        fn corners(&self) -> u8;
    }
    impl Shape for u8 {
        fn corners(&self) -> u8 {
            *self
        }
    }
    impl Shape for () {
        fn corners(&self) -> u8 {
            0
        }
    }

    #[circuit_breaker("coerced")]
    fn sync(n: u8) -> Result<Box<dyn Shape>, Boom> {
        if n == 0 {
            return Ok(Box::new(()));
        }
        Ok(Box::new(n))
    }
    #[circuit_breaker("coerced")]
    async fn later(n: u8) -> Result<Box<dyn Shape>, Boom> {
        if n == 0 {
            return Ok(Box::new(()));
        }
        Ok(Box::new(n))
    }
    #[circuit_breaker("coerced")]
    fn collected(words: &[&str]) -> Outcome<Vec<String>> {
        let mut words = words.iter();
        if words.len() == 0 {
            return Ok(words.map(|word| word.to_string()).collect());
        }
        Ok(words.by_ref().map(|word| word.to_string()).collect())
    }

    for n in [0, 3] {
        assert_eq!(guarded("coerced", || sync(n)).corners(), n);
        assert_eq!(guarded("coerced", || finish(later(n))).corners(), n);
    }
    assert_eq!(guarded("coerced", || collected(&["a"])), ["a"]);
}

#[test]
fn patterns_mutable_and_nameless_arguments() {
    struct Point {
        x: u8,
        y: u8,
    }

    #[circuit_breaker("patterns")]
    fn patterns(
        mut n: u8,
        (a, mut b): (u8, u8),
        Point { x, y: ref z }: Point,
        [first, .., last]: [u8; 3],
        &c: &u8,
        whole @ (_, d): (u8, u8),
        _: u8,
    ) -> Outcome<Vec<u8>> {
        n += 1;
        b += 1;
        Ok(vec![n, a, b, x, *z, first, last, c, whole.0, d])
    }

    let call = || patterns(0, (2, 2), Point { x: 4, y: 5 }, [6, 0, 7], &8, (9, 10), 0);
    assert_eq!(guarded("patterns", call), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn patterns_that_are_constants() {
    struct Tagged<T>(u8, PhantomData<T>);

    #[circuit_breaker("constants")]
    fn inside(Tagged(n, PhantomData): Tagged<u8>) -> Outcome<Tagged<u8>> {
        Ok(Tagged(n, PhantomData))
    }
    #[circuit_breaker("constants", fallback = fallback)]
    fn whole(PhantomData: PhantomData<u8>) -> Outcome<PhantomData<u8>> {
        Ok(PhantomData)
    }
    fn fallback(_: PhantomData<u8>) -> Outcome<PhantomData<u8>> {
        rejected("constants")
    }

    assert_eq!(guarded("constants", || inside(Tagged(1, PhantomData))).0, 1);
    assert_eq!(guarded("constants", || whole(PhantomData)), PhantomData);
}

#[test]
fn arguments_that_depend_on_cfg() {
    #[circuit_breaker("cfg")]
    fn sync(
        #[cfg(test)] n: u8,
        #[cfg(not(test))] n: String,
        #[cfg(not(test))] (a, _b): (u8, u8),
    ) -> Outcome<u8> {
        #[cfg(not(test))]
        return Ok(a);
        Ok(n)
    }
    #[circuit_breaker("cfg")]
    async fn later(#[cfg(not(test))] _: u8, #[allow(unused_mut)] mut n: u8) -> Outcome<u8> {
        Ok(n)
    }

    assert_eq!(guarded("cfg", || sync(1)), 1);
    assert_eq!(guarded("cfg", || finish(later(1))), 1);
}

#[test]
fn fields_of_a_pattern_that_depend_on_cfg() {
    struct Size {
        width: u8,
        #[cfg(not(test))]
        height: u8,
    }
    struct Area {
        size: Size,
        #[cfg(not(test))]
        origin: (u8, u8),
    }

    #[circuit_breaker("cfg")]
    fn sync(
        Area {
            size:
                Size {
                    width,
                    #[cfg(not(test))]
                    height,
                },
            #[cfg(not(test))]
                origin: (x, _),
        }: Area,
    ) -> Outcome<u8> {
        #[cfg(not(test))]
        return Ok(x + height);
        Ok(width)
    }

    assert_eq!(guarded("cfg", || sync(Area { size: Size { width: 1 } })), 1);
}

#[test]
fn other_attributes_stay_where_they_are() {
    #[circuit_breaker("attributes")]
    #[deprecated]
    #[must_use = "it is the only one"]
    #[inline]
    fn attributes(n: &[u8]) -> Outcome<u8> {
        #![allow(clippy::get_first)]
        n.get(0).copied().ok_or(Boom::Code(1))
    }

    #[expect(deprecated)]
    let call = || attributes(&[1]);
    assert_eq!(guarded("attributes", call), 1);
}

#[test]
fn the_body_is_its_own_caller() {
    #[circuit_breaker("caller")]
    #[track_caller]
    fn caller() -> Outcome<&'static Location<'static>> {
        Ok(Location::caller())
    }

    assert_eq!(guarded("caller", caller).line(), line!() - 3);
}

#[test]
fn bodies_that_diverge() {
    #[circuit_breaker("diverges")]
    fn sync(result: Outcome<u8>) -> Outcome<u8> {
        match result {
            Ok(0) => panic!("zero"),
            result => return result,
        }
    }
    #[circuit_breaker("diverges")]
    async fn later(n: u8) -> Outcome<u8> {
        match n {
            0 => unreachable!(),
            n => return Ok(n),
        }
    }
    #[circuit_breaker("diverges", fallback = std::panic::panic_any(1))]
    async fn never() -> ! {
        std::panic::panic_any(2)
    }

    assert_eq!(guarded("diverges", || sync(Ok(1))), 1);
    assert_eq!(guarded("diverges", || finish(later(1))), 1);
    let (factory, _clock) = sensitive();
    let call =
        || *std::panic::catch_unwind(|| finish(never())).unwrap_err().downcast::<i32>().unwrap();
    assert_eq!(factory.scope(|| [call(), call()]), [2, 1]);
}

#[test]
fn functions_of_another_abi() {
    #[circuit_breaker("abi")]
    extern "C" fn abi(n: u8) -> Option<Box<u8>> {
        Some(Box::new(n))
    }

    let pointer: extern "C" fn(u8) -> Option<Box<u8>> = abi;
    assert_eq!(
        guarded("abi", || pointer(1).ok_or_else(|| Boom::Rejected("abi".to_owned()))),
        Box::new(1)
    );
}
