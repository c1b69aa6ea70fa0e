//! What is written down can be read, and nothing else can.

#![cfg_attr(fuzzing, allow(dead_code, unused_imports))]

pub(crate) mod fuzz;

use super::*;
use crate::circuit::{Effect, Ticket};
use crate::outcome::Outcome;
use crate::word::Word;

/// `SplitMix64` (Steele, Lea and Flood, 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }

    fn micros(&mut self) -> Timestamp {
        let most = [1, 1_000, 1 << 40, 1 << 52][self.below(4) as usize];
        Timestamp::from_origin(Duration::from_micros(self.below(most)))
    }

    fn record(&mut self) -> Record {
        let config = Config::new()
            .threshold(1 + self.below(1 << 32) as u32 / 2)
            .ttl(Duration::from_micros(1 + self.below(1 << 50)))
            .half_open_probes(1 + self.below(1000) as u32)
            .success_threshold(1 + self.below(100) as u32)
            .probe_lease(Duration::from_micros(1 + self.below(1 << 50)));
        let since = self.micros();
        let open = Duration::from_micros(self.below(1 << 50));
        let leases = |dice: &mut Self| {
            let count = dice.below(5);
            let lease = |dice: &mut Self| Lease {
                id: ProbeId::MIN.saturating_add(dice.below(1 << 32) as u32),
                end: dice.micros(),
            };
            (0..count).map(|_| lease(dice)).collect::<Vec<_>>()
        };
        let phase = match self.below(3) {
            0 => Phase::Closed { failures: self.below(1 << 32) as u32 },
            1 => Phase::Open { until: since.saturating_add(open) },
            _ => Phase::HalfOpen(Probes::restored(leases(self), self.below(100) as u32)),
        };
        let generation = self.below(MAX_GENERATION);
        let circuit = Circuit::restored(config.resolve(), generation, since, phase);
        let mut record = Record::new(circuit);
        for _ in 0..self.below(20) {
            let id = UpdateId { writer: self.below(1 << 48), sequence: self.below(1 << 48) };
            record.ring.push(id);
        }
        record
    }
}

fn probe_id(id: u32) -> ProbeId {
    ProbeId::new(id).unwrap()
}

fn decode(line: &str) -> Read {
    Record::decode(line.as_bytes())
}

#[test]
fn what_is_written_is_read() {
    let mut dice = Dice(1);
    for _ in 0..20_000 {
        let record = dice.record();
        let line = record.encode();
        assert_eq!(decode(&line), Read::Known(record), "{line}");
    }
}

#[test]
fn a_field_that_is_no_field_makes_it_no_record() {
    let mut dice = Dice(2);
    let wrong = ["", "x", "-1", "+1", "1.5", " ", "99999999999999999999", "1:", ":1", "é", "\0"];
    for _ in 0..500 {
        let line = dice.record().encode();
        let fields: Vec<&str> = line.split(' ').collect();
        for at in 0..fields.len() {
            for wrong in wrong {
                let mut fields = fields.clone();
                fields[at] = wrong;
                let line = fields.join(" ");
                // Any number may be a format to come.
                let newer = at == 0 && matches!(decode(&line), Read::Newer(_));
                assert!(newer || decode(&line) == Read::Garbled, "{line}");
            }
        }
    }
}

#[test]
fn a_line_cut_short_or_with_more_is_no_record() {
    let mut dice = Dice(3);
    for _ in 0..500 {
        let line = dice.record().encode();
        for end in 0..line.rfind(' ').unwrap() {
            assert_eq!(decode(&line[..end]), Read::Garbled, "{}", &line[..end]);
        }
        for more in [" ", " 1", " -", "\n"] {
            assert_eq!(decode(&format!("{line}{more}")), Read::Garbled);
        }
    }
}

#[test]
fn what_is_longer_than_any_record_is_none() {
    let long = |len: usize| {
        let line = Dice(5).record().encode();
        let (format, rest) = line.split_at(2);
        let (state, rest) = rest.split_at(2);
        // Zeros in front of a number change nothing.
        format!("{format}{state}{}{rest}", "0".repeat(len - line.len()))
    };
    assert_eq!(decode(&long(MAX_LEN)), Read::Known(Dice(5).record()));
    assert_eq!(decode(&long(MAX_LEN + 1)), Read::Garbled);
    assert_eq!(decode(&long(MAX_LEN + 2)), Read::Garbled);
}

#[test]
fn any_bytes_are_read_as_something() {
    let mut dice = Dice(4);
    for _ in 0..20_000 {
        let mut bytes = dice.record().encode().into_bytes();
        for _ in 0..=dice.below(3) {
            let at = dice.below(bytes.len() as u64) as usize;
            bytes[at] = dice.below(256) as u8;
        }
        if let Read::Known(record) = Record::decode(&bytes) {
            // Times after the end of all time are that end, which is no whole microsecond.
            assert!(
                matches!(decode(&record.encode()), Read::Known(again) if again.ring == record.ring)
            );
        }
    }
}

#[test]
fn settings_that_nobody_may_ask_for_make_it_no_record() {
    for settings in
        ["0:1:1:1:1", "1:0:1:1:1", "1:1:0:1:1", "1:1:1001:1:1", "1:1:1:0:1", "1:1:1:1:0"]
    {
        assert_eq!(decode(&format!("1 C 0 0 0 0 {settings} 0 - -")), Read::Garbled);
    }
    assert!(matches!(decode("1 C 0 0 0 0 1:1:1:1:1 0 - -"), Read::Known(_)));
}

