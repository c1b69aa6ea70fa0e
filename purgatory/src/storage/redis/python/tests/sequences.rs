//! Several processes of both languages on one circuit, one step after another.

use super::*;

const REOPENED: &str =
    r#"{"name": "svc", "threshold": 3, "ttl": 0.4, "state": "opened", "opened_at": 1795437697.5}"#;

/// A server with an open circuit whose ttl has just passed.
fn passed() -> Server {
    let mut server = Server::with(OPENED, "3");
    server.pass(Duration::from_millis(500));
    server
}

/// A process with a probe out, which nobody else knows of.
fn probing(server: &mut Server) -> Process {
    let mut process = Process::new();
    let circuit = process.tell(server, ask(9)).unwrap();
    assert_eq!(probes(&circuit), Some(1));
    process
}

#[test]
fn a_probe_that_succeeds_closes() {
    let mut server = passed();
    let mut process = probing(&mut server);
    assert_eq!((server.record(), server.counter(), server.writes), (OPENED, "3", 0));
    // Nobody else of this process comes in, nor has to ask again.
    assert_eq!(process.tell(&mut server, ask(10)), None);
    let (before, after) = (process.load(&mut server), process.load(&mut server));
    assert_eq!(before, after);

    let closed = process.tell(&mut server, probe(9, Outcome::Success)).unwrap();
    assert_eq!(closed.phase(), &Phase::Closed { failures: 0 });
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
    assert_eq!(process.circuit(&mut server), closed);
}

#[test]
fn a_probe_that_fails_opens_anew() {
    let mut server = passed();
    let mut process = probing(&mut server);
    server.micros = 1_795_437_697_499_997;
    let open = process.tell(&mut server, probe(9, Outcome::Failure)).unwrap();
    assert_eq!(open.opened_at(), Some(at(1_795_437_697_499_999)));
    assert_eq!(server.counter(), "3");
    let record = REOPENED.replace("697.5", "697.499999");
    assert_eq!(server.record(), record);
    assert_eq!(process.circuit(&mut server), open);
}

#[test]
fn an_ignored_probe_gives_its_place_back_without_a_write() {
    let mut server = passed();
    let mut process = probing(&mut server);
    let circuit = process.tell(&mut server, probe(9, Outcome::Ignored)).unwrap();
    assert_eq!(probes(&circuit), Some(0));
    assert_eq!((server.record(), server.writes), (OPENED, 0));
    assert_eq!(probes(&process.tell(&mut server, ask(10)).unwrap()), Some(1));
}

#[test]
fn enough_successes_are_counted_without_a_write() {
    let mut server = passed();
    let mut process = Process::new();
    process.settings.success_threshold = 2;
    let ask_own = |process: &mut Process, server: &mut Server, id| {
        let success_threshold = process.settings.success_threshold;
        process.tell(server, |update| {
            let settings = Settings { success_threshold, ..*update.own.settings() };
            update.own.set_settings(settings);
            ask(id)(update);
        })
    };
    ask_own(&mut process, &mut server, 1).unwrap();
    assert_eq!(process.circuit(&mut server).settings().success_threshold, 2);
    let circuit = process.tell(&mut server, probe(1, Outcome::Success)).unwrap();
    assert_eq!((probes(&circuit), server.writes), (Some(0), 0));
    ask_own(&mut process, &mut server, 2).unwrap();
    process.tell(&mut server, probe(2, Outcome::Success)).unwrap();
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
}

#[test]
fn what_python_does_in_between_makes_a_probe_late() {
    for (record, counter) in [(CLOSED, "0"), (REOPENED, "3")] {
        for outcome in [Outcome::Success, Outcome::Failure] {
            let mut server = passed();
            let mut process = probing(&mut server);
            let before = process.circuit(&mut server);
            server.python(record, counter);
            let after = process.circuit(&mut server);
            assert_eq!(after.generation(), before.generation() + 1);
            assert_eq!(probes(&after), None);
            assert_eq!(process.tell(&mut server, probe(9, outcome)), None);
            assert_eq!((server.record(), server.counter(), server.writes), (record, counter, 0));
        }
    }
}

