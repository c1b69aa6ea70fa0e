//! Records and updates of all sorts: what the library writes, what it might meet, and what nobody should.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::circuit::{Circuit, Lease, Phase, Probes, Run};
use crate::clock::Timestamp;
use crate::config::{Config, Settings};
use crate::record::{Record, Ring, UpdateId};
use crate::update::Update;

/// `SplitMix64`: small, and the same everywhere.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// Small more often than not, and the largest there is now and then.
    fn count(&mut self) -> u32 {
        match self.below(100) {
            0 => u32::MAX - self.below(3) as u32,
            1 => self.next() as u32,
            2..6 => 999_999_998 + self.below(3) as u32,
            _ => self.below(6) as u32,
        }
    }

    fn time(&mut self) -> Duration {
        match self.below(40) {
            0 => Config::MAX_TTL - Duration::from_nanos(self.below(3_000)),
            1..5 => Duration::from_nanos(1 + self.below(3_000)),
            _ => Duration::from_micros(1 + self.below(60_000_000)),
        }
    }

    fn timestamp(&mut self) -> Timestamp {
        let micros = match self.below(10) {
            0 => u64::MAX >> self.below(64),
            _ => 1_700_000_000_000_000 + self.below(100_000_000_000_000),
        };
        Timestamp::from_origin(Duration::from_micros(micros))
    }

    fn settings(&mut self) -> Settings {
        Settings {
            threshold: self.count().max(1),
            ttl: self.time(),
            half_open_probes: self.one_of(&[1, 1, 1, 1, 1, 1, 2, 7, 99, 500, 999, 1_000]),
            success_threshold: self.count().max(1),
            probe_lease: self.time(),
        }
    }

    /// One more still is a generation: larger ones are found in spoilt records only.
    fn generation(&mut self) -> u64 {
        match self.below(16) {
            0 => self.next() >> (3 + self.below(61)),
            1 => 999_999_999_999_998 + self.below(3),
            _ => self.below(5),
        }
    }

    fn writer(&mut self) -> u64 {
        match self.below(4) {
            0 => self.next() >> self.below(64),
            _ => self.below(24),
        }
    }

    fn sequence(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX - self.below(3),
            _ => self.below(20),
        }
    }

    fn phase(&mut self) -> Phase {
        match self.below(16) {
            0 => Phase::Open { until: self.timestamp() },
            1 => {
                let lease = |_| Lease { id: NonZeroU32::MIN, end: Timestamp::MAX };
                let out = (0..self.below(3)).map(lease).collect();
                Phase::HalfOpen(Probes::restored(out, self.count()))
            }
            _ => Phase::Closed { failures: self.count() },
        }
    }

    pub(super) fn circuit(&mut self) -> Circuit {
        let (settings, generation) = (self.settings(), self.generation());
        let (since, phase) = (self.timestamp(), self.phase());
        // `until` is after `since`, and not longer than may be.
        let phase = match phase {
            Phase::Open { .. } => Phase::Open { until: since.saturating_add(settings.ttl) },
            other => other,
        };
        Circuit::restored(settings, generation, since, phase)
    }

    pub(super) fn record(&mut self) -> Record {
        let mut ring = Ring::default();
        for _ in 0..self.below(20) {
            ring.push(UpdateId { writer: self.writer(), sequence: self.sequence() });
        }
        Record { circuit: self.circuit(), ring }
    }

    /// An update with a run, mostly one that concerns the record.
    pub(super) fn update(&mut self, record: Option<&Record>) -> Update {
        let generation = match record {
            Some(record) if self.percent(85) => record.circuit.generation(),
            _ => self.generation(),
        };
        let mut own = Circuit::restored(
            self.settings(),
            generation,
            self.timestamp(),
            Phase::Closed { failures: 0 },
        );
        if self.percent(5) {
            own = self.circuit();
        }
        let mut run = Run { head: self.count(), ..Run::default() };
        if self.percent(30) {
            run.head = 0;
        }
        if self.percent(40) {
            (run.reset, run.tail) = (true, self.count());
        }
        run.total = u64::from(run.head) + u64::from(run.tail);
        if self.percent(20) {
            run.total += self.below(3);
        }
        let id = UpdateId { writer: self.writer(), sequence: self.sequence() };
        Update { id, generation, run, decision: None, outcomes: Vec::new(), ask: None, own }
    }

    /// The record as it might be found: mostly as it was written, or else with some of it spoilt.
    pub(super) fn spoilt(&mut self, line: String) -> Vec<u8> {
        if self.percent(88) {
            return line.into_bytes();
        }
        // A number more likely than a letter of the end.
        let mut line = if self.percent(60) { self.with_another_number(&line) } else { line };
        if self.percent(20) {
            let format = self.one_of(&["2", "01", "17", "x", "", "123456789012345678901"]);
            line.replace_range(..1, format);
        }
        let mut bytes = line.into_bytes();
        match self.below(10) {
            0 => bytes.truncate(self.below(bytes.len() as u64) as usize),
            1 => bytes.extend(self.one_of(&[" ", " 1", "\n", ",1:1", "\0", "é"]).bytes()),
            2 => bytes.push(b'\xFF'),
            3..6 if !bytes.is_empty() => {
                let at = self.below(bytes.len() as u64) as usize;
                let byte = self.one_of(b"0019:,- COHafAFx%\xFF");
                match self.below(3) {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            _ => {}
        }
        bytes
    }

    /// One of the parts replaced by something at a limit.
    fn with_another_number(&mut self, line: &str) -> String {
        let is_part = |c: char| !matches!(c, ' ' | ':' | ',');
        let starts: Vec<_> = line
            .char_indices()
            .filter(|&(at, c)| is_part(c) && (at == 0 || !line[..at].ends_with(is_part)))
            .map(|(at, _)| at)
            .collect();
        // The first ones are more interesting than the many of the ring.
        let among = self.one_of(&[starts.len().min(12), starts.len()]) as u64;
        let start = starts[self.below(among) as usize];
        let end = line[start..].find([' ', ':', ',']).map_or(line.len(), |end| start + end);
        let part = &line[start..end];
        let other = match self.below(3) {
            0 => format!("0{part}"),
            1 => part.to_uppercase(),
            _ => self
                .one_of(&[
                    "0",
                    "1000",
                    "1001",
                    "4294967295",
                    "4294967296",
                    "999999999999999",
                    "1000000000000000",
                    "2147483647000000",
                    "2147483647000001",
                    "4611686018427387",
                    "4611686018427388",
                    "18446744073709551615",
                    "18446744073709551616",
                    "ffffffffffffffff",
                    "10000000000000000",
                    "A",
                    "-",
                    "",
                ])
                .to_owned(),
        };
        format!("{}{other}{}", &line[..start], &line[end..])
    }

    /// The version before it: nearly always one that a storage has written.
    pub(super) fn versioned(&mut self, record: &[u8], now: u64) -> Vec<u8> {
        let version = match self.below(20) {
            0 => String::new(),
            1 => self
                .one_of(&[
                    "0 ",
                    "007 ",
                    "x ",
                    " ",
                    "9007199254740989 ",
                    "9007199254740990 ",
                    "9007199254740991 ",
                    "12345678901234567 ",
                ])
                .into(),
            2 => format!("{} ", now + 1_000_000_000),
            _ => format!("{} ", now - self.below(1_000_000_000)),
        };
        [version.as_bytes(), record].concat()
    }
}
