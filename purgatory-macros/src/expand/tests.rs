#![cfg_attr(fuzzing, allow(dead_code, unused_imports))]

pub(crate) mod fuzz;
#[cfg(test)]
mod shapes;

use quote::quote;

use super::*;

/// The expansion of `#[circuit_breaker("n", crate = c, ..)]`.
fn expanded(args: &str, item: TokenStream) -> String {
    let args = format!(r#""n", crate = c, {args}"#);
    squeezed(&expand(args.parse().unwrap(), item))
}

/// As text without the spaces, which say how tokens were made rather than what they are.
fn squeezed(tokens: &TokenStream) -> String {
    tokens.to_string().replace(' ', "")
}

/// What comes first, with this configuration, these lints allowed, this way to a permit, and this way out.
fn admit(
    config: &TokenStream,
    allow: &TokenStream,
    wait: &TokenStream,
    [permit, acquired]: [&TokenStream; 2],
    rejected: &TokenStream,
) -> TokenStream {
    quote! {
        let breaker = {
            static __PURGATORY_CALLSITE: c::__private::Callsite =
                c::__private::Callsite::new("n", #config);
            c::__private::Callsite::breaker(&__PURGATORY_CALLSITE)
        };
        #wait
        #allow
        let #permit = match #acquired {
            c::__private::core::result::Result::Ok(permit) => permit,
            c::__private::core::result::Result::Err(rejected) => return #rejected,
        };
    }
}

fn reject() -> TokenStream {
    quote!(c::__private::reject(rejected))
}

/// What comes first in a future without a fallback.
fn admit_or_pause() -> TokenStream {
    let config = quote!(c::__private::Config::new());
    let permit = quote!((mut permit, pause));
    let acquired = quote!(c::__private::Breaker::acquire_or_pause(&breaker));
    admit(&config, &quote!(), &quote!(), [&permit, &acquired], &reject())
}

/// What comes then.
fn guard_after(future: &TokenStream) -> TokenStream {
    let reject = reject();
    quote! {
        let ret = match c::__private::guard_after(pause, &mut permit, #future).await {
            c::__private::core::result::Result::Ok(ret) => ret,
            c::__private::core::result::Result::Err(rejected) => return #reject,
        };
        c::__private::settle(permit, ret)
    }
}

fn hint(ty: &TokenStream, mentions: &TokenStream) -> TokenStream {
    let allow = if mentions.is_empty() {
        quote!()
    } else {
        quote!(#[allow(unreachable_code, clippy::used_underscore_binding)])
    };
    quote! {
        #allow
        if let c::__private::core::option::Option::Some(ret) =
            c::__private::core::option::Option::None::<#ty>
        {
            return ret;
            #mentions
        }
    }
}

#[test]
fn a_function() {
    let expansion = expanded(
        "threshold = 5, ttl = TTL, half_open_probes = N",
        quote! {
            #[inline]
            pub fn f<'a>(a: &'a A, mut b: B, c: C) -> Result<impl Trait<A> + 'a, E> {
                #![allow(x)]
                g(a, b)?
            }
        },
    );
    let admit = admit(
        &quote!(c::__private::checked(
            c::__private::checked(c::__private::Config::new().threshold(5u32).ttl(TTL))
                .half_open_probes(N)
        )),
        &quote!(),
        &quote!(),
        [&quote!(mut permit), &quote!(c::__private::Breaker::acquire(&breaker))],
        &reject(),
    );
    let hint = hint(&quote!(Result<_, E>), &quote!(let _ = &b; let _ = &a;));
    let expected = quote! {
        #[inline]
        pub fn f<'a>(a: &'a A, mut b: B, c: C) -> Result<impl Trait<A> + 'a, E> {
            #![allow(x)]
            #admit
            let ret = c::__private::run(&mut permit, move || { #hint ({ g(a, b)? }) });
            c::__private::settle(permit, ret)
        }
    };
    assert_eq!(expansion, squeezed(&expected));
}

