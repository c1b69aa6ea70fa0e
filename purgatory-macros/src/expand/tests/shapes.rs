//! What is known of a function by its spelling, and what goes with it.

use super::*;
use crate::expand::output::Output;

fn function(text: &str) -> Function {
    syn::parse_str(text).unwrap()
}

fn shape(text: &str) -> (&'static str, String) {
    let (shape, output) = Shape::of(&function(text));
    let shape = match shape {
        Shape::Sync => "sync",
        Shape::Async => "async",
        Shape::Lazy(_) => "lazy",
        Shape::Eager { boxed: false } => "eager",
        Shape::Eager { boxed: true } => "eager box",
    };
    (shape, squeezed(&output.ty))
}

#[test]
fn a_future_is_known_by_its_spelling() {
    for (text, expected) in [
        ("fn f() -> R { async {} }", ("sync", "R")),
        ("fn f() { async {} }", ("sync", "()")),
        ("async fn f() -> R { async {} }", ("async", "R")),
        ("fn f() -> impl Future<Output = R> + Send { async {} }", ("lazy", "R")),
        ("fn f() -> impl Send + p::Future<Output = R> { async { a }.b() }", ("eager", "R")),
        ("fn f() -> impl Future<Item = A, Error = E> { async {} }", ("sync", "_")),
        ("fn f() -> impl Future { async {} }", ("sync", "_")),
        ("fn f() -> Pin<Box<dyn Future<Output = R>>> { Box::pin(async {}) }", ("lazy", "R")),
        (
            "fn f() -> (Pin<(Box<(dyn Future<Output = R>)>)>) { b::Box::pin(async {},) }",
            ("lazy", "R"),
        ),
        (
            "fn f() -> Pin<Box<dyn Future<Output = R>>> { Box::pin(async {}, a) }",
            ("eager box", "R"),
        ),
        ("fn f() -> Pin<Box<dyn Future<Output = R>>> { Box::new(async {}) }", ("eager box", "R")),
        ("fn f() -> Pin<Box<dyn Future<Output = R>>> { Rc::pin(async {}) }", ("eager box", "R")),
        ("fn f() -> Pin<Box<dyn Future<Output = R>>> { pin(async {}) }", ("eager box", "R")),
        (
            "fn f() -> Pin<Rc<dyn Future<Output = R>>> { a }",
            ("sync", "Pin<Rc<dynFuture<Output=R>>>"),
        ),
    ] {
        let (shape, output) = shape(text);
        assert_eq!((shape, &*output), expected, "{text}");
    }
}

#[test]
fn what_has_no_name_is_left_out_of_the_output() {
    for (written, expected) in [
        ("Result<impl A<B, C<D>> + 'a, E>", "Result<_,E>"),
        ("(impl Fn(A) -> B<C> + use<>, [impl D; 1])", "(_,[_;1])"),
        ("A<B<impl FnOnce() -> C>, D>", "A<B<_>,D>"),
        ("impl A", "_"),
        ("!", "_"),
    ] {
        let output = Output::of_type(&syn::parse_str(written).unwrap());
        assert_eq!(squeezed(&output.ty), expected, "{written}");
        assert_eq!(output.never, written == "!");
    }
}

/// What is said to go wrong with `#[circuit_breaker("n", ..)]` on that function.
fn mistakes(args: &str, item: &str) -> Vec<String> {
    let mut errors = Errors::default();
    let args = Args::parse(format!(r#""n", {args}"#).parse().unwrap(), &mut errors);
    guarded(&args, function(item), &mut errors);
    errors.messages()
}

#[test]
fn arguments_that_do_not_go_with_the_function_are_refused() {
    let lazy = "fn f(a: A) -> impl Future<Output = R> { async { a } }";
    let eager = "fn f(a: A) -> impl Future<Output = R> { g(a) }";
    let eager_without = "fn f() -> impl Future<Output = R> { g() }";
    let never = "fn f() -> ! { g() }";
    for (args, item, expected) in [
        ("on_cancel = neutral", "fn f() -> R { g() }", "only a future can be cancelled"),
        ("fallback = g", eager, "the arguments are gone when the fallback is called"),
        ("exclude(E)", never, "there is never a value to judge"),
        ("ignore = is_gone", never, "there is never a value to judge"),
        ("failure_if(Ok(0))", never, "there is never a value to judge"),
    ] {
        let mistakes = mistakes(args, item);
        assert_eq!(mistakes.len(), 1, "{args} {item}");
        assert!(mistakes[0].starts_with(expected), "{args} {item}: {mistakes:?}");
    }
    for (args, item) in [
        ("on_cancel = neutral", lazy),
        ("fallback = g", lazy),
        ("fallback = g()", eager),
        ("fallback = g", eager_without),
        ("fallback = g", never),
    ] {
        assert_eq!(mistakes(args, item), [""; 0], "{args} {item}");
    }
}

#[test]
fn a_lazy_future_takes_what_its_decision_evaluates() {
    for (args, capture, expected) in [
        (r#""n", exclude(E)"#, "", "async{"),
        (r#""n""#, "move", "asyncmove{"),
        ("name = a", "", "asyncmove{"),
        (r#""n", factory = a"#, "", "asyncmove{"),
        (r#""n", fallback = a"#, "", "asyncmove{"),
    ] {
        let item = format!("fn f() -> impl Future<Output = R> {{ async {capture} {{ a }} }}");
        let expansion = squeezed(&expand(args.parse().unwrap(), item.parse().unwrap()));
        let (_, body) = expansion.split_once("->implFuture<Output=R>{").unwrap();
        assert!(body.starts_with(expected), "{args} {body}");
        let (_, inner) = body.split_once("&mutpermit,").unwrap();
        assert!(inner.starts_with(&format!("async{capture}{{")), "{args} {inner}");
    }
}

#[test]
fn the_look_up_of_an_eager_future_comes_before_its_body() {
    let early = |args: &str| {
        let item = quote! { fn f(a: A) -> impl Future<Output = R> { g(a) } };
        let expansion = squeezed(&expand(args.parse().unwrap(), item));
        let (early, rest) = expansion.split_once("letfuture=").unwrap();
        let (_, early) = early.split_once("->implFuture<Output=R>{").unwrap();
        let (_, late) = rest.split_once("letbreaker=").unwrap();
        (early.replace("::purgatory::__private::", ""), late.to_owned())
    };
    assert_eq!(early(r#""n""#).0, "");
    let (name, late) = early("name = a.name");
    let expected = "letname=std::string::String::from(core::convert::AsRef::<core::primitive::str>::as_ref(&(a.name)));";
    assert_eq!(name, expected);
    assert!(late.contains("named(&(name),"), "{late}");
    let (breaker, late) = early("name = a.name, factory = a.factory");
    assert!(breaker.ends_with("from(&(a.factory),&(a.name),__PURGATORY_CONFIG)};"), "{breaker}");
    assert!(late.starts_with("breaker;"), "{late}");
}
