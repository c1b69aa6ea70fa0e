//! What is believed of another clock.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_origin(Duration::from_millis(millis))
}

/// A clock that is so far ahead, asked at `here`, with so long for the answer.
fn ask(clock: &mut OffsetClock, here: u64, round_trip: u64, ahead: u64) {
    clock.observe(at(here), at(here + round_trip), at(here + round_trip / 2 + ahead));
}

#[test]
fn there_and_back_is_the_same_time() {
    let mut clock = OffsetClock::default();
    ask(&mut clock, 5_000, 2, 1_000_000);
    let offset = clock.offset();
    assert_eq!(offset.to_store(at(7_000)), at(1_007_000));
    assert_eq!(offset.to_local(at(1_007_000)), at(7_000));
}

#[test]
fn the_fastest_answer_is_believed() {
    let mut clock = OffsetClock::default();
    // It was read at once, and the answer was long under way: half of that is the error.
    clock.observe(at(0), at(200), at(1_000_000));
    assert_eq!(clock.offset().to_store(at(0)), at(999_900));
    ask(&mut clock, 1_000, 2, 1_000_000);
    assert_eq!(clock.offset().to_store(at(0)), at(1_000_000));
    clock.observe(at(2_000), at(2_020), at(1_002_000));
    assert_eq!(clock.offset().to_store(at(0)), at(1_000_000), "a slower one changes nothing");
}

#[test]
fn what_was_believed_is_forgotten_after_a_minute() {
    let mut clock = OffsetClock::default();
    ask(&mut clock, 0, 2, 1_000_000);
    // Taken when it had arrived, as this one is.
    clock.observe(at(59_991), at(60_001), at(1_060_000));
    assert_eq!(clock.offset().to_store(at(0)), at(1_000_000));
    clock.observe(at(59_992), at(60_002), at(1_060_001));
    assert_eq!(clock.offset().to_store(at(0)), at(1_000_004));
}

#[test]
fn a_step_is_believed_the_third_time() {
    let mut clock = OffsetClock::default();
    ask(&mut clock, 0, 2, 5_000_000);
    for (asked, believed) in [(10, 5_000_000), (20, 5_000_000), (30, 1_400_000)] {
        ask(&mut clock, asked, 4, 1_400_000);
        assert_eq!(clock.offset().to_store(at(0)), at(believed));
    }
}

#[test]
fn what_two_answers_leave_open_is_no_step() {
    // Half of both round trips, and the drift.
    let open = (2 + 4) / 2 + 20;
    for (apart, believed) in [(open, 0), (open + 1, open + 1)] {
        let mut clock = OffsetClock::default();
        ask(&mut clock, 0, 2, 0);
        (1..4).for_each(|round| ask(&mut clock, round * 10, 4, apart));
        assert_eq!(clock.offset().to_store(at(0)), at(believed), "{apart} ms apart");
    }
}

#[test]
fn of_answers_that_took_the_same_time_the_last_is_believed() {
    let mut clock = OffsetClock::default();
    ask(&mut clock, 0, 2, 1_000_000);
    ask(&mut clock, 1_000, 2, 1_000_004);
    assert_eq!(clock.offset().to_store(at(0)), at(1_000_004));
}

#[test]
fn strangers_are_counted_in_a_row() {
    let mut clock = OffsetClock::default();
    for round in 0..10 {
        ask(&mut clock, round * 10, 2, 5_000_000);
        ask(&mut clock, round * 10 + 5, 2, 1_400_000);
    }
    assert_eq!(clock.offset().to_store(at(0)), at(5_000_000));
}

#[test]
fn no_time_is_before_the_beginning_or_after_the_end() {
    let ends = [Timestamp::ORIGIN, at(1), Timestamp::from_origin(HOUR), Timestamp::MAX];
    for here in ends {
        for there in ends {
            let offset = Offset::between(here, there);
            for time in ends {
                assert!(offset.to_store(time) <= Timestamp::MAX);
                assert!(offset.to_local(time) <= Timestamp::MAX);
            }
            let mut clock = OffsetClock::default();
            clock.observe(here, there, here);
            clock.observe(there, here, there);
            assert!(clock.offset().to_store(here) <= Timestamp::MAX);
        }
    }
}
