//! Records of others: of versions to come, and of those who write whatever they like.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use purgatory::{CircuitBreaker, Config, State};
use purgatory_tests::servers::{Engine, wait_until};

use crate::here::{Here, all_become};
use crate::record::Record;
use crate::stage::{CIRCUIT, SOON, Stage, key, millis};
use crate::with_each_engine;

with_each_engine! {
    a_newer_record_is_obeyed
    garbage_is_told_once
    what_is_no_record_is_left_alone
}

fn micros_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

fn a_newer_record_is_obeyed(engine: Engine) {
    let stage = Stage::new(engine);
    let (now, open) = (micros_now(), 2_000_000);
    let put = |value: &str| drop(stage.server.command(&["SET", &key(CIRCUIT), value]));
    let newer = format!("{now} 2 O 7 {now} {open} what comes here is not known yet");
    put(&newer);
    let written = Instant::now();
    let config = Config::new().threshold(2).ttl(millis(500));
    let here = Here::start(stage.storage(), config);
    wait_until("it to be told", SOON, || here.told.count("storage_up") == 1);
    assert_eq!((here.state(), here.told.count("record_newer")), (State::Open, 1));
    let left = here.breaker.acquire().unwrap_err().retry_after();
    let (took, open) = (written.elapsed(), Duration::from_micros(open));
    assert!(left <= open && left + took + millis(50) > open, "{left:?} left after {took:?}");
    // Nothing that happens here is written there.
    wait_until("a probe", SOON, || here.succeeds());
    assert!(written.elapsed() + millis(50) > open);
    here.breaker.reset();
    for _ in 0..5 {
        let _ = here.breaker.acquire().map(|permit| permit.failure());
    }
    // What was counted since has nowhere to go.
    assert_eq!(here.factory.flush(SOON).unwrap_err().failures, 2);
    assert_eq!(stage.stored().unwrap(), newer);

    // One that was closed after what was found here is obeyed as well, whatever is pushed.
    let now = micros_now();
    let closed = format!("{now} 3 C 8 {now} 0 or here");
    put(&closed);
    stage.server.command(&["PUBLISH", "cb:ev", &format!("{} {closed}", key(CIRCUIT))]);
    wait_until("it to be closed", SOON, || here.state() == State::Closed);
    assert!(here.succeeds());
    assert_eq!(stage.stored().unwrap(), closed);
    assert_eq!(here.told.count("record_newer"), 1, "{:?}", here.told.texts());

    // When those of that version are gone, it is shared again.
    stage.server.command(&["DEL", &key(CIRCUIT)]);
    wait_until("it to share", SOON, || here.in_sync());
    here.fail();
    here.flush();
    assert_eq!(stage.record().unwrap().failures, 1);
    assert_eq!(here.told.count("storage_down"), 0);
}

