use proc_macro2::{Delimiter, Group};
use quote::quote;

use super::*;

fn parsed(tokens: TokenStream) -> (Args, Vec<String>) {
    let mut errors = Errors::default();
    let args = Args::parse(tokens, &mut errors);
    (args, errors.messages())
}

fn args(text: &str) -> Args {
    let (args, mistakes) = parsed(text.parse().unwrap());
    assert_eq!(mistakes, [""; 0], "{text}");
    args
}

fn mistakes(text: &str) -> Vec<String> {
    parsed(text.parse().unwrap()).1
}

/// What is wrong with `argument`, which stands behind a name.
fn mistake(argument: &str) -> String {
    let [mistake] = mistakes(&format!(r#""n", {argument}"#)).try_into().expect("one mistake");
    mistake
}

fn setting(argument: &str) -> String {
    let args = args(&format!(r#""n", {argument}"#));
    let [(setting, key)] = args.settings.try_into().ok().expect("one setting");
    match setting {
        Setting::Count(count) => format!("{key}: {count}"),
        Setting::Time(time) => format!("{key}: {time:?}"),
        Setting::Flag(flag) => format!("{key}: {flag}"),
        Setting::Const(expr) => format!("{key}: {}", expr.to_token_stream()),
    }
}

#[test]
fn the_name_is_a_literal_or_an_expression() {
    for text in [r#""n""#, r##"r#"n"#"##, r#"name = ("n")"#, r#"threshold = 5, name = "n","#] {
        assert!(
            matches!(args(text).name, Some(Name::Literal(name)) if name.value() == "n"),
            "{text}"
        );
    }
    for text in ["NAME", "crate::NAME", "format!(\"n\")", "named(a, b)", "name = &self.host"] {
        assert!(matches!(args(text).name, Some(Name::Expr(_))), "{text}");
    }
}

#[test]
fn a_literal_name_is_checked() {
    let long = "é".repeat(128);
    assert_eq!(mistakes(r#""""#), ["name must be 1 to 255 bytes, not 0"]);
    assert_eq!(mistakes(&format!("{long:?}")), ["name must be 1 to 255 bytes, not 256"]);
    assert_eq!(mistakes(r#""a\nb""#), [r"name must be without control characters, not with '\n'"]);
    assert_eq!(
        mistakes(r#""\u{85}""#),
        [r"name must be without control characters, not with '\u{85}'"]
    );
    assert_eq!(mistakes("5"), ["expected the name of the circuit, a string"]);
    assert_eq!(mistakes(r#"name = b"n""#), ["expected the name of the circuit, a string"]);
    args(&format!("{:?}", format!("n{}", &long[2..])));
}

#[test]
fn counts_are_checked() {
    assert_eq!(setting("threshold = 1"), "threshold: 1");
    assert_eq!(setting("threshold = 0xffff_ffff"), "threshold: 4294967295");
    assert_eq!(setting("success_threshold = (7_u32)"), "success_threshold: 7");
    assert_eq!(setting("half_open_probes = 1000"), "half_open_probes: 1000");
    assert_eq!(setting("threshold = LIMITS.low + 1"), "threshold: LIMITS . low + 1");
    assert_eq!(setting("threshold = !0"), "threshold: ! 0");

    assert_eq!(mistake("threshold = 0"), "threshold must be 1 to 4294967295, not 0");
    assert_eq!(
        mistake("threshold = 4294967296"),
        "threshold must be 1 to 4294967295, not 4294967296"
    );
    assert_eq!(mistake("threshold = -1"), "threshold must be 1 to 4294967295, not -1");
    assert_eq!(
        mistake("success_threshold = 0"),
        "success_threshold must be 1 to 4294967295, not 0"
    );
    assert_eq!(mistake("half_open_probes = 1001"), "half_open_probes must be 1 to 1000, not 1001");
    assert_eq!(mistake("threshold = 5u64"), "threshold must be a `u32`, not 5u64");
    for value in ["5.0", r#""5""#, "true", "'5'"] {
        let expected =
            format!("threshold must be a whole number, such as `threshold = 5`, not {value}");
        assert_eq!(mistake(&format!("threshold = {value}")), expected);
    }
}

#[test]
fn flags_are_checked() {
    assert_eq!(setting("shared = false"), "shared: false");
    assert_eq!(setting("shared = LOCAL"), "shared: LOCAL");
    for value in ["0", r#""no""#, "-1", "-true"] {
        let expected = format!("shared must be `true` or `false`, not {value}");
        assert_eq!(mistake(&format!("shared = {value}")), expected);
    }
}

#[test]
fn times_are_text_or_seconds() {
    assert_eq!(setting(r#"ttl = "1m 30s""#), "ttl: 90s");
    assert_eq!(setting("ttl = 30"), "ttl: 30s");
    assert_eq!(setting("ttl = 0.5"), "ttl: 500ms");
    assert_eq!(setting("ttl = 1e-9"), "ttl: 1ns");
    assert_eq!(setting("ttl = 2147483647"), "ttl: 2147483647s");
    assert_eq!(setting(r#"probe_lease = "250ms""#), "probe_lease: 250ms");
    assert_eq!(setting("ttl = Duration::from_secs(1)"), "ttl: Duration :: from_secs (1)");
}

#[test]
fn times_are_checked() {
    for value in
        ["0", "0.0", "-1", "-0.5", r#""0s""#, "2147483648", r#""2147483647s 1ns""#, "1e-10"]
    {
        let expected =
            format!("ttl must be more than zero and at most 2147483647 seconds, not {value}");
        assert_eq!(mistake(&format!("ttl = {value}")), expected);
    }
    for (value, why) in [
        (r#""30""#, "30 has no unit, expected one of d, h, m, s, ms, us, ns"),
        (r#""""#, "it is empty"),
        ("30s", "a number with a unit is written in quotes"),
        ("1.5f64", "a number with a unit is written in quotes"),
        ("18446744073709551616", "it is too long"),
        ("1e300", "it is too long"),
        ("true", "it is neither text nor a number"),
        (r#""30s"x"#, "text has no suffix"),
    ] {
        let rule = r#"probe_lease must be a duration, such as "30s", "1m 30s" or "250ms""#;
        assert_eq!(
            mistake(&format!("probe_lease = {value}")),
            format!("{rule}, not {value}: {why}")
        );
    }
}

#[test]
fn a_fragment_of_a_macro_is_what_is_in_it() {
    let fragment = |tokens| Group::new(Delimiter::None, tokens);
    let name = fragment(quote!("n"));
    let zero = fragment(quote!(0));
    let (args, mistakes) = parsed(quote!(#name, threshold = #zero));
    assert!(matches!(args.name, Some(Name::Literal(_))));
    assert_eq!(mistakes, ["threshold must be 1 to 4294967295, not 0"]);
}

#[test]
fn matchers_keep_their_order() {
    let args = args(
        r#""n", ignore(A, B { .. } | C if c, D), exclude = |e| e.ok(), failure_if = path::to"#,
    );
    let [(Exempt::Ignore, Matcher::Patterns(arms)), exclude] = &args.exempt[..] else {
        panic!("ignore comes first");
    };
    let (Exempt::Exclude, Matcher::Predicate(closure)) = exclude else {
        panic!("exclude comes second");
    };
    let arms: Vec<_> = arms.iter().map(|arm| arm.to_token_stream().to_string()).collect();
    assert_eq!(arms, ["A", "B { .. } | C if c", "D"]);
    assert_eq!(closure.to_token_stream().to_string(), "| e | e . ok ()");
    assert!(matches!(args.failure_if, Some(Matcher::Predicate(Expr::Path(_)))));
}

#[test]
fn a_pattern_may_begin_with_a_bar() {
    for pattern in ["| A", "| A | B if b, C", "| 1..=5 | 7", "| E::A(_) | E::B(_),", "A, | B | C"] {
        let args = args(&format!(r#""n", exclude({pattern})"#));
        let [(_, Matcher::Patterns(arms))] = &args.exempt[..] else { panic!("{pattern}") };
        let arms: Vec<_> = arms.iter().map(|arm| arm.to_token_stream().to_string()).collect();
        let expected = pattern.trim_end_matches(',').replace(' ', "");
        assert_eq!(arms.join(",").replace(' ', ""), expected);
    }
}

#[test]
fn a_matcher_says_what_it_takes() {
    assert_eq!(mistake("exclude()"), "expected a pattern, such as `exclude(Error::NotFound)`");
    assert_eq!(mistake("ignore(|e| e.ok())"), "a closure goes behind `=`: `ignore = |value| ..`");
    assert_eq!(
        mistake("ignore(move |e| e.ok())"),
        "a closure goes behind `=`: `ignore = |value| ..`"
    );
    for closure in [
        "||",
        "|_| true",
        "|_e| true",
        "|e| is_gone(e)",
        "|&e| e > 0",
        "|e: &E| e.0 == 0",
        "|e, _| 0",
    ] {
        let expected = "a closure goes behind `=`: `ignore = |value| ..`";
        assert_eq!(mistake(&format!("ignore({closure})")), expected, "{closure}");
    }
    let expected =
        "`failure_if` takes a closure or the path of a fn; a pattern goes in `failure_if(..)`";
    assert_eq!(mistake("failure_if = 500"), expected);
}

#[test]
fn the_rest_is_taken_as_it_is() {
    let args = args(
        r#""n", fallback = Ok(vec![]), factory = &FACTORY, crate = crate::api,
           on_cancel = failure"#,
    );
    assert_eq!(args.fallback.to_token_stream().to_string(), "Ok (vec ! [])");
    assert_eq!(args.factory.to_token_stream().to_string(), "& FACTORY");
    assert_eq!(args.krate.to_token_stream().to_string(), "crate :: api");
    assert!(matches!(args.on_cancel, Some((OnCancel::Failure, _))));

    let neutral = self::args(r#""n", on_cancel = neutral"#).on_cancel;
    assert!(matches!(neutral, Some((OnCancel::Neutral, _))));
    assert_eq!(mistake("on_cancel = success"), "expected `failure` or `neutral`");
    for value in [r#""purgatory""#, "<T>::purgatory", "<T as Breakers>::purgatory"] {
        let expected = "expected a path, such as `crate = ::my_crate::purgatory`";
        assert_eq!(mistake(&format!("crate = {value}")), expected);
    }
    assert_eq!(mistake("threshold(5)"), "expected `threshold = ..`");
    assert_eq!(mistake("threshold"), "expected `threshold = ..`");
}

#[test]
fn there_is_one_name_and_it_comes_first() {
    let missing = "the name is missing, expected `#[circuit_breaker(\"name\", ..)]`";
    assert_eq!(mistakes(""), [missing]);
    assert_eq!(mistakes("threshold = 5"), [missing]);
    assert_eq!(mistakes(r#""a", name = "b""#), ["`name` is given twice"]);
    let keyless = "expected `key = value`: only the name, which comes first, has no key";
    assert_eq!(mistakes(r#""a", "b""#), [keyless]);
    assert_eq!(mistakes(r#"threshold = 5, "a""#), [keyless, missing]);
}

#[test]
fn every_mistake_is_found() {
    assert_eq!(
        mistakes(
            r#""", treshold = 5, threshold = 0 5, ttl = , ttl = 5, exclude(), on_cancel = x,
               exclude(A)"#
        ),
        [
            "name must be 1 to 255 bytes, not 0",
            "there is no argument `treshold`, did you mean `threshold`?",
            "threshold must be 1 to 4294967295, not 0",
            "expected an expression",
            "`ttl` is given twice",
            "expected a pattern, such as `exclude(Error::NotFound)`",
            "expected `failure` or `neutral`",
            "`exclude` is given twice",
        ]
    );
    assert_eq!(
        mistakes(r#""n" threshold = 0, ttl = 0"#).len(),
        2,
        "a missing comma costs one argument"
    );
}
