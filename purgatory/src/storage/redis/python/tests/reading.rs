//! What values mean that Python processes left, and others.

use super::*;
use crate::config::Config;

/// A circuit that nobody here has seen before.
fn read(record: &str, counter: Option<&str>) -> Circuit {
    Process::new().circuit(&mut server(record, counter))
}

fn wrong(record: &str, counter: Option<&str>) -> String {
    let mut server = server(record, counter);
    let process = Process::new();
    let error = process.load(&mut server).unwrap_err();
    let StorageError::Unusable(cause) = error else { panic!("{error}") };
    // Nothing is written over it: neither by who has seen it, nor by who thinks that there is nothing.
    let record = Record::new(Circuit::new(process.settings, now(&server))).encode();
    let request = process.layout.write("svc", 0, record.as_bytes()).unwrap();
    let answer = server.run(&request);
    assert_eq!(process.layout.take(request, answer), Err(StorageError::Unusable(cause.clone())));
    assert_eq!(server.writes, 0);
    cause
}

fn server(record: &str, counter: Option<&str>) -> Server {
    let counter = counter.map(Into::into);
    Server { record: Some(record.into()), counter, ..Server::empty() }
}

/// A record with these fields in place of the usual ones.
fn fields(fields: &[(&str, &str)]) -> String {
    let usual = [
        ("name", "\"svc\""),
        ("threshold", "3"),
        ("ttl", "0.4"),
        ("state", "\"closed\""),
        ("opened_at", "null"),
    ];
    let mut all: Vec<_> = usual
        .into_iter()
        .filter(|(name, _)| !fields.iter().any(|(other, _)| name == other))
        .collect();
    all.extend_from_slice(fields);
    let all: Vec<_> = all
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect();
    format!("{{{}}}", all.join(", "))
}

fn opened(value: &str) -> Circuit {
    read(&fields(&[("state", "\"opened\""), ("opened_at", value)]), Some("3"))
}

#[test]
fn the_samples_mean_what_they_say() {
    let closed = read(CLOSED, None);
    assert_eq!(closed.phase(), &Phase::Closed { failures: 0 });
    let Settings { threshold, ttl, half_open_probes, success_threshold, probe_lease } =
        *closed.settings();
    assert_eq!((threshold, ttl), (3, Duration::from_millis(400)));
    // What the package does not have.
    assert_eq!((half_open_probes, success_threshold, probe_lease), (1, 1, ttl));

    let open = read(OPENED, Some("3"));
    assert_eq!(open.since(), at(START));
    assert_eq!(open.phase(), &Phase::Open { until: at(START + 400_000) });

    assert_eq!(probes(&read(HALF_OPENED, Some("3"))), Some(0));

    let int_ttl =
        r#"{"name": "int-ttl", "threshold": 5, "ttl": 30, "state": "closed", "opened_at": null}"#;
    let int_ttl = *read(int_ttl, None).settings();
    assert_eq!((int_ttl.threshold, int_ttl.ttl), (5, Duration::from_secs(30)));

    let short = r#"{"name": "\u00e9 \u2713 \"q\"", "threshold": 3, "ttl": 1e-07, "state": "closed", "opened_at": null}"#;
    assert_eq!(read(short, None).settings().ttl, Duration::from_micros(1));
}

#[test]
fn the_first_generation_is_what_it_takes_to_come_there() {
    let generations = [CLOSED, OPENED, HALF_OPENED].map(|record| read(record, None).generation());
    assert_eq!(generations, [0, 1, 2]);
}

