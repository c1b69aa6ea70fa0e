use std::time::Duration;

use super::super::RedisStorage;
use super::*;
use crate::storage::{Consistency, Storage};

fn storage(url: &str) -> RedisStorageBuilder {
    RedisStorage::builder(url)
}

fn local() -> RedisStorageBuilder {
    storage("redis://localhost")
}

/// Its field, and all of its text.
fn refused(builder: RedisStorageBuilder) -> (String, String) {
    let error = builder.build().unwrap_err();
    (error.field().to_owned(), error.to_string())
}

#[test]
fn a_url_has_a_form() {
    let of_that_form =
        "url must be redis://[[user]:password@]host[:port][/database], or rediss://, not ";
    for (url, text) in [
        ("", format!("{of_that_form}a text of 0 bytes")),
        ("localhost:6379", format!("{of_that_form}a text of 14 bytes")),
        ("http://localhost", format!("{of_that_form}a text of 16 bytes")),
        ("redis://host:notaport", format!("{of_that_form}a text of 21 bytes")),
        ("redis://host:99999", format!("{of_that_form}a text of 18 bytes")),
        (
            "redis+unix:///run/redis.sock",
            r#"url must begin with redis:// or rediss://, not "redis+unix:""#.into(),
        ),
        ("redis:///0", r#"url must have a host, not "redis:""#.into()),
        ("redis://host/x", r#"url must have a number for a database, not "host""#.into()),
        ("redis://host/-1", r#"url must have a number for a database, not "host""#.into()),
        (
            "redis://host:1?protocol=resp3",
            r#"url must have nothing after the database, not "host:1""#.into(),
        ),
        ("redis://host#insecure", r#"url must have nothing after the database, not "host""#.into()),
    ] {
        assert_eq!(refused(storage(url)), ("url".into(), text), "{url}");
    }
}

#[test]
#[cfg(not(feature = "redis-tls"))]
fn tls_needs_a_feature() {
    let text = "url can be rediss:// only with the feature redis-tls, not \"host\"";
    assert_eq!(refused(storage("rediss://host")), ("url".into(), text.into()));
}

#[test]
fn every_form_of_url_is_understood() {
    let location = |text| Location::parse(text, PORT).unwrap();
    let address = |host: &str, port| Address { host: host.into(), port };
    let full = location("redis://us%20er:p%40ss%2F@redis.internal:7000/3");
    assert_eq!(full.address, address("redis.internal", 7000));
    assert_eq!(full.database, 3);
    assert_eq!(full.login.user.as_deref(), Some("us er"));
    assert_eq!(full.login.password, Some(Secret("p@ss/".into())));
    assert_eq!(location("redis://host").address, address("host", 6379));
    assert_eq!(location("valkey://host/").address, address("host", 6379));
    assert_eq!(location("redis://[::1]:7000").address, address("::1", 7000));
    assert_eq!(location("redis://[::1]:7000").address.to_string(), "[::1]:7000");
    let nobody = location("redis://:@host").login;
    assert_eq!(nobody, Login::default());
    assert_eq!(location("redis://:geheim@host").login.user, None);
}

#[test]
fn each_setting_has_its_rule() {
    let zero = Duration::ZERO;
    let long = Duration::from_secs(24 * 3600 + 1);
    let time = " must be more than zero and at most a day, not ";
    for (builder, field, rest) in [
        (local().prefix(""), "prefix", " must be 1 to 64 of A-Z, a-z, 0-9 and _.:/-, not \"\""),
        (
            local().prefix("a b"),
            "prefix",
            " must be 1 to 64 of A-Z, a-z, 0-9 and _.:/-, not \"a b\"",
        ),
        (
            local().prefix("a{b"),
            "prefix",
            " must be 1 to 64 of A-Z, a-z, 0-9 and _.:/-, not \"a{b\"",
        ),
        (local().prefix("é"), "prefix", " must be 1 to 64 of A-Z, a-z, 0-9 and _.:/-, not \"é\""),
        (
            local().scope(""),
            "scope",
            " must be 1 to 255 bytes without control characters, not \"\"",
        ),
        (
            local().scope("a\n"),
            "scope",
            " must be 1 to 255 bytes without control characters, not \"a\\n\"",
        ),
        (local().sentinel("", ["h"]), "sentinel", " must have the name of a master, not \"\""),
        (
            local().sentinel_login("", "geheim"),
            "sentinel_login",
            " must come with sentinel, not alone",
        ),
        (local().user("me"), "password", " must be given where a user is, not none"),
        (storage("redis://me@host"), "password", " must be given where a user is, not none"),
        (local().operation_timeout(zero), "operation_timeout", &format!("{time}0ns")),
        (local().operation_timeout(long), "operation_timeout", &format!("{time}86401s")),
        (local().heartbeat(zero), "heartbeat", &format!("{time}0ns")),
        (local().heartbeat(long), "heartbeat", &format!("{time}86401s")),
        (local().max_backoff(zero), "max_backoff", &format!("{time}0ns")),
        (local().max_backoff(long), "max_backoff", &format!("{time}86401s")),
        (local().probe_wait(zero), "probe_wait", &format!("{time}0ns")),
        (local().probe_wait(long), "probe_wait", &format!("{time}86401s")),
        (local().poll(zero), "poll", &format!("{time}0ns")),
        (local().poll(long), "poll", &format!("{time}86401s")),
        (local().expiry(zero), "expiry", " must be more than zero and at most 366 days, not 0ns"),
        (
            local().expiry(Duration::MAX),
            "expiry",
            " must be more than zero and at most 366 days, not 18446744073709551615.999999999s",
        ),
    ] {
        assert_eq!(refused(builder), (field.into(), format!("{field}{rest}")));
    }
    let longest = "x".repeat(65);
    assert_eq!(refused(local().prefix(longest)).0, "prefix");
    local().prefix("x".repeat(64)).scope("é/ß").build().unwrap();
}

#[test]
fn nodes_are_hosts_and_ports() {
    for node in ["", "h:x", "h/1", "redis://h", "a b", "h?x", "h#x"] {
        let (field, text) = refused(local().sentinel("main", [node]));
        assert_eq!(field, "nodes");
        assert_eq!(text, format!("nodes must be host:port, not {node:?}"));
    }
    let (_, text) = refused(local().sentinel("main", ["redis://me:geheim@host:1"]));
    assert_eq!(text, "nodes must be host:port, not \"host:1\"");
    for node in ["h", "h:1", "[::1]:1", "10.0.0.1:1"] {
        local().sentinel("main", [node]).build().unwrap();
    }
}

#[test]
fn ports_default_to_those_of_their_kind() {
    let shown = format!("{:?}", local().sentinel("main", ["other"]).build().unwrap());
    assert_eq!(shown.matches("port: 26379").count(), 2, "{shown}");
    assert!(format!("{:?}", local().build().unwrap()).contains("port: 6379"));
}

#[test]
fn options_are_those_of_the_builder() {
    assert_eq!(local().build().unwrap().options(), StorageOptions::new());
    let millis = Duration::from_millis;
    let built = local()
        .operation_timeout(millis(1))
        .max_backoff(millis(2))
        .probe_wait(millis(3))
        .expiry(millis(4))
        .poll(millis(5))
        .consistency(Consistency::Strict)
        .build()
        .unwrap();
    let asked = StorageOptions::new()
        .consistency(Consistency::Strict)
        .operation_timeout(millis(1))
        .max_backoff(millis(2))
        .probe_wait(millis(3))
        .expiry(millis(4))
        .poll(millis(5));
    assert_eq!(built.options(), asked);
}

#[test]
fn the_python_layout_keeps_its_ways_whatever_else_is_asked_for() {
    let python = || local().python_layout();
    let options = |builder: RedisStorageBuilder| builder.build().unwrap().options();
    assert_eq!(options(python()).consistency, Consistency::Strict);
    assert_eq!(options(python().poll(Duration::from_secs(2))).consistency, Consistency::Strict);
    let mirror = options(python().consistency(Consistency::Mirror));
    assert_eq!((mirror.consistency, mirror.registers), (Consistency::Mirror, true));
}

#[test]
fn no_password_is_shown_by_anything() {
    let urls = [
        "redis://me:geheim@host:1/0",
        "redis://:geheim@host:1",
        "redis://me:gehe#imgeheim@host:1",
        "redis://me:1/geheim@host:1",
        "redis://me:1?geheim@host:1",
        "redis://me:@geheim@host:1",
        "redis://me:geheim",
        "redis://:geheim",
        "redis:/me:geheim@host:1",
        "redis//me:geheim@host:1",
        "http://me:geheim@host:1",
        "me:geheim@host:1",
        "me:geheim",
    ];
    for url in urls {
        let builder = storage(url)
            .password("geheim")
            .sentinel("main", ["me:geheim@host"])
            .sentinel_login("me", "geheim");
        assert!(!format!("{builder:?} {builder:#?}").contains("geheim"), "{builder:?}");
        let error = builder.build().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
        if let Ok(storage) = storage(url).password("geheim").build() {
            assert!(!format!("{storage:?}").contains("geheim"), "{storage:?}");
        }
    }
    // Forgotten colon.
    let error = storage("redis://geheim@host:1").build().unwrap_err();
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error}");
    let storage = local().sentinel("main", ["h"]).sentinel_login("me", "geheim");
    let storage = storage.user("me").password("geheim").build().unwrap();
    assert!(!format!("{storage:?} {storage:#?}").contains("geheim"), "{storage:?}");
}

#[test]
fn what_is_shown_is_host_and_port() {
    for (text, expected) in [
        ("redis://me:geheim@host:1/3", "\"host:1\""),
        ("redis://host", "\"host\""),
        ("redis://host:1/3", "\"host:1\""),
        ("me:geheim@host:1?x", "\"host:1\""),
        ("nonsense", "a text of 8 bytes"),
    ] {
        assert_eq!(shown(text), expected);
    }
}