#[test]
fn a_probe_begins_only_if_nobody_was_faster() {
    let mut server = passed();
    let mut process = Process::new();
    let current = process.load(&mut server).unwrap().unwrap();
    let mut circuit = known(&current).circuit;
    assert!(circuit.acquire(now(&server)).0.is_ok());
    server.python(REOPENED, "3");
    let bytes = Record::new(circuit).encode();
    let swap = process.write(&mut server, current.version, bytes.as_bytes());
    assert!(!swap.applied);
    let stored = known(&swap.stored.record.unwrap()).circuit;
    assert_eq!(stored.opened_at(), Some(at(1_795_437_697_500_000)));
    // By the server's clock too, or what was opened there would begin anew.
    server.pass(Duration::from_millis(1_050));
    assert_eq!(process.tell(&mut server, ask(1)), None);
}

#[test]
fn two_at_once_get_one_place() {
    let mut server = passed();
    let process = Process::new();
    let current = process.load(&mut server).unwrap().unwrap();
    let record = |id| {
        let mut record = known(&current);
        assert!(record.circuit.acquire_as(now(&server), ProbeId::new(id)).0.is_ok());
        record.encode()
    };
    let requests = [1, 2]
        .map(|id| process.layout.write("svc", current.version, record(id).as_bytes()).unwrap());
    let answers = [server.run(&requests[0]), server.run(&requests[1])];
    let [first, second] = requests;
    assert!(process.layout.take(first, answers[0].clone()).unwrap().applied);
    let swap = process.layout.take(second, answers[1].clone()).unwrap();
    assert!(!swap.applied);
    assert!(known(&swap.stored.record.unwrap()).circuit.holds(ProbeId::MIN));
}

#[test]
fn late_failures_of_python_leave_the_probe_its_place() {
    let mut server = passed();
    let mut process = probing(&mut server);
    // A call of there that began while it was closed.
    server.python(OPENED, "4");
    assert_eq!(probes(&process.circuit(&mut server)), Some(1));
    process.tell(&mut server, probe(9, Outcome::Success)).unwrap();
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
}

#[test]
fn the_result_of_a_probe_of_python_comes_in_two_steps() {
    let mut server = passed();
    let process = probing(&mut server);
    let before = process.circuit(&mut server);
    server.python(HALF_OPENED, "3");
    assert_eq!(process.circuit(&mut server), before);
    server.python(CLOSED, "0");
    let closed = process.circuit(&mut server);
    assert_eq!(closed.phase(), &Phase::Closed { failures: 0 });
    assert_eq!(closed.generation(), before.generation() + 1);
}

#[test]
fn a_probe_of_ours_counts_while_the_record_says_half_opened() {
    let mut server = passed();
    let mut process = probing(&mut server);
    server.python(HALF_OPENED, "3");
    process.tell(&mut server, probe(9, Outcome::Success)).unwrap();
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
}

#[test]
fn half_opened_is_half_open_with_our_limit_and_not_written() {
    let (mut server, mut process) = (Server::with(HALF_OPENED, "3"), Process::new());
    process.tell(&mut server, ask(1)).unwrap();
    assert_eq!(process.tell(&mut server, ask(2)), None);
    assert_eq!((server.record(), server.writes), (HALF_OPENED, 0));
    let open = process.tell(&mut server, probe(1, Outcome::Failure)).unwrap();
    assert!(open.opened_at().is_some());
    assert!(server.record().contains("\"opened\""));
    assert_eq!(server.counter(), "3");
}

#[test]
fn generations_grow_with_every_change_of_state() {
    let (mut server, process) = (Server::with(CLOSED, "0"), Process::new());
    let reopened = |time: &str| OPENED.replace("1795437695.967202", time);
    let steps = [
        (CLOSED.to_owned(), 0),
        (CLOSED.to_owned(), 0),
        (OPENED.to_owned(), 1),
        (OPENED.to_owned(), 1),
        // Another opening: in between it was something else.
        (reopened("1795437699"), 2),
        // The same time in other digits.
        (reopened("1795437699.0"), 2),
        (HALF_OPENED.to_owned(), 3),
        (reopened("1795437699.0"), 4),
        (CLOSED.to_owned(), 5),
        (OPENED.to_owned(), 6),
        // It vanished in between.
        (String::new(), 6),
        (CLOSED.to_owned(), 7),
        (String::new(), 7),
        (CLOSED.to_owned(), 7),
    ];
    let mut version = 0;
    for (counter, (record, generation)) in steps.into_iter().enumerate() {
        server.python(&record, &counter.to_string());
        let Some(stored) = process.load(&mut server).unwrap() else { continue };
        assert_eq!(known(&stored).circuit.generation(), generation, "{record}");
        assert!(stored.version > version, "every change has a new version");
        version = stored.version;
        assert_eq!(process.load(&mut server).unwrap().unwrap().version, version);
    }
}

