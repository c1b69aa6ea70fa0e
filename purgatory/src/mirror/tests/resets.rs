//! What is closed by hand, and what comes right before and after it.

use super::*;

#[test]
fn a_reset_of_a_circuit_that_is_closed_is_told() {
    let mut rig = Rig::new();
    (0..2).for_each(|_| rig.fail());
    rig.serve();
    // What is on its way does not know of it.
    rig.mirror.doubt();
    let request = rig.next().unwrap();
    let late = rig.perform(request);
    rig.mirror.reset(rig.now);
    rig.answer(late);
    assert_eq!((rig.mirror.circuit().failures(), rig.stored().failures()), (0, 2));
    rig.serve();
    assert_eq!((rig.mirror.circuit().failures(), rig.stored().failures()), (0, 0));
    assert_eq!(rig.stored().generation(), 1, "what was admitted before is late");
}

#[test]
fn a_reset_takes_back_what_was_sent_and_not_answered() {
    for when in ["before it is lost", "when it is lost", "before it is repeated"] {
        let mut rig = Rig::new();
        (0..3).for_each(|_| rig.fail());
        let _lost = rig.next().unwrap();
        let reset = |rig: &mut Rig, now| {
            if when == now {
                rig.mirror.reset(rig.now);
            }
        };
        reset(&mut rig, "before it is lost");
        rig.down();
        reset(&mut rig, "when it is lost");
        let load = rig.next().unwrap();
        let stored = rig.perform(load);
        rig.answer(stored);
        reset(&mut rig, "before it is repeated");
        assert_eq!(rig.state(), 'C', "{when}");
        rig.serve();
        assert_eq!(rig.state(), 'C', "{when}");
        assert_eq!(rig.stored().state(), crate::state::State::Closed, "{when}");
        assert_eq!(rig.mirror.tally(), Tally { recorded: 0, discarded: 3 });
    }
}

#[test]
fn a_reset_right_after_a_trip_wins() {
    for repeated in [false, true] {
        let mut rig = Rig::new();
        rig.put('C', 0);
        rig.mirror.doubt();
        rig.serve();
        (0..3).for_each(|_| rig.fail());
        let mut request = rig.next().unwrap();
        if repeated {
            rig.down();
            let load = rig.next().unwrap();
            let stored = rig.perform(load);
            rig.answer(stored);
            request = rig.next().unwrap();
        }
        let stored = rig.perform(request);
        // Others have heard of the trip. The clock has not moved since.
        rig.mirror.reset(rig.now);
        rig.answer(stored);
        assert_eq!(rig.state(), 'C', "repeated: {repeated}");
        rig.serve();
        assert_eq!((rig.state(), rig.stored().generation()), ('C', 2), "repeated: {repeated}");
    }
}

#[test]
fn a_trip_right_after_a_reset_wins() {
    for (arrives, answered) in [(true, true), (true, false), (false, false)] {
        let mut rig = Rig::new();
        rig.put('C', 0);
        rig.mirror.doubt();
        rig.serve();
        rig.mirror.reset(rig.now);
        rig.fail();
        let request = rig.next().unwrap();
        // All in one call's time, and the storage takes a little longer.
        rig.fail();
        rig.fail();
        rig.wait(TTL / 10);
        let stored = arrives.then(|| rig.perform(request));
        match stored.filter(|_| answered) {
            Some(stored) => {
                rig.answer(stored);
            }
            None => rig.down(),
        }
        let case = format!("arrives: {arrives}, answered: {answered}");
        assert_eq!(rig.state(), 'O', "{case}");
        rig.serve();
        let stored = rig.stored().state();
        assert_eq!((rig.state(), stored), ('O', crate::state::State::Open), "{case}");
        assert_eq!(rig.mirror.tally(), Tally { recorded: 3, discarded: 0 }, "{case}");
    }
}

#[test]
fn a_trip_takes_a_reset_with_it_that_has_not_arrived() {
    for when in ["not sent", "sent", "sent in vain"] {
        let mut rig = Rig::new();
        rig.put('O', 1);
        rig.mirror.doubt();
        rig.serve();
        rig.wait(TTL * 9 / 10);
        rig.mirror.reset(rig.now);
        let request = (when != "not sent").then(|| rig.next().unwrap());
        (0..3).for_each(|_| rig.fail());
        let open = Phase::Open { until: rig.now.saturating_add(TTL) };
        // What is pushed meanwhile knows of neither.
        let old = rig.record.as_ref().unwrap().bytes.clone();
        let old = rig.write(&old);
        rig.push(old);
        assert_eq!(rig.mirror.circuit().phase(), &open, "{when}");
        match request {
            Some(request) if when == "sent" => {
                let stored = rig.perform(request);
                rig.answer(stored);
            }
            Some(_) => rig.down(),
            None => {}
        }
        assert_eq!(rig.mirror.circuit().phase(), &open, "{when}");
        rig.serve();
        let (here, there) = (rig.mirror.circuit().phase(), rig.stored());
        assert_eq!((here, there.phase()), (&open, &open), "{when}");
    }
}
