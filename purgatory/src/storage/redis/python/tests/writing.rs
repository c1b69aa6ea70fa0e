//! What is left for Python processes.

use std::iter;

use super::super::fields::{Fields, Word};
use super::super::number::Number;
use super::*;

const NAME: &str = "svc";

#[test]
fn records_are_written_as_json_dumps_does() {
    // Made with Python 3.11; the name is in hexadecimal, times are in microseconds.
    for line in include_str!("dumps.txt").lines() {
        let parts: Vec<_> = line.splitn(6, ' ').collect();
        let [name, threshold, ttl, state, opened_at, json] = parts[..] else { panic!("{line}") };
        let byte = |i| u8::from_str_radix(&name[i..i + 2], 16).unwrap();
        let name = String::from_utf8((0..name.len()).step_by(2).map(byte).collect()).unwrap();
        let fields = Fields {
            threshold: Number::count(threshold.parse().unwrap()),
            ttl: Number::span(Duration::from_micros(ttl.parse().unwrap())),
            state: match state {
                "C" => Word::Closed,
                "O" => Word::Opened(Some(at(opened_at.parse().unwrap()))),
                _ => Word::HalfOpened,
            },
            failure_count: None,
        };
        assert_eq!(String::from_utf8(fields.dump(&name)).unwrap(), json);
        assert_eq!(Fields::parse(json.as_bytes()), Ok(fields), "{json}");
    }
}

#[test]
fn every_circuit_comes_back() {
    let mut seeds = iter::successors(Some(3), |&seed| Some(next(seed)));
    let mut below = |limit: u64| seeds.next().unwrap() % limit;
    for _ in 0..5_000 {
        let (ttl_bits, threshold_bits) = (below(40), below(31));
        let ttl = Duration::from_micros(1 + below(1 << ttl_bits));
        let settings = Settings {
            threshold: 1 + below(1 << threshold_bits) as u32,
            ttl,
            half_open_probes: 1 + below(3) as u32,
            success_threshold: 1 + below(3) as u32,
            probe_lease: Duration::from_micros(1 + below(1_000_000)),
        };
        let (generation, since) = (below(9), at(below(4_000_000_000_000_000)));
        let phase = match below(2) {
            0 => Phase::Closed { failures: below(settings.threshold.into()) as u32 },
            _ => Phase::Open { until: since.saturating_add(ttl) },
        };
        let circuit = Circuit::restored(settings, generation, since, phase);
        let (mut server, process) = (Server::empty(), Process::new());
        let bytes = Record::new(circuit.clone()).encode();
        let swap = process.write(&mut server, 0, bytes.as_bytes());
        assert!(swap.applied);
        assert_eq!(swap.stored.record.unwrap().bytes, bytes.as_bytes());
        // Again, and in another process.
        assert_eq!(process.circuit(&mut server), circuit);
        let other = Process::new().circuit(&mut server);
        let all = |circuit: &Circuit| (circuit.phase().clone(), circuit.opened_at());
        assert_eq!(all(&other), all(&circuit));
        assert_eq!((other.settings().threshold, other.settings().ttl), (settings.threshold, ttl));
    }
}