#[test]
fn keys_that_vanish_come_back_whole() {
    let mut server = passed();
    let mut process = probing(&mut server);
    let current = process.load(&mut server).unwrap().unwrap();
    let mut record = known(&current);
    (server.record, server.counter) = (None, None);

    let update = |record: &mut Record, server: &Server| {
        record.circuit.reset(now(server));
        record.encode()
    };
    let bytes = update(&mut record, &server);
    let swap = process.write(&mut server, current.version, bytes.as_bytes());
    assert_eq!((swap.applied, &swap.stored.record), (false, &None));
    assert_eq!((server.record(), server.counter()), ("(none)", "(none)"));

    let swap = process.write(&mut server, 0, bytes.as_bytes());
    assert!(swap.applied);
    assert!(swap.stored.record.unwrap().version > current.version);
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
    assert_eq!(process.tell(&mut server, register), None);
}

#[test]
fn an_open_circuit_that_vanished_is_written_opened() {
    let (mut server, process) = (Server::with(OPENED, "3"), Process::new());
    let bytes = process.load(&mut server).unwrap().unwrap().bytes;
    (server.record, server.counter) = (None, None);
    assert_eq!(process.load(&mut server), Ok(None));
    assert!(process.write(&mut server, 0, &bytes).applied);
    assert_eq!((server.record(), server.counter()), (OPENED, "3"));
}

#[test]
fn a_half_open_circuit_that_vanished_is_written_opened_with_its_ttl_passed() {
    let (mut server, mut process) = (passed(), Process::new());
    let half_open = process.tell(&mut server, ask(1)).unwrap();
    let bytes = Record::new(half_open.clone()).encode();
    (server.record, server.counter) = (None, None);
    assert_eq!(process.load(&mut server), Ok(None));
    let swap = process.write(&mut server, 0, bytes.as_bytes());
    assert!(swap.applied);
    let passed = half_open.since().nanos() / 1_000 - 400_000;
    let (seconds, micros) = (passed / 1_000_000, passed % 1_000_000);
    let record = OPENED.replace("1795437695.967202", &format!("{seconds}.{micros:06}"));
    assert_eq!((server.record(), server.counter()), (&*record, "3"));
    assert_eq!(known(&swap.stored.record.unwrap()).circuit, half_open);
}

#[test]
fn what_vanished_comes_back_to_the_letter() {
    let record = OPENED.replace("0.4", "Infinity").replace(" 3,", " 3.0,");
    let (mut server, process) = (Server::with(&record, "3"), Process::new());
    let bytes = process.load(&mut server).unwrap().unwrap().bytes;
    server.record = None;
    assert_eq!(process.load(&mut server), Ok(None));
    assert!(process.write(&mut server, 0, &bytes).applied);
    assert_eq!(server.record(), record);
}

#[test]
fn a_conflict_tells_what_is_there_and_writes_nothing() {
    let (mut server, mut process) = (Server::with(CLOSED, "1"), Process::new());
    let current = process.load(&mut server).unwrap().unwrap();
    server.python(CLOSED, "2");
    let mut record = known(&current);
    record.circuit.count(Run { head: 1, total: 1, ..Run::default() }, now(&server));
    let swap = process.write(&mut server, current.version, record.encode().as_bytes());
    assert!(!swap.applied);
    assert_eq!(known(&swap.stored.record.unwrap()).circuit.failures(), 2);
    assert_eq!(server.counter(), "2");
    // Both failures count.
    assert!(process.tell(&mut server, failures(1)).unwrap().opened_at().is_some());
    assert_eq!(server.counter(), "3");
}

#[test]
fn an_old_version_is_not_even_tried() {
    let (mut server, process) = (Server::with(CLOSED, "1"), Process::new());
    let current = process.load(&mut server).unwrap().unwrap();
    for expected in [0, current.version - 1, current.version + 1] {
        let request = process.layout.write("svc", expected, &current.bytes).unwrap();
        assert!(request.args().is_empty());
        let answer = server.run(&request);
        let swap = process.layout.take(request, answer).unwrap();
        assert_eq!((swap.applied, swap.stored.record.as_ref()), (false, Some(&current)));
    }
}