#[test]
fn the_form_does_not_matter() {
    let usual = read(CLOSED, None);
    for record in [
        r#"{"opened_at":null,"state":"closed","ttl":0.4,"threshold":3,"name":"svc"}"#,
        "\n { \"name\" : \"svc\" ,\t\"threshold\":3,\"ttl\":0.40,\"state\":\"closed\",\"opened_at\":null}\r\n",
        r#"{"name": "é ✓ \"q\"", "threshold": 3.0, "ttl": 4e-1, "state": "closed", "opened_at": null}"#,
        r#"{"n\u0061me": "svc", "threshold": 3, "ttl": 0.4, "state": "clo\u0073ed", "opened_at": null}"#,
        r#"{"name": "svc", "threshold": 3, "ttl": 9, "ttl": 0.4, "state": "closed", "opened_at": null}"#,
        "\u{FEFF}{\"name\": \"svc\", \"threshold\": 3, \"ttl\": 0.4}",
        // No name, and nothing in it, changes what is here.
        r#"{"name": "NaN \\\" Infinity }", "threshold": 3, "ttl": 0.4, "state": "closed", "opened_at": null}"#,
        r#"{"name": [NaN, -Infinity, {"a": "\ud800"}], "threshold": 3, "ttl": 0.4}"#,
    ] {
        assert_eq!(read(record, None), usual, "{record}");
    }
}

#[test]
fn any_other_state_is_closed() {
    for state in ["", "null", "5", "[]", "{}", "\"\"", "\"Opened\"", "\"open\"", "\"half_opened\""]
    {
        let circuit = read(&fields(&[("state", state), ("opened_at", "1")]), Some("2"));
        assert_eq!(circuit.phase(), &Phase::Closed { failures: 2 }, "{state}");
    }
}

#[test]
fn opened_at_is_read_only_while_opened() {
    for state in ["\"closed\"", "\"half-opened\""] {
        for value in ["\"x\"", "[]", "1795437695.5"] {
            let record = fields(&[("state", state), ("opened_at", value)]);
            assert_ne!(read(&record, Some("2")).view().state(), crate::State::Open, "{record}");
        }
    }
}

#[test]
fn times_may_have_any_value() {
    let second = 1_000_000;
    for (value, micros) in [
        ("1795437695", START / second * second),
        ("1795437695.9672022", START),
        ("1795437695.9672026", START + 1),
        ("1.795437695967202e9", START),
        ("0", 0),
        ("true", second),
        ("-5", 0),
        ("-Infinity", 0),
    ] {
        let circuit = opened(value);
        assert_eq!(circuit.since(), at(micros), "{value}");
        assert_eq!(circuit.phase(), &Phase::Open { until: at(micros + 400_000) }, "{value}");
    }
    // To Python these never pass.
    let never = at(Timestamp::MAX.nanos() / 1_000);
    for value in ["NaN", "Infinity", "1e999", "1e20", "9999999999"] {
        let circuit = opened(value);
        assert_eq!(circuit.phase(), &Phase::Open { until: never }, "{value}");
        // As long as it would be open from now on.
        let open = never.since(circuit.since());
        assert_eq!(open.as_millis(), 400, "{value}");
    }
}

#[test]
fn opened_without_a_time_is_opened_now_at_every_look() {
    for value in ["", "null"] {
        let record = fields(&[("state", "\"opened\""), ("opened_at", value)]);
        let (mut server, mut process) = (server(&record, Some("3")), Process::new());
        let first = process.load(&mut server).unwrap().unwrap();
        server.pass(Duration::from_secs(5));
        let second = process.load(&mut server).unwrap().unwrap();
        let (before, after) = (known(&first).circuit, known(&second).circuit);
        assert_eq!((before.since(), after.since()), (at(START + 1), at(START + 5_000_002)));
        // A later record, but not a new opening.
        assert_eq!(before.generation(), after.generation());
        assert!(second.version > first.version);
        // So nobody gets to probe it.
        server.pass(Duration::from_secs(5));
        assert_eq!(process.tell(&mut server, ask(1)), None);
        assert_eq!(server.writes, 0);
    }
}