#[test]
fn nothing_overflows_after_the_largest_numbers() {
    let line = |state, generation| {
        format!(
            "1 {state} {generation} 0 0 4294967295 4294967295:1:1:4294967295:1 4294967295 1:1 -"
        )
    };
    assert_eq!(decode(&line('C', u64::MAX)), Read::Garbled);
    assert_eq!(decode(&line('C', MAX_GENERATION + 1)), Read::Garbled);
    for state in ['C', 'H'] {
        let Read::Known(record) = decode(&line(state, MAX_GENERATION)) else { panic!("{state}") };
        let (mut circuit, probe) = (record.circuit, Some(ProbeId::MIN));
        let ticket = Ticket { generation: MAX_GENERATION, probe };
        circuit.settle(ticket, Outcome::Success, || Timestamp::MAX);
        let (generation, now) = (circuit.generation(), Timestamp::MAX);
        circuit.settle(Ticket { generation, probe }, Outcome::Failure, || now);
    }
    let Read::Known(record) = decode(&line('C', 0)) else { panic!("it is a record") };
    let mut circuit = record.circuit;
    circuit.settle(Ticket { generation: 0, probe: None }, Outcome::Failure, || Timestamp::MAX);
}

#[test]
fn calls_count_in_the_largest_generation_and_those_after_it() {
    let settings = Config::new().threshold(1).resolve();
    let closed = Phase::Closed { failures: 0 };
    let mut circuit = Circuit::restored(settings, MAX_GENERATION, Timestamp::ORIGIN, closed);
    for _ in 0..10 {
        // The ticket that a call gets from the word.
        let generation = Word::new(circuit.view()).closed().expect("it is closed");
        let ticket = Ticket { generation, probe: None };
        let settled = circuit.settle(ticket, Outcome::Failure, || Timestamp::ORIGIN);
        assert_eq!(settled.effect, Some(Effect::Failed(1)));
        circuit.reset(Timestamp::ORIGIN);
    }
}

#[test]
fn of_a_newer_format_the_head_is_read() {
    let read = |line| match decode(line) {
        Read::Newer(circuit) => circuit,
        other => panic!("{other:?}"),
    };
    let until = Timestamp::from_origin(Duration::from_micros(1_500));
    let circuit = read("2 O 7 1000 500 what;ever");
    assert_eq!((circuit.generation(), circuit.phase()), (7, &Phase::Open { until }));
    let circuit = read("10 C 8 1000 0");
    assert_eq!((circuit.generation(), circuit.phase()), (8, &Phase::Closed { failures: 0 }));
    let until = Timestamp::from_origin(Duration::from_micros(1_000));
    assert_eq!(read("2 H 9 1000 0 more").phase(), &Phase::Open { until });
    for line in ["2", "2 X 7 1000 500", "2 O seven 1000 500", "2 O 7 1000", "v2 O 7 1000 500", ""] {
        assert_eq!(decode(line), Read::Garbled, "{line}");
    }
}

#[test]
fn the_largest_record_is_read_and_a_larger_one_is_not() {
    let lease = |n: u32| Lease { id: probe_id(u32::MAX - n), end: Timestamp::MAX };
    let probes = Probes::restored((0..1_000).map(lease).collect(), u32::MAX);
    let settings = Config::new().half_open_probes(1_000).resolve();
    let phase = Phase::HalfOpen(probes);
    let mut record =
        Record::new(Circuit::restored(settings, MAX_GENERATION, Timestamp::MAX, phase));
    for writer in 0..100 {
        record.ring.push(UpdateId { writer: u64::MAX - writer, sequence: u64::MAX });
    }
    let line = record.encode();
    assert!(matches!(decode(&line), Read::Known(_)), "{} bytes", line.len());
    assert_eq!(decode(&"1".repeat(MAX_LEN + 1)), Read::Garbled);
    assert_eq!(decode(&format!("{line} {}", " ".repeat(MAX_LEN))), Read::Garbled);
    let one_more = line.replace(" 4294967295:", " 1:1,4294967295:");
    assert_eq!(decode(&one_more), Read::Garbled, "1001 probes");
}

#[test]
fn the_ring_keeps_the_last_writers_each_once() {
    let mut ring = Ring::default();
    let id = |writer, sequence| UpdateId { writer, sequence };
    for writer in 0..17 {
        ring.push(id(writer, 5));
    }
    assert!(!ring.has(id(0, 5)), "the oldest is forgotten");
    assert!(ring.has(id(1, 5)) && ring.has(id(1, 4)) && !ring.has(id(1, 6)));
    for sequence in 6..100 {
        ring.push(id(16, sequence));
    }
    assert!(ring.has(id(1, 5)), "one writer takes one place");
    assert_eq!(ring.0.len(), RING);
}

#[test]
fn a_time_that_is_more_than_zero_stays_so() {
    assert_eq!(micros(Duration::from_nanos(1)), 1);
    assert_eq!(micros(Duration::ZERO), 0);
    assert_eq!(micros(Duration::from_nanos(1_001)), 2);
}