/// Values that are no record, and what they are.
fn garbage() -> Vec<(String, String)> {
    let good = "1000 1 C 3 1000 0 1 5:30000000:1:1:30000000 0 - -";
    assert_eq!(Record::parse(good).failures, 1);
    let fields: Vec<&str> = good.split(' ').collect();
    let mut all = Vec::new();
    let mut add = |what: String, value: String| all.push((what, value));
    let bad = ["", "-1", "x", "+1", "18446744073709551616", "1.5", "1:", "\u{1F4A5}", "%00"];
    for index in 0..fields.len() {
        for bad in bad {
            let mut fields = fields.clone();
            fields[index] = bad;
            // Digits alone are a format to come.
            if index != 1 || bad != "18446744073709551616" {
                add(format!("field {index} is {bad:?}"), fields.join(" "));
            }
        }
        add(format!("field {index} is missing"), {
            let mut fields = fields.clone();
            fields.remove(index);
            fields.join(" ")
        });
        add(format!("{index} fields"), fields[..index].join(" "));
    }
    let with = |index: usize, field: &str| {
        let mut fields = fields.clone();
        fields[index] = field;
        fields.join(" ")
    };
    for settings in
        ["0:1:1:1:1", "1:0:1:1:1", "1:1:0:1:1", "1:1:1001:1:1", "1:1:1:0:1", "1:1:1:1:0"]
    {
        add(format!("settings {settings}"), with(7, settings));
    }
    for settings in ["1:1:1:1", "1:1:1:1:1:1", "4294967296:1:1:1:1", "1:2147483648000000:1:1:1"] {
        add(format!("settings {settings}"), with(7, settings));
    }
    for probes in ["0:5", "1", "1:2:3", "1:2,", "4294967296:1"] {
        add(format!("probes {probes}"), with(9, probes).replacen('C', "H", 1));
    }
    for ring in ["1", "x:1", "1:x", "1:1,", "11111111111111111:1", &["1:1"; 17].join(",")] {
        add(format!("writers {ring}"), with(10, ring));
    }
    add("open for long".into(), with(5, "18446744073709551615").replacen('C', "O", 1));
    // After this there would be none.
    add("the last generation".into(), with(3, "18446744073709551615"));
    add("one more field".into(), format!("{good} -"));
    add("two spaces".into(), good.replacen(' ', "  ", 1));
    add("a line".into(), format!("{good}\n"));
    add("zeros".into(), "\0".repeat(100));
    add("huge".into(), format!("1000 {}", "1".repeat(1 << 20)));
    add("a huge list".into(), with(10, &["1:1"; 100_000].join(",")));
    add("JSON".into(), r#"{"state": "closed"}"#.into());
    all
}

/// Extreme, and still records.
fn extremes() -> Vec<(String, String)> {
    let (last, most, settings) = (u64::MAX, u32::MAX, "4294967295:1000000:1000:4294967295:1000000");
    let values = [
        format!("1000 1 C 3 {last} 0 {most} {settings} {most} - -"),
        format!("1000 1 O 3 {last} 2147483647000000 0 {settings} 0 - -"),
        format!("1000 1 O 3 0 1 0 {settings} 0 - -"),
        format!("1000 1 H 3 0 0 0 {settings} {most} {} -", ["7:9"; 1000].join(",")),
        format!("1000 1 H 3 {last} 0 0 5:1:1:4294967295:1 {most} - -"),
        format!("1000 1 H 3 0 0 0 5:1:1:1:1000000 0 1:{last} ffffffffffffffff:ffffffffffffffff"),
        format!("9007199254740989 1 C 0 0 0 0 {settings} 0 - -"),
    ];
    values.map(|value| ("extreme".to_owned(), value)).to_vec()
}

/// Each in a circuit of its own, as somebody might have left it there.
fn garbage_is_told_once(engine: Engine) {
    let stage = Stage::new(engine);
    let config = Config::new().threshold(3).ttl(millis(200)).success_threshold(2);
    let (garbage, extremes) = (garbage(), extremes());
    let values: Vec<_> = garbage.iter().chain(&extremes).enumerate().collect();
    let name = |index: usize| format!("circuit-{index}");
    let mut connection = stage.server.connect().unwrap();
    for (index, (_, value)) in &values {
        redis::cmd("SET").arg(&[&key(&name(*index)), value]).query::<()>(&mut connection).unwrap();
    }
    let here = stage.patient(config, stage.storage());
    let get =
        |&(index, _): &(usize, _)| here.factory.get_breaker_with(&name(index), config).unwrap();
    let breakers: Vec<CircuitBreaker> = values.iter().map(get).collect();
    let told = |index: usize| {
        let mine = format!("{}: stored as something that is no record", name(index));
        here.told.of("record_garbled").iter().filter(|text| **text == mine).count()
    };
    here.flush();
    wait_until("all to be read", SOON, || {
        breakers.iter().all(|breaker| breaker.snapshot().shared.unwrap().in_sync)
    });
    let (garbled, _) = values.split_at(garbage.len());
    for (index, (what, _)) in garbled {
        assert_eq!(told(*index), 1, "{what}");
        assert_eq!(breakers[*index].state(), State::Closed, "{what}");
        let snapshot = breakers[*index].snapshot();
        assert_eq!(snapshot.failures, 0, "{what}");
    }
    // On the channel too there may be anything.
    for message in ["", " ", "x", "cb:{payments}", "cb:{payments} ", "cb:{payments} 1 \u{1F4A5}"] {
        stage.server.command(&["PUBLISH", "cb:ev", message]);
    }
    for (index, (_, value)) in &values {
        let message = format!("{} 99{value}", key(&name(*index)));
        stage.server.command(&["PUBLISH", "cb:ev", &message]);
    }
    // What comes after all that on the channel has come.
    let elsewhere = stage.here(config);
    (0..3).for_each(|_| elsewhere.fail());
    all_become(State::Open, &[&here], SOON);
    for (index, (what, _)) in garbled {
        assert_eq!(told(*index), 1, "{what}");
    }
    // Every circuit works: calls are made or rejected, and nothing takes longer than it may.
    for (breaker, (index, (what, _))) in breakers.iter().zip(&values) {
        for _ in 0..3 {
            match breaker.acquire() {
                Ok(permit) => permit.failure(),
                Err(rejected) => assert!(rejected.retry_after() <= Config::MAX_TTL, "{what}"),
            }
        }
        assert!(told(*index) <= 2, "{what}");
    }
    here.flush();
    for (index, (what, _)) in garbled {
        let stored: String = stage.server.ask(&["GET", &key(&name(*index))]);
        assert_eq!(
            (Record::parse(&stored).state, breakers[*index].state()),
            ('O', State::Open),
            "{what}"
        );
        assert!(told(*index) <= 2, "{what}: {}", told(*index));
    }
    for breaker in &breakers[..garbled.len()] {
        wait_until("two probes", SOON, || {
            let _ = breaker.acquire().map(|permit| permit.success());
            breaker.state() == State::Closed
        });
    }
    assert_eq!(here.told.count("storage_down"), 0, "{:?}", here.told.of("storage_down"));
    assert_eq!(here.factory.listener_panics(), 0);
}

fn what_is_no_record_is_left_alone(engine: Engine) {
    let stage = Stage::new(engine);
    let (server, config) = (&stage.server, Config::new().threshold(2).ttl(millis(300)));
    let put: [(&str, &[&str]); 4] =
        [("LPUSH", &["x"]), ("HSET", &["x", "y"]), ("SADD", &["x"]), ("ZADD", &["1", "x"])];
    let here = stage.here(config);
    for (index, (command, values)) in put.into_iter().enumerate() {
        let name = format!("circuit-{index}");
        let place = key(&name);
        server.command(&[&[command, &place], values].concat());
        let dump = || server.ask::<Vec<u8>>(&["DUMP", &place]);
        let before = dump();
        let breaker = here.factory.get_breaker_with(&name, config).unwrap();
        let told = || {
            let refused = here.told.of("storage_refused");
            refused.into_iter().filter(|text| text.starts_with(&name)).collect::<Vec<_>>()
        };
        wait_until("it to be told", SOON, || !told().is_empty());
        // As if there were no storage.
        breaker.acquire().unwrap().failure();
        breaker.acquire().unwrap().failure();
        assert_eq!(breaker.state(), State::Open);
        wait_until("a probe", SOON, || breaker.acquire().map(|permit| permit.success()).is_ok());
        assert_eq!(breaker.state(), State::Closed);
        here.flush();
        let [refused] = &told()[..] else { panic!("{:?}", told()) };
        assert!(refused.contains("WRONGTYPE"), "{refused}");
        assert_eq!(dump(), before);
        // When it is out of the way, the circuit is shared.
        server.command(&["DEL", &place]);
        wait_until("it to be shared", SOON, || breaker.snapshot().shared.unwrap().in_sync);
        breaker.acquire().unwrap().failure();
        here.flush();
        let stored: String = server.ask(&["GET", &place]);
        assert_eq!(Record::parse(&stored).failures, 1);
        assert_eq!(told().len(), 1);
    }
    // The others did not notice, nor did the connection.
    here.fail();
    here.flush();
    assert_eq!(stage.record().unwrap().failures, 1);
    assert_eq!(here.told.count("storage_down"), 0);
}
