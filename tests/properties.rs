//! Random histories, against a plain model and against the promises one by one.

#[path = "properties/model.rs"]
mod model;
#[path = "properties/pair.rs"]
mod pair;
#[path = "properties/random.rs"]
mod random;
#[path = "properties/script.rs"]
mod script;
#[path = "../fuzz/seeds.rs"]
mod seeds;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::result::maybe_ok;
use proptest::sample::Index;
use purgatory::{Clock, Config, Error, Reason, State, Timestamp};
use purgatory_tests::{World, ready, trip};

use crate::pair::{Broken, End, Op, Out, Pair};
use crate::random::{any_op, config, end, ordinary, undecided};

/// `PROPTEST_CASES` may ask for more.
fn cases() -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    ProptestConfig { cases: default.cases.max(2000), ..default }
}

proptest! {
    #![proptest_config(cases())]

    /// I6: late outcomes change nothing but their count. I20: nor does a jump of the clock.
    #[test]
    fn a_circuit_does_what_the_model_does(
        config in config(),
        listening: bool,
        history in vec(any_op(), 0..60),
    ) {
        let mut pair = Pair::new(config, listening);
        for op in &history {
            pair.apply(op)?;
        }
    }

    /// I1, counted by hand.
    #[test]
    fn no_more_probes_are_out_than_may_be(config in config(), history in vec(ordinary(), 0..60)) {
        let mut pair = Pair::new(config, false);
        for op in history {
            if !matches!(op, Op::End(_, End::Forget)) {
                pair.apply(&op)?;
            }
            let settings = pair.breaker.settings();
            let generation = pair.breaker.snapshot().generation;
            let live = pair.out.iter().filter(|Out { permit, call, admitted }| {
                let held = pair.clock.now().since(*admitted) <= settings.probe_lease;
                permit.is_probe() && call.generation == generation && held
            });
            prop_assert!(live.count() <= settings.half_open_probes as usize);
        }
    }

    /// I9: in whatever order and way they end. Half of the histories begin half-open, and half are short, as
    /// few others end half-open.
    #[test]
    fn every_place_is_free_again_when_all_calls_have_ended(
        config in config(),
        half_open: bool,
        history in prop_oneof![vec(ordinary(), 0..60), vec(ordinary(), 0..10)],
        ends in vec((any::<usize>(), prop_oneof![end(), undecided()]), 60),
    ) {
        let mut pair = Pair::new(config, false);
        if half_open {
            let settings = pair.breaker.settings();
            for _ in 0..settings.threshold {
                pair.apply(&Op::Acquire)?;
                pair.apply(&Op::End(0, End::Failure))?;
            }
            pair.apply(&Op::Forward(settings.ttl.as_nanos() as u64 + 1))?;
        }
        for op in &history {
            pair.apply(op)?;
        }
        for (which, end) in ends {
            pair.apply(&Op::End(which, end))?;
        }
        prop_assert!(pair.out.is_empty());

        let Pair { clock, breaker, forgotten, .. } = pair;
        let settings = breaker.settings();
        // Only for places that nobody can give back is there anything to wait for.
        let wait = match breaker.state() {
            State::Closed => None,
            State::Open => Some(settings.ttl),
            State::HalfOpen => (!forgotten.is_empty()).then_some(settings.probe_lease),
        };
        if let Some(wait) = wait {
            clock.advance(wait + Duration::from_nanos(1));
        }
        let places = settings.half_open_probes;
        let permits: Vec<_> = (0..places).map(|_| breaker.acquire()).collect();
        prop_assert!(permits.iter().all(Result::is_ok), "{permits:?}");
        prop_assert_eq!(breaker.acquire().is_ok(), breaker.state() == State::Closed);
    }

    /// I8: the time at which it is still rejected is the last one.
    #[test]
    fn a_call_is_admitted_when_the_rejection_said_and_not_a_nanosecond_earlier(
        start in 0..u64::from(u32::MAX),
        ttl in 1..=Config::MAX_TTL.as_nanos() as u64,
        lease in 1..=Config::MAX_TTL.as_nanos() as u64,
        waited in any::<Index>(),
        listening: bool,
    ) {
        let (ttl, lease) = (Duration::from_nanos(ttl), Duration::from_nanos(lease));
        let Pair { clock, breaker, log, .. } =
            Pair::new(Config::new().threshold(1).ttl(ttl).probe_lease(lease), listening);
        clock.advance(Duration::from_nanos(start));
        trip(&breaker);

        let mut probes = Vec::new();
        for (reason, wait) in [(Reason::Open, ttl), (Reason::ProbesBusy, lease)] {
            clock.advance(Duration::from_nanos(waited.index(wait.as_nanos() as usize) as u64));
            let rejected = breaker.acquire().unwrap_err();
            prop_assert_eq!(rejected.reason(), reason);

            clock.advance(rejected.retry_after());
            let still = breaker.acquire().unwrap_err();
            prop_assert_eq!((still.reason(), still.retry_after()), (reason, Duration::ZERO));
            clock.advance(Duration::from_nanos(1));
            probes.push(breaker.acquire().unwrap());
        }
        if let Some(log) = log {
            let turned = log.take().into_iter().filter(|event| event.name() == "state_changed");
            prop_assert_eq!(turned.count(), 2); // to open, to half-open
        }
    }

    /// I20: backwards, frozen, years away.
    #[test]
    fn whatever_the_clock_shows_an_open_circuit_waits_for_its_ttl(
        ttl in prop_oneof![1..=9_u64, 1..=Config::MAX_TTL.as_nanos() as u64],
        opened in any_time(),
        times in vec(any_time(), 0..60),
    ) {
        let world = World::new();
        let ttl = Duration::from_nanos(ttl);
        world.clock.set(opened);
        let breaker = world.breaker(Config::new().threshold(1).ttl(ttl));
        trip(&breaker);
        let until = opened.saturating_add(ttl);
        for time in times {
            world.clock.set(time);
            match breaker.acquire() {
                Ok(probe) => {
                    prop_assert!(time > until);
                    prop_assert!(probe.is_probe());
                    break;
                }
                Err(rejected) => {
                    prop_assert!(time <= until);
                    prop_assert_eq!(rejected.retry_after(), until.since(time));
                }
            }
        }
    }

    /// I10, for `call` and `call_async`.
    #[test]
    fn an_admitted_call_runs_once_with_its_result_untouched_and_a_rejected_one_never(
        config in config(),
        calls in vec((any::<bool>(), maybe_ok(any::<u32>(), Just(Broken)), 0..=9_u64), 0..60),
    ) {
        let Pair { clock, breaker, .. } = Pair::new(config, false);
        for (sync, result, wait) in calls {
            let mut runs = 0;
            let mut body = || {
                runs += 1;
                result.clone()
            };
            let answer = match sync {
                true => breaker.call(body),
                false => ready(breaker.call_async(async || body())),
            };
            match answer {
                Err(Error::Rejected(_)) => prop_assert_eq!(runs, 0),
                ran => prop_assert_eq!((runs, ran), (1, result.map_err(Error::Inner))),
            }
            clock.advance(Duration::from_nanos(wait));
        }
    }
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    let nanos = prop_oneof![0..=20_u64, any::<u64>()];
    let time = nanos.prop_map(|nanos| Timestamp::from_origin(Duration::from_nanos(nanos)));
    prop_oneof![4 => time, 1 => Just(Timestamp::MAX)]
}
