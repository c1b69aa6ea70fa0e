//! A history written down.

use std::time::Duration;

use purgatory::{Config, Timestamp};

use crate::pair::{End, Op, Pair};

/// Plays a history to the library and to the model.
///
/// It begins with a digit each for the threshold, the ttl, the places of probes, the successes that it takes,
/// the lease, and whether somebody listens. Then come letters, some with a number behind them; other bytes
/// mean nothing.
///
/// | | |
/// | --- | --- |
/// | `a` | a call asks for leave |
/// | `s0 f0 S0 F0 i0 d0 p0 x0` | the call 0 of those that are out: succeeds, fails, has a result (twice), is ignored, dropped, panics, is forgotten |
/// | `r` | a reset |
/// | `+1 -1 ^ _` | the clock goes on, back, to its end, to its origin |
pub(crate) fn check(bytes: &[u8]) {
    let Some((settings, history)) = bytes.split_first_chunk() else { return };
    let [threshold, ttl, places, successes, lease, listening] = settings.map(number);
    let nanos = |number| Duration::from_nanos(number);
    let config = Config::new()
        .threshold(threshold.max(1) as u32)
        .ttl(nanos(ttl.max(1)))
        .half_open_probes(places.max(1) as u32)
        .success_threshold(successes.max(1) as u32);
    let config = if lease == 0 { config } else { config.probe_lease(nanos(lease)) };
    let mut pair = Pair::new(config, listening % 2 == 1);
    let mut bytes = history.iter().copied();
    while let Some(letter) = bytes.next() {
        let mut next = || bytes.next().map_or(0, number);
        let mut end = |end| Op::End(next() as usize, end);
        let op = match letter {
            b'a' => Op::Acquire,
            b's' => end(End::Success),
            b'f' => end(End::Failure),
            b'S' => end(End::Settle(true)),
            b'F' => end(End::Settle(false)),
            b'i' => end(End::Ignore),
            b'd' => end(End::Drop),
            b'p' => end(End::Panic),
            b'x' => end(End::Forget),
            b'r' => Op::Reset,
            b'+' => Op::Forward(next()),
            b'-' => Op::Back(next()),
            b'^' => Op::To(Timestamp::MAX),
            b'_' => Op::To(Timestamp::ORIGIN),
            _ => continue,
        };
        if let Err(difference) = pair.apply(&op) {
            panic!("after {op:?}: {difference}");
        }
    }
}

/// A digit is itself, and other bytes are other numbers.
fn number(byte: u8) -> u64 {
    byte.wrapping_sub(b'0').into()
}

#[test]
fn seeds_are_the_same_to_both() {
    crate::seeds::replay("ops", check);
}