#[test]
fn opened_without_a_time_and_for_no_time_is_open_for_good() {
    let state = [("ttl", "0"), ("state", "\"opened\""), ("opened_at", "null")];
    let (mut server, mut process) = (server(&fields(&state), Some("3")), Process::new());
    let mut circuit = known(&process.load(&mut server).unwrap().unwrap()).circuit;
    server.pass(Duration::from_secs(5));
    // It would be a change that cannot be written, over and over.
    assert!(circuit.acquire(now(&server)).0.is_err());
    assert_eq!(process.tell(&mut server, ask(1)), None);
    let never = at(START + 1).saturating_add(Config::MAX_TTL);
    assert_eq!(circuit.phase(), &Phase::Open { until: never });
    assert_eq!(server.writes, 0);
}

#[test]
fn spans_may_have_any_value() {
    let ttl = |value: &str| read(&fields(&[("ttl", value)]), None).settings().ttl;
    for value in ["Infinity", "NaN", "1e999", "3e9", "99999999999999999999999"] {
        assert_eq!(ttl(value), Config::MAX_TTL, "{value}");
        let record = fields(&[("name", r#""a\" b""#), ("ttl", value)]);
        assert_eq!(read(&record, None).settings().ttl, Config::MAX_TTL);
    }
    // Passed as soon as any time has.
    for value in ["0", "0.0", "-1", "-Infinity", "1e-07", "false"] {
        assert_eq!(ttl(value), Duration::from_micros(1), "{value}");
    }
    assert_eq!(ttl("true"), Duration::from_secs(1));
}

#[test]
fn thresholds_may_have_any_value() {
    for (value, opens_at) in
        [("3", 3), ("3.0", 3), ("2.5", 3), ("0", 1), ("-2", 1), ("-Infinity", 1), ("true", 1)]
    {
        let record = fields(&[("threshold", value)]);
        for failed in 0..opens_at {
            let mut circuit = read(&record, Some(&failed.to_string()));
            let run = Run { head: 1, total: 1, ..Run::default() };
            assert_eq!(circuit.count(run, at(START)).is_some(), failed + 1 == opens_at, "{value}");
        }
    }
    for value in ["Infinity", "NaN", "1e999"] {
        assert_eq!(read(&fields(&[("threshold", value)]), None).settings().threshold, u32::MAX);
    }
}

#[test]
fn counters_are_what_int_of_python_reads() {
    for (counter, failures) in [
        ("", 0),
        ("0", 0),
        ("2", 2),
        (" 2 ", 2),
        ("\t1\n\u{B}\u{C}\r", 1),
        ("+2", 2),
        ("002", 2),
        ("1_0", 10),
        ("-1", 0),
        ("7", 7),
        ("99999999999999999999", u32::MAX - 1),
        ("-99999999999999999999", 0),
    ] {
        let circuit = read(CLOSED, Some(counter));
        assert_eq!(circuit.phase(), &Phase::Closed { failures }, "{counter:?}");
    }
    for counter in ["2.0", "x", " ", "1__0", "_1", "1_", "0x1", "--1", "+-1", "1 2", "٣", "+"] {
        assert_eq!(
            wrong(CLOSED, Some(counter)).split(": ").last(),
            Some("the counter is not an integer")
        );
    }
}

#[test]
fn at_or_above_the_threshold_the_next_failure_opens() {
    for counter in ["3", "7", "99999999999999999999"] {
        let (mut server, mut process) = (server(CLOSED, Some(counter)), Process::new());
        let circuit = process.circuit(&mut server);
        assert!(matches!(circuit.phase(), Phase::Closed { .. }));
        assert!(process.tell(&mut server, failures(1)).unwrap().opened_at().is_some());
    }
}

#[test]
fn an_empty_record_is_none() {
    for record in [None, Some(Vec::new())] {
        let mut server = Server { record, ..Server::empty() };
        assert_eq!(Process::new().load(&mut server), Ok(None));
    }
}

#[test]
fn a_count_in_the_record_stands_in_for_the_counter() {
    let record = fields(&[("failure_count", "1"), ("exclude", "[]")]);
    let failures = |counter| read(&record, counter).failures();
    assert_eq!([failures(None), failures(Some("")), failures(Some("2"))], [1, 1, 2]);
}

#[test]
fn what_the_package_cannot_read_is_unusable() {
    let json = "circuit \"svc\" in Python's layout: the record is not a JSON object: ";
    for record in [
        "x",
        " ",
        "[]",
        "5",
        "0",
        "null",
        "false",
        "\"\"",
        "{'name': 'svc'}",
        r#"{"name":"svc","threshold":3,"ttl":1}x"#,
        r#"{"name":"svc","threshold":3,"ttl":1,}"#,
        r#"{"name":"svc","threshold":3,"ttl":01}"#,
        r#"{"name":"svc","threshold":3,"ttl":.5}"#,
        r#"{"name":"svc","threshold":3,"ttl":1.}"#,
        r#"{"name":"svc","threshold":3,"ttl":+1}"#,
        r#"{"name":"svc","threshold":3,"ttl":-NaN}"#,
        r#"{"name":"svc","threshold":3,"ttl":1NaN}"#,
        r#"{"name":"svc","threshold":3,"ttl":NaN1}"#,
        r#"{"name":"svc","threshold":3,"ttl":1Infinity}"#,
        r#"{"name":"svc","threshold":3,"ttl":InfinityInfinity}"#,
        r#"{"name":"svc","threshold":3,"ttl":--Infinity}"#,
        r#"{"name":"svc","threshold":3,"ttl":infinity}"#,
        "{\"name\":\"a\u{1}b\",\"threshold\":3,\"ttl\":1}",
        "{\"name\":\"NaN",
    ] {
        assert!(wrong(record, None).starts_with(json), "{record}");
    }
    for (record, cause) in [
        ("{}", "has no \"name\""),
        (r#"{"state": "closed", "opened_at": null}"#, "has no \"name\""),
        (&fields(&[("name", "")]), "has no \"name\""),
        (&fields(&[("threshold", "")]), "has no \"threshold\""),
        (&fields(&[("ttl", "")]), "has no \"ttl\""),
        (&fields(&[("threshold", "\"3\"")]), "has a \"threshold\" that is not a number"),
        (&fields(&[("threshold", "null")]), "has a \"threshold\" that is not a number"),
        (&fields(&[("ttl", "\"1\"")]), "has a \"ttl\" that is not a number"),
        (&fields(&[("ttl", "[]")]), "has a \"ttl\" that is not a number"),
        (&fields(&[("extra", "1")]), "has a field \"extra\", which the Python package refuses"),
        (&fields(&[("Name", "1")]), "has a field \"Name\", which the Python package refuses"),
        (
            &fields(&[("state", "\"opened\""), ("opened_at", "\"1\"")]),
            "has a \"opened_at\" that is not a number",
        ),
    ] {
        let expected = format!("circuit \"svc\" in Python's layout: the record {cause}");
        assert_eq!(wrong(record, None), expected, "{record}");
    }
    let mut server = Server { record: Some(b"{\"name\":\"\xFF\"}".to_vec()), ..Server::empty() };
    let error = Process::new().load(&mut server).unwrap_err();
    assert!(error.to_string().ends_with("the record is not UTF-8"), "{error}");
}

#[test]
fn the_counter_of_another_circuit_is_no_record() {
    let layout = PythonLayout::new();
    let error = layout.load("svc::failure_count").unwrap_err();
    let cause =
        r#"circuit "svc::failure_count": in Python's layout no name can end in "::failure_count""#;
    assert_eq!(error, StorageError::Unusable(cause.to_owned()));
    let record = Record::new(Circuit::new(Settings::default(), at(START))).encode();
    assert_eq!(layout.write("svc::failure_count", 0, record.as_bytes()).unwrap_err(), error);
    assert_eq!(layout.load("é/1").unwrap().keys(), &["cbr::é/1", "cbr::é/1::failure_count"]);
}
