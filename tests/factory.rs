//! The factory: settings, names, the registry.

use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use purgatory::{
    CircuitBreakerFactory, Config, ConfigError, ManualClock, Name, Permit, RemoveError, Settings,
    State, SystemClock,
};
use purgatory_tests::{World, trip};

const NANO: Duration = Duration::from_nanos(1);

/// Tries a config everywhere a config can be given. Either all take it, or all refuse it alike.
fn give(config: Config) -> Result<Settings, ConfigError> {
    let factory = CircuitBreakerFactory::new();
    let new = factory.get_breaker_with("new", config);
    factory.get_breaker("registered").unwrap();
    let registered = factory.get_breaker_with("registered", config);
    let defaults = CircuitBreakerFactory::builder().defaults(config).build();
    let circuit = CircuitBreakerFactory::builder().circuit("payments", config).build();

    let settings = new.map(|breaker| breaker.settings());
    let said = |error: &ConfigError| {
        (error.field().to_owned(), error.value().to_owned(), error.rule().to_owned())
    };
    let expected = settings.as_ref().err().map(said);
    assert_eq!(registered.as_ref().err().map(said), expected);
    assert_eq!(defaults.as_ref().err().map(said), expected);
    assert_eq!(circuit.as_ref().err().map(said), expected);
    // Only the last does not know which circuit it is for.
    let circuits = [registered.err(), circuit.err(), defaults.err()]
        .map(|error| error.and_then(|error| error.circuit().map(str::to_owned)));
    let named = |name: &str| expected.is_some().then(|| name.to_owned());
    assert_eq!(circuits, [named("registered"), named("payments"), None]);
    settings
}

#[test]
fn what_nobody_asks_for_is_the_default() {
    let settings = give(Config::new()).unwrap();
    assert_eq!((settings.threshold, settings.ttl), (5, Duration::from_secs(30)));
    assert_eq!((settings.half_open_probes, settings.success_threshold), (1, 1));
    assert_eq!(settings.probe_lease, settings.ttl);
    assert_eq!(settings, Settings::default());

    let settings = give(Config::new().ttl(Duration::from_secs(7))).unwrap();
    assert_eq!(settings.probe_lease, settings.ttl);
}

#[test]
fn every_setting_is_taken_up_to_its_bounds() {
    let config = Config::new();
    for numbers in [1, 2, Config::MAX_PROBES] {
        assert_eq!(give(config.threshold(numbers)).unwrap().threshold, numbers);
        assert_eq!(give(config.half_open_probes(numbers)).unwrap().half_open_probes, numbers);
        assert_eq!(give(config.success_threshold(numbers)).unwrap().success_threshold, numbers);
    }
    assert_eq!(give(config.threshold(u32::MAX)).unwrap().threshold, u32::MAX);
    assert_eq!(give(config.success_threshold(u32::MAX)).unwrap().success_threshold, u32::MAX);
    for time in [NANO, Duration::from_millis(1_500), Config::MAX_TTL] {
        assert_eq!(give(config.ttl(time)).unwrap().ttl, time);
        assert_eq!(give(config.probe_lease(time)).unwrap().probe_lease, time);
    }
}