#[test]
fn an_async_function_with_a_fallback() {
    let expansion = expanded(
        "fallback = g, on_cancel = failure",
        quote! { async fn f(self: Box<Self>, a: A, (b, _): B, _: C) { a } },
    );
    let admit = admit(
        &quote!(c::__private::Config::new()),
        &quote! {
            #[allow(unreachable_code, unused_braces)]
            #[allow(clippy::diverging_sub_expression, clippy::unused_unit)]
        },
        &quote!(let acquired = c::__private::Breaker::acquire_async(&breaker).await;),
        [&quote!(mut permit), &quote!(acquired)],
        &quote!(g(self, a, __arg2, __arg3).await),
    );
    let hint = hint(&quote!(()), &quote!(let _ = &__arg3; let _ = &a;));
    let expected = quote! {
        async fn f(self: Box<Self>, a: A, __arg2: B, __arg3: C) {
            #admit
            let (b, _) = __arg2;
            c::__private::cancel_fails(&mut permit);
            let ret = c::__private::guard(&mut permit, async move { #hint ({ a }) }).await;
            c::__private::settle(permit, ret)
        }
    };
    assert_eq!(expansion, squeezed(&expected));
}

#[test]
fn a_lazy_future() {
    let expansion = expanded(
        "",
        quote! {
            fn f(a: A) -> p::Pin<b::Box<dyn f::Future<Output = X> + Send>> {
                b::Box::pin(async move { g(a).await? },)
            }
        },
    );
    let (admit, hint) = (admit_or_pause(), hint(&quote!(X), &quote!()));
    let guard = guard_after(&quote!(async move { #hint ({ g(a).await? }) }));
    let expected = quote! {
        fn f(a: A) -> p::Pin<b::Box<dyn f::Future<Output = X> + Send>> {
            b::Box::pin(async move {
                #hint
                #admit
                #guard
            })
        }
    };
    assert_eq!(expansion, squeezed(&expected));
}

#[test]
fn an_eager_future() {
    let expansion =
        expanded("", quote! { fn f(a: A) -> Pin<Box<dyn Future<Output = X>>> { g(a); h() } });
    let whole = hint(&quote!(Pin<Box<dyn Future<Output = X>>>), &quote!(let _ = &a;));
    let (admit, hint) = (admit_or_pause(), hint(&quote!(X), &quote!()));
    let guard = guard_after(&quote!(future));
    let expected = quote! {
        fn f(a: A) -> Pin<Box<dyn Future<Output = X>>> {
            let future = c::__private::call(move || { #whole ({ g(a); h() }) });
            c::__private::std::boxed::Box::pin(async move {
                #hint
                #admit
                #guard
            })
        }
    };
    assert_eq!(expansion, squeezed(&expected));
}

#[test]
fn what_a_value_says() {
    let verdict = |args: &str| {
        let expansion = expanded(args, quote! { fn f() -> R {} });
        let (_, verdict) = expansion.split_once("({})});").expect("the end of the body");
        verdict.strip_suffix("}").expect("the end of the function").to_owned()
    };
    let decide = quote!(|error| match error {
        E::A => c::__private::core::option::Option::Some(c::__private::Outcome::Success),
        E::B if b => c::__private::core::option::Option::Some(c::__private::Outcome::Success),
        error
            if c::__private::core::option::Option::is_some_and(
                c::__private::core::option::Option::Some(error),
                p
            ) =>
            c::__private::core::option::Option::Some(c::__private::Outcome::Ignored),
        _ => c::__private::core::option::Option::None,
    });
    let settle_with = quote!(c::__private::settle_with(permit, ret, #decide));
    assert_eq!(verdict("exclude(E::A, E::B if b), ignore = p"), squeezed(&settle_with));

    let judge = |test: TokenStream| {
        quote! {
            let (permit, ret) = match c::__private::judge(permit, ret, #test) {
                c::__private::core::result::Result::Ok(undecided) => undecided,
                c::__private::core::result::Result::Err(ret) => return ret,
            };
        }
    };
    let judge_patterns = judge(quote!(|ret| match ret {
        Ok(0) => true,
        Ok(n) if n > 1 => true,
        _ => false,
    }));
    let expected = quote! {
        #judge_patterns
        {
            use c::__private::{KnownKind as _, OpaqueKind as _};
            (&c::__private::Kind(&ret)).__purgatory_kind().settle(permit, ret)
        }
    };
    assert_eq!(verdict("failure_if(Ok(0), Ok(n) if n > 1)"), squeezed(&expected));

    let judge_predicate = judge(quote!(p));
    let expected = quote! {
        #judge_predicate
        c::__private::settle_with(permit, ret, |error| match error {
            _ => c::__private::core::option::Option::Some(c::__private::Outcome::Ignored),
            _ => c::__private::core::option::Option::None,
        })
    };
    assert_eq!(verdict("failure_if = p, ignore(_)"), squeezed(&expected));
}

#[test]
fn a_name_that_is_an_expression() {
    let item = quote! { fn f(a: A) -> R {} };
    let named = quote! {
        const __PURGATORY_CONFIG: ::purgatory::__private::Config =
            ::purgatory::__private::Config::new()
                .ttl(::purgatory::__private::core::time::Duration::new(0u64, 500000000u32));
        ::purgatory::__private::named(&(&a.name), __PURGATORY_CONFIG)
    };
    let from = quote! {
        const __PURGATORY_CONFIG: ::purgatory::__private::Config =
            ::purgatory::__private::Config::new();
        ::purgatory::__private::from(&(a.factory), &("n"), __PURGATORY_CONFIG)
    };
    for (args, expected) in
        [("name = &a.name, ttl = 0.5", named), (r#""n", factory = a.factory"#, from)]
    {
        let expansion = squeezed(&expand(args.parse().unwrap(), item.clone()));
        assert!(expansion.contains(&squeezed(&expected)), "{expansion}");
    }
}

#[test]
fn arguments_are_mentioned_if_they_are_used() {
    let item = quote! {
        fn f(
            a: A, (b, S { c, d: [e, ..] }): B, f: F, g: G, h: H, i: I, j: J, _k: K,
            L: L, &((mut M, T(ref N, O @ _))): M,
        ) -> R {
            x(..a, [b, c], { e }, y.f, y . g().."{h:?}", L, M, N, O);
            i.j()
        }
    };
    let expansion = squeezed(&expand(quote!("n"), item));
    let mentions: Vec<_> =
        expansion.split("let_=&").skip(1).filter_map(|rest| rest.split(';').next()).collect();
    assert_eq!(mentions, ["O", "N", "M", "_k", "i", "h", "e", "c", "b", "a"]);

    for (receiver, expected) in [("self", true), ("self: Box<Self>", true), ("&mut self", false)] {
        let item = format!("fn f({receiver}) -> R {{ self.g() }}").parse().unwrap();
        let expansion = squeezed(&expand(quote!("n"), item));
        assert_eq!(expansion.contains("let_=&self;"), expected, "{receiver}");
    }
}

#[test]
fn a_mention_is_there_when_its_variable_is() {
    let item = quote! {
        fn f(#[cfg(a)] S { #[cfg(b)] inner: T { #[cfg(c)] #[other] x, y }, z }: S) -> R { [x, y, z] }
    };
    let expansion = squeezed(&expand(quote!("n"), item));
    let mentions = quote! {
        #[cfg(a)] let _ = &z;
        #[cfg(a)] #[cfg(b)] let _ = &y;
        #[cfg(a)] #[cfg(b)] #[cfg(c)] let _ = &x;
    };
    assert!(expansion.contains(&squeezed(&mentions)), "{expansion}");
}

#[test]
fn a_mistake_leaves_the_item_as_it_is() {
    let items = [
        (quote! { pub fn f((a, _): (A, B), _: C) -> R { body } }, 2),
        (quote! { const fn f() {} }, 3),
        (quote! { struct S; }, 3),
        (quote! { fn f(); }, 3),
    ];
    for (item, mistakes) in items {
        let expansion = expanded("threshold = 0, ttl = 0", item.clone());
        let errors = expansion.strip_suffix(&squeezed(&item)).expect("the item is there");
        assert_eq!(errors.matches("::core::compile_error!").count(), mistakes, "{item}");
    }
}

/// The trees of `tokens` with one left out, doubled, or in the place of another.
fn mutants(tokens: &TokenStream) -> Vec<TokenStream> {
    let trees: Vec<_> = tokens.clone().into_iter().collect();
    let mut mutants = Vec::new();
    for at in 0..trees.len() {
        for other in 0..trees.len() {
            let mut mutant = trees.clone();
            mutant[at] = trees[other].clone();
            mutants.push(mutant.into_iter().collect());
        }
        let (before, after) = trees.split_at(at);
        mutants.push(before.iter().chain(&after[1..]).cloned().collect());
        mutants.push(before.iter().chain(after).chain(after).cloned().collect());
    }
    mutants
}

#[test]
fn whatever_is_written_there_is_an_answer() {
    let args: TokenStream =
        r#""n", ttl = "1m", threshold = 5, exclude(A | B(c) if c, D), failure_if = |e| e > 0,
        fallback = f, factory = x, crate = ::c, on_cancel = failure"#
            .parse()
            .unwrap();
    let item = quote! {
        pub async unsafe fn f<'a, T>(self, (a, mut b): (A, B), #[cfg(x)] _: C) -> R
        where T: A { a?; b }
    };
    let future = quote! {
        fn f(&self, Point { x, .. }: P) -> Pin<Box<dyn Future<Output = impl A>>> {
            Box::pin(async move {})
        }
    };
    let arguments = mutants(&args).into_iter().map(|args| (args, item.clone()));
    let items = mutants(&item).into_iter().chain(mutants(&future)).map(|item| (args.clone(), item));
    for (args, item) in arguments.chain(items) {
        let expansion = expand(args.clone(), item.clone());
        let refused = expansion.to_string().contains("compile_error");
        assert!(
            refused || syn::parse2::<Function>(expansion).is_ok(),
            "#[circuit_breaker({args})] {item}"
        );
    }
}
