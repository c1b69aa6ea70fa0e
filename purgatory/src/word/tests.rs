//! What callers read survives being packed.

use super::*;

/// I7: generations are told apart in their full width.
#[test]
fn every_view_survives_the_word() {
    let times = [Timestamp::ORIGIN, Timestamp::from_nanos(1), Timestamp::MAX];
    let generations = [0, 1, 2, 3, (1 << 62) - 1];
    let refusing = times.into_iter().flat_map(|until| {
        [Reason::Open, Reason::ProbesBusy].map(|reason| View::Refusing(Refusal { reason, until }))
    });
    let closed = generations
        .into_iter()
        .flat_map(|generation| [true, false].map(|clean| View::Closed { generation, clean }));
    for view in closed.chain(refusing).chain([View::Probing]) {
        let word = Word::new(View::Probing);
        word.publish(view);
        assert_eq!(word.view(), view);
        for generation in generations {
            let clean = View::Closed { generation, clean: true };
            let failing = View::Closed { generation, clean: false };
            assert_eq!(word.is_clean(generation), view == clean);
            assert_eq!(word.closed() == Some(generation), view == clean || view == failing);
        }
        // The model of loom takes this value for "nothing", see sync.rs.
        assert_ne!(encode(view), u64::MAX);
    }
}

/// I7: the wrap. No bit of a generation that is too long gets among those that say which view it is.
#[test]
fn a_generation_beyond_62_bits_is_to_callers_the_rest_of_it() {
    for generation in [0, 1, (1 << 62) - 1] {
        for (clean, beyond) in [true, false].into_iter().flat_map(|it| [(it, 1), (it, 3)]) {
            let long = generation + (beyond << 62);
            let word = Word::new(View::Closed { generation: long, clean });
            assert_eq!(word.view(), View::Closed { generation, clean });
            assert_eq!(word.closed(), Some(generation));
            assert_eq!((word.is_clean(generation), word.is_clean(long)), (clean, clean));
        }
    }
}
