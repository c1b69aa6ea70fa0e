//! Processes of both languages at once, with keys that vanish and answers that get lost.

use super::super::fields::{Fields, Word};
use super::*;

/// What a process of Python saw when its call began, and goes by when the call ends.
#[derive(Clone)]
struct Call {
    fields: Fields,
    count: i64,
    begun: Timestamp,
}

/// Begins a call as the package does; `None` if it is rejected.
fn begin(server: &mut Server) -> Option<Call> {
    let closed = Fields::parse(CLOSED.as_bytes()).unwrap();
    let registered = server.record.as_deref().map(|record| Fields::parse(record).unwrap());
    let count = match registered {
        Some(_) => server.counter().parse().unwrap_or(0),
        None => 0,
    };
    let fields = registered.unwrap_or_else(|| {
        server.record = Some(CLOSED.into());
        closed
    });
    let begun = now(server);
    match fields.state {
        Word::Opened(Some(at)) if begun <= at.saturating_add(fields.limits().1) => None,
        _ => Some(Call { fields, count, begun }),
    }
}

/// Ends it: the package writes whatever else happened in between. If the record is gone it writes two of its
/// five fields, and nobody can read it any more; that part is left out here.
fn end(server: &mut Server, call: &Call, fails: bool) {
    let ended = now(server);
    let mut change = |state, counter: Option<i64>| {
        if let Some(counter) = counter {
            server.counter = Some(counter.to_string().into_bytes());
        }
        if server.record.is_some() {
            let fields = Fields { state, ..call.fields.clone() };
            server.record = Some(fields.dump("svc"));
        }
    };
    match (call.fields.state, fails) {
        (Word::Closed, false) if call.count > 0 => server.counter = Some(b"0".to_vec()),
        (Word::Closed, false) => {}
        (Word::Closed, true) => {
            let counter = server.counter().parse().unwrap_or(0) + 1_i64;
            server.counter = Some(counter.to_string().into_bytes());
            if call.count + 1 >= 3 && server.record.is_some() {
                let state = Word::Opened(Some(ended));
                server.record = Some(Fields { state, ..call.fields.clone() }.dump("svc"));
            }
        }
        (_, false) => change(Word::Closed, Some(0)),
        (_, true) => change(Word::Opened(Some(ended)), None),
    }
}

/// What both know who look at a circuit, one of them for the first time.
pub(super) fn agree(known: &Circuit, seen: &Circuit, server: &Server) {
    match (known.phase(), seen.phase()) {
        // Probes are known to one process only, and only after the ttl.
        (Phase::HalfOpen(_), Phase::Open { until }) => assert!(*until < now(server)),
        (Phase::HalfOpen(_), Phase::HalfOpen(_)) => {}
        (known, seen) => assert_eq!(known, seen),
    }
    let limits = |circuit: &Circuit| (circuit.settings().threshold, circuit.settings().ttl);
    assert_eq!(limits(known), limits(seen));
}

#[test]
fn whatever_happens_every_reader_understands_what_is_there() {
    let (mut opened, mut probed, mut lost) = (0, 0, 0);
    for run in 0..200 {
        let mut seed = next(run);
        let (mut server, mut calls) = (Server::empty(), Vec::new());
        let mut ours = [Process::new(), Process::new()];
        let mut last = [0; 2];
        for step in 0..60 {
            seed = next(seed);
            let process = &mut ours[(seed >> 8) as usize % 2];
            match seed % 16 {
                0..=2 => calls.extend(begin(&mut server)),
                3..=5 if !calls.is_empty() => {
                    let call: Call = calls.swap_remove((seed >> 16) as usize % calls.len());
                    assert!(call.begun <= now(&server));
                    end(&mut server, &call, seed & 32 == 0);
                }
                6 => server.pass(Duration::from_millis((seed >> 16) % 500)),
                7 if seed & 0x70 == 0 => server.record = None,
                7 if seed & 0x70 == 0x10 => server.counter = None,
                7 if seed & 0x70 == 0x20 => (server.record, server.counter) = (None, None),
                8 | 9 => {
                    let open = process.tell(&mut server, failures(1 + (seed >> 16) as u32 % 3));
                    opened += u32::from(open.is_some_and(|open| open.opened_at().is_some()));
                }
                10 => drop(process.tell(&mut server, success)),
                11 => drop(process.tell(&mut server, register)),
                12 | 13 => drop(process.tell(&mut server, ask(step + 1))),
                14 => {
                    let Some(stored) = process.load(&mut server).unwrap() else { continue };
                    let Phase::HalfOpen(probes) = known(&stored).circuit.phase().clone() else {
                        continue;
                    };
                    let Some(lease) = probes.out().first() else { continue };
                    let outcome = if seed & 32 == 0 { Outcome::Success } else { Outcome::Failure };
                    let settled = process.tell(&mut server, probe(lease.id.get(), outcome));
                    probed += u32::from(settled.is_some());
                }
                15 => {
                    let update = process.update(&mut server, failures(1));
                    let current = process.load(&mut server).unwrap();
                    let record = current.as_ref().map(known);
                    let Some(applied) = update.apply(record.as_ref(), now(&server)) else {
                        continue;
                    };
                    let expected = current.map_or(0, |current| current.version);
                    let bytes = applied.record.encode();
                    let request = process.layout.write("svc", expected, bytes.as_bytes()).unwrap();
                    server.run(&request);
                    lost += 1;
                }
                _ => {}
            }
            if let Some(record) = &server.record {
                assert_eq!(Fields::parse(record).unwrap().dump("svc"), *record);
            }
            for (process, last) in ours.iter().zip(&mut last) {
                let Some(stored) = process.load(&mut server).unwrap() else { continue };
                agree(&known(&stored).circuit, &Process::new().circuit(&mut server), &server);
                // Nothing is news twice.
                assert!(stored.version >= *last, "{} after {last}", stored.version);
                *last = stored.version;
            }
        }
    }
    assert!(
        opened > 200 && probed > 10 && lost > 200,
        "{opened} opened, {probed} probed, {lost} lost"
    );
}