#[test]
fn a_new_circuit_is_registered_closed() {
    let (mut server, mut process) = (Server::empty(), Process::new());
    process.tell(&mut server, register);
    assert_eq!((server.record(), server.counter()), (CLOSED, "(none)"));

    let mut server = Server::empty();
    let mut process = Process::new();
    process.settings.ttl = Duration::from_secs(30);
    process.tell(&mut server, register);
    assert!(server.record().contains(r#""ttl": 30, "#), "{}", server.record());
}

#[test]
fn registering_leaves_an_old_counter_alone() {
    let mut server = Server { counter: Some(b" 2 ".to_vec()), ..Server::empty() };
    let mut process = Process::new();
    process.tell(&mut server, register);
    assert_eq!((server.record(), server.counter()), (CLOSED, " 2 "));
    assert_eq!(process.circuit(&mut server).failures(), 2);

    // A failure that comes with it is added, as `INCRBY` does.
    let mut server = Server { counter: Some(b"2".to_vec()), ..Server::empty() };
    Process::new().tell(&mut server, failures(1));
    assert_eq!((server.record(), server.counter()), (CLOSED, "3"));
}

#[test]
fn a_failure_below_the_threshold_writes_the_counter_alone() {
    // Not even a record in other words is touched.
    let record = r#"{"threshold":3,"name":"other","ttl":0.4}"#;
    let (mut server, mut process) = (Server::with(record, ""), Process::new());
    for failed in ["1", "2"] {
        process.tell(&mut server, failures(1));
        assert_eq!((server.record(), server.counter()), (record, failed));
    }
    assert_eq!(server.writes, 2);
}

#[test]
fn a_success_after_failures_sets_the_counter_to_zero() {
    let (mut server, mut process) = (Server::with(CLOSED, "2"), Process::new());
    process.tell(&mut server, success);
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
    process.tell(&mut server, |update| {
        for outcome in [Outcome::Failure, Outcome::Failure, Outcome::Success, Outcome::Failure] {
            update.run.push(outcome);
        }
    });
    assert_eq!((server.record(), server.counter()), (CLOSED, "1"));
}

#[test]
fn the_counter_holds_the_count_that_opened() {
    for (counter, failed, holds) in
        [("2", 1, "3"), ("0", 3, "3"), ("", 5, "3"), ("7", 1, "8"), ("-1", 3, "3"), (" 2 ", 1, "3")]
    {
        let (mut server, mut process) = (Server::with(CLOSED, counter), Process::new());
        // It loads twice before it knows that it opens.
        server.micros = START - 2;
        process.tell(&mut server, failures(failed));
        assert_eq!(server.record(), OPENED);
        assert_eq!(server.counter(), holds, "{counter}, {failed} failed");
    }
}

#[test]
fn the_stored_threshold_and_ttl_stay_to_the_letter() {
    for (threshold, ttl) in
        [("3.0", "0.40"), ("2.5", "Infinity"), ("-1", "1e-07"), ("true", "0"), ("3", "NaN")]
    {
        let record = format!(r#"{{"name": "svc", "threshold": {threshold}, "ttl": {ttl}}}"#);
        let (mut server, mut process) = (Server::with(&record, "2"), Process::new());
        process.tell(&mut server, failures(1));
        let kept = format!(
            r#"{{"name": "svc", "threshold": {threshold}, "ttl": {}, "state": "opened", "opened_at": "#,
            ttl.replace("NaN", "Infinity")
        );
        assert!(server.record().starts_with(&kept), "{}", server.record());
        // Whatever this process was asked for: somebody changed it by hand just now.
        let stale = process.update(&mut server, |update| {
            update.decision = Some(Decision::Reset { at: Timestamp::MAX })
        });
        let changed = server.record().replace(threshold, "99");
        server.record = Some(changed.clone().into_bytes());
        let current = process.load(&mut server).unwrap().unwrap();
        let applied = stale.apply(Some(&known(&current)), now(&server)).unwrap();
        let bytes = applied.record.encode();
        let swap = process.write(&mut server, current.version, bytes.as_bytes());
        assert!(
            swap.applied && server.record().contains(r#""threshold": 99, "#),
            "{}",
            server.record()
        );
        assert_eq!(known(&swap.stored.record.unwrap()).circuit.settings().threshold, 99);
    }
}

#[test]
fn who_owes_failures_goes_on_owing_them() {
    let (mut server, mut process) = (Server::with(CLOSED, "-2"), Process::new());
    for counter in ["-1", "0", "1", "2"] {
        process.tell(&mut server, failures(1));
        assert_eq!((server.record(), server.counter()), (CLOSED, counter));
    }
    assert!(process.tell(&mut server, failures(1)).unwrap().opened_at().is_some());
}

#[test]
fn a_reset_closes_and_sets_the_counter_to_zero() {
    for record in [OPENED, HALF_OPENED, CLOSED] {
        let (mut server, mut process) = (Server::with(record, "3"), Process::new());
        let before = process.circuit(&mut server).generation();
        let reset = process.tell(&mut server, |update| {
            update.decision = Some(Decision::Reset { at: Timestamp::MAX });
        });
        assert_eq!(reset.unwrap().generation(), before + 1);
        assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
    }
}

#[test]
fn the_script_keeps_absent_and_empty_apart() {
    let layout = PythonLayout::new();
    let request = layout.load(NAME).unwrap();
    let answer = Answer::from((0, START, b"+".to_vec(), b"-".to_vec()));
    layout.take(request, answer).unwrap();
    let record = Record::new(Circuit::new(Settings::default(), at(START))).encode();
    let request = layout.write(NAME, 0, record.as_bytes()).unwrap();
    let written =
        br#"+{"name": "svc", "threshold": 5, "ttl": 30, "state": "closed", "opened_at": null}"#;
    assert_eq!(request.args(), &[&b"+"[..], b"-", written, b"-"]);
}

#[test]
fn only_records_are_written() {
    let layout = PythonLayout::new();
    for bytes in [&b""[..], b"contract", b"2 C 0 0 0"] {
        assert!(matches!(layout.write(NAME, 0, bytes), Err(StorageError::Refused(_))));
    }
}

#[test]
fn the_options_are_those_of_the_package() {
    use crate::storage::{Consistency, StorageOptions};
    let options = super::super::options(StorageOptions::new().poll(Duration::from_secs(9)));
    assert_eq!(options.consistency, Consistency::Strict);
    assert!(options.registers);
    assert_eq!(options.poll, Duration::from_secs(9));
}