#[test]
fn a_setting_beyond_its_bounds_is_refused_with_its_field_value_and_rule() {
    let config = Config::new();
    let (zero, long) = (Duration::ZERO, Config::MAX_TTL + NANO);
    let probes = "half_open_probes must be 1 to 1000";
    let ttl = "ttl must be more than zero and at most 2147483647 seconds";
    let lease = "probe_lease must be more than zero and at most 2147483647 seconds";
    for (config, field, value, rule) in [
        (config.threshold(0), "threshold", "0", "threshold must be 1 to 4294967295"),
        (config.half_open_probes(0), "half_open_probes", "0", probes),
        (config.half_open_probes(1001), "half_open_probes", "1001", probes),
        (
            config.success_threshold(0),
            "success_threshold",
            "0",
            "success_threshold must be 1 to 4294967295",
        ),
        (config.ttl(zero), "ttl", "0ns", ttl),
        (config.ttl(long), "ttl", "2147483647.000000001s", ttl),
        (config.ttl(Duration::MAX), "ttl", "18446744073709551615.999999999s", ttl),
        (config.probe_lease(zero), "probe_lease", "0ns", lease),
        (config.probe_lease(long), "probe_lease", "2147483647.000000001s", lease),
    ] {
        let error = give(config).unwrap_err();
        assert_eq!((error.field(), error.value(), error.rule()), (field, value, rule));
        assert_eq!(error.to_string(), format!(r#"circuit "new": {rule}, not {value}"#));
    }
}

#[test]
fn a_name_of_1_to_255_bytes_without_control_characters_is_taken() {
    let factory = CircuitBreakerFactory::new();
    let long = [&"x".repeat(255), &"é".repeat(127), &"日".repeat(85)].map(|name| name.to_owned());
    for name in ["x", " ", "svc/1 (eu)", "日本", "a::b", "quote\"back\\slash", "\u{A0}"]
        .into_iter()
        .chain(long.iter().map(|name| &**name))
    {
        assert_eq!(factory.get_breaker(name).unwrap().name(), name);
        assert_eq!(Name::new(name).unwrap(), *name);
    }
}

#[test]
fn any_other_name_is_refused_with_the_rule() {
    let (length, control) =
        ("name must be 1 to 255 bytes", "name must be without control characters");
    let (ascii, wide) = ("x".repeat(256), "é".repeat(128));
    for (name, rule, value) in [
        ("", length, r#""""#.to_owned()),
        (&ascii, length, format!("{:?}... (256 bytes)", "x".repeat(60))),
        (&wide, length, format!("{:?}... (256 bytes)", "é".repeat(60))),
        ("two\nlines", control, r#""two\nlines""#.to_owned()),
        ("nul\0", control, r#""nul\0""#.to_owned()),
        ("\u{7F}", control, r#""\u{7f}""#.to_owned()),
        ("next\u{85}line", control, r#""next\u{85}line""#.to_owned()),
    ] {
        let factory = CircuitBreakerFactory::new();
        let error = factory.get_breaker(name).unwrap_err();
        assert_eq!((error.field(), error.rule(), error.value()), ("name", rule, &*value));
        assert_eq!(factory.get_breaker_with(name, Config::new()).unwrap_err(), error);
        assert_eq!(Name::new(name).unwrap_err(), error);
        let builder = CircuitBreakerFactory::builder().circuit(name, Config::new());
        assert_eq!(builder.build().unwrap_err(), error);
        assert!(factory.names().is_empty());
    }
}

#[test]
fn the_first_registration_decides_and_a_conflict_is_told() {
    let world = World::new();
    let first = Config::new().threshold(3);
    let breaker = world.breaker(first);
    for agreeing in [first, Config::new(), first.ttl(Duration::from_secs(30))] {
        world.factory.get_breaker_with("payments", agreeing).unwrap();
    }
    world.factory.get_breaker("payments").unwrap();
    assert!(world.log.lines().is_empty());

    let asked = Config::new().threshold(4);
    let in_force = breaker.settings();
    assert_eq!(world.factory.get_breaker_with("payments", asked).unwrap().settings(), in_force);
    let told = format!("config conflict: asked {asked:?}, in force {in_force:?}");
    assert_eq!(world.log.lines(), [told]);
}

#[test]
fn settings_by_name_override_the_code_which_overrides_the_defaults() {
    let builder = CircuitBreakerFactory::builder()
        .threshold(2)
        .ttl(Duration::from_secs(2))
        .defaults(Config::new().success_threshold(2))
        .circuit("payments", Config::new().threshold(4))
        .circuit("payments", Config::new().half_open_probes(4));
    let world = World::with(builder);
    let asked = Config::new().threshold(3).half_open_probes(3);

    let payments = world.breaker(asked).settings();
    assert_eq!((payments.threshold, payments.half_open_probes), (4, 4));
    let search = world.factory.get_breaker_with("search", asked).unwrap().settings();
    assert_eq!((search.threshold, search.half_open_probes), (3, 3));
    for settings in [payments, search] {
        assert_eq!((settings.ttl, settings.success_threshold), (Duration::from_secs(2), 2));
    }

    world.log.take();
    world.factory.get_breaker_with("payments", asked).unwrap();
    assert!(world.log.lines().is_empty(), "what is overridden is no conflict");
}

#[test]
fn finding_does_not_register() {
    let world = World::new();
    assert!(world.factory.find("payments").is_none());
    assert!(world.factory.names().is_empty());
    trip(&world.breaker(Config::new()));
    assert_eq!(world.factory.find("payments").unwrap().state(), State::Open);
}

#[test]
fn names_breakers_and_snapshots_come_in_the_order_of_the_names() {
    let world = World::new();
    let names = ["a", "b", "c::1", "é", "日"];
    for name in ["日", "b", "é", "a", "c::1"] {
        world.factory.get_breaker(name).unwrap();
    }
    assert_eq!(world.factory.names(), names);
    assert!(
        world.factory.breakers().map(|breaker| breaker.name().clone()).eq(world.factory.names())
    );
    let snapshots = world.factory.snapshot();
    assert!(snapshots.iter().map(|snapshot| &*snapshot.name).eq(names));
}

#[test]
fn a_snapshot_tells_all() {
    let world = World::new();
    let breaker = world.breaker(Config::new().threshold(2));
    let late = breaker.acquire().unwrap();
    world.advance(1);
    breaker.acquire().unwrap().failure();
    let [closed] = &*world.factory.snapshot() else { panic!("there is one circuit") };
    assert_eq!((closed.state, closed.failures, closed.generation), (State::Closed, 1, 0));
    assert_eq!((closed.age(), closed.opened_at()), (Duration::from_secs(1), None));

    breaker.acquire().unwrap().failure();
    breaker.acquire().unwrap_err();
    late.success();
    world.advance(2);
    let open = breaker.snapshot();
    assert_eq!((open.state, open.failures, open.generation), (State::Open, 0, 1));
    assert_eq!((open.rejected, open.late), (1, 1));
    assert_eq!((open.age(), open.opened_at()), (Duration::from_secs(2), Some(open.since)));
    assert_eq!(open.since.since_origin(), Duration::from_secs(1));
}

#[test]
fn a_reset_of_the_factory_closes_every_circuit() {
    let world = World::new();
    let breakers = ["a", "b"].map(|name| world.factory.get_breaker(name).unwrap());
    breakers.iter().for_each(trip);
    world.factory.reset();
    assert_eq!(breakers.map(|breaker| breaker.state()), [State::Closed; 2]);
}

#[test]
fn a_circuit_is_removed_when_nobody_holds_it() {
    let world = World::new();
    let remove = || world.factory.remove("payments");
    assert_eq!(remove(), Err(RemoveError::Unknown));

    let breaker = world.breaker(Config::new().threshold(1));
    assert_eq!(remove(), Err(RemoveError::InUse));
    let permit = breaker.acquire().map(Permit::into_owned).unwrap();
    drop(breaker);
    assert_eq!(remove(), Err(RemoveError::InUse), "a permit is out");
    permit.failure();
    assert_eq!(world.factory.find("payments").unwrap().state(), State::Open);

    assert_eq!(remove(), Ok(()));
    assert_eq!(remove(), Err(RemoveError::Unknown));
    world.log.take();
    assert_eq!(world.factory.get_breaker("payments").unwrap().state(), State::Closed);
    assert_eq!(world.log.take()[0].name(), "circuit_breaker_created");
}

#[test]
fn clones_are_the_same_factory() {
    let factory = CircuitBreakerFactory::new();
    factory.clone().get_breaker("payments").unwrap();
    assert_eq!(factory.names(), ["payments"]);
}

/// I14: more names than are kept for the life of the process, asked for by all threads at once.
#[test]
fn racing_threads_share_one_circuit_for_each_of_thousands_of_names() {
    const THREADS: usize = 4;
    let world = World::new();
    let names: Vec<_> =
        (0..5_000).map(|number| Name::new(&format!("circuit {number:04}")).unwrap()).collect();
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                start.wait();
                for name in &names {
                    world.factory.get_breaker(name).unwrap().acquire().unwrap().failure();
                }
            });
        }
    });
    assert_eq!(world.factory.names(), names);
    let failures = world.factory.snapshot().into_iter().map(|snapshot| snapshot.failures);
    assert!(failures.eq(names.iter().map(|_| THREADS as u32)));
    let mut created = world.log.take();
    created.retain(|event| event.name() == "circuit_breaker_created");
    assert_eq!(created.len(), names.len());
}

/// I14.
#[test]
fn whoever_holds_a_breaker_is_given_the_same_circuit_while_others_try_to_remove_it() {
    let factory = CircuitBreakerFactory::new();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let held = factory.get_breaker("payments").unwrap();
                    held.reset();
                    let generation = held.snapshot().generation;
                    let again = factory.get_breaker("payments").unwrap();
                    assert!(again.snapshot().generation >= generation, "it is a new one");
                }
            });
        }
        for _ in 0..2_000 {
            // It may be unknown, or in use.
            let _ = factory.remove("payments");
        }
    });
}

#[test]
fn the_system_clock_given_by_name_is_the_default() {
    let builder = CircuitBreakerFactory::builder();
    let default = format!("{builder:?}");
    assert_eq!(format!("{:?}", builder.clock(SystemClock)), default);
    assert_ne!(
        format!("{:?}", CircuitBreakerFactory::builder().clock(ManualClock::new())),
        default
    );
}