#[test]
fn a_lost_answer_to_a_change_of_state_is_found_out() {
    // The trip was written, and is not written again.
    let (mut server, mut process) = (Server::with(CLOSED, "2"), Process::new());
    let trip = process.update(&mut server, |update| {
        failures(1)(update);
        let (at, until) = (at(START + 50), at(START + 400_050));
        update.decision = Some(Decision::Trip { at, until, reset: None });
    });
    let current = process.load(&mut server).unwrap().unwrap();
    let applied = trip.apply(Some(&known(&current)), now(&server)).unwrap().record.encode();
    let lost = process.layout.write("svc", current.version, applied.as_bytes()).unwrap();
    server.run(&lost);
    drop(lost);
    let (record, writes) = (server.record().to_owned(), server.writes);
    assert!(record.ends_with(r#""opened", "opened_at": 1795437695.967252}"#), "{record}");
    let current = process.load(&mut server).unwrap().unwrap();
    assert_eq!(known(&current).circuit.generation(), 1);
    assert_eq!(trip.apply(Some(&known(&current)), now(&server)), None);
    assert_eq!((server.record(), server.counter(), server.writes), (&*record, "3", writes));
}

#[test]
fn a_failure_is_counted_once_if_the_answer_came() {
    let (mut server, mut process) = (Server::with(CLOSED, "0"), Process::new());
    let update = process.update(&mut server, failures(1));
    for answered in [true, false] {
        let current = process.load(&mut server).unwrap().unwrap();
        let applied = update.apply(Some(&known(&current)), now(&server));
        assert_eq!(applied.is_some(), answered);
        let Some(applied) = applied else { continue };
        let bytes = applied.record.encode();
        assert!(process.write(&mut server, current.version, bytes.as_bytes()).applied);
    }
    assert_eq!(server.counter(), "1");
    // Also if Python counts in between.
    server.python(CLOSED, "2");
    let current = process.load(&mut server).unwrap().unwrap();
    assert_eq!(update.apply(Some(&known(&current)), now(&server)), None);
}

#[test]
fn answers_that_overtake_each_other_do_not_bring_back_the_past() {
    let mut server = passed();
    let mut process = probing(&mut server);
    let early = process.layout.load("svc").unwrap();
    let early_answer = server.run(&early);
    process.tell(&mut server, probe(9, Outcome::Success)).unwrap();
    let closed = process.load(&mut server).unwrap();
    assert_eq!(process.layout.take(early, early_answer).unwrap().stored.record, closed);

    // A write whose answer comes after that of a later read.
    let current = closed.unwrap();
    let mut record = known(&current);
    record.circuit.count(Run { head: 1, total: 1, ..Run::default() }, now(&server));
    let bytes = record.encode();
    let write = process.layout.write("svc", current.version, bytes.as_bytes()).unwrap();
    let answer = server.run(&write);
    server.python(CLOSED, "2");
    assert_eq!(process.circuit(&mut server).failures(), 2);
    let swap = process.layout.take(write, answer).unwrap();
    assert!(swap.applied);
    assert_eq!(known(&swap.stored.record.unwrap()).circuit.failures(), 2);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let (mut server, process) = (Server::with(CLOSED, "1"), Process::new());
    let before = process.load(&mut server).unwrap().unwrap();
    server.micros -= 60_000_000;
    server.python(CLOSED, "2");
    let after = process.load(&mut server).unwrap().unwrap();
    assert_eq!((known(&after).circuit.failures(), after.version), (2, before.version + 1));
}

#[test]
fn two_processes_of_ours_share_all_that_python_shares() {
    let mut server = Server::empty();
    let (mut one, mut two) = (Process::new(), Process::new());
    one.tell(&mut server, register);
    one.tell(&mut server, failures(1));
    two.tell(&mut server, failures(1));
    let open = one.tell(&mut server, failures(1)).unwrap();
    assert_eq!(two.circuit(&mut server).phase(), open.phase());
    server.pass(Duration::from_millis(500));
    // Each has places of its own for probes.
    one.tell(&mut server, ask(1)).unwrap();
    two.tell(&mut server, ask(1)).unwrap();
    two.tell(&mut server, probe(1, Outcome::Success)).unwrap();
    assert_eq!(one.tell(&mut server, probe(1, Outcome::Failure)), None);
    assert_eq!((server.record(), server.counter()), (CLOSED, "0"));
}
