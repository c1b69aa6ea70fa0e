//! Runs of runs.

use super::*;

#[test]
fn two_runs_are_one() {
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Failure];
    let run = |choices: &[usize]| {
        let mut run = Run::default();
        choices.iter().for_each(|&choice| run.push(outcomes[choice % 3]));
        run
    };
    // All rows of up to six, cut everywhere.
    for number in 0..3_usize.pow(6) {
        let all: Vec<usize> = (0..6).map(|place| number / 3_usize.pow(place) % 3).collect();
        for cut in 0..=6 {
            let (first, next) = all.split_at(cut);
            assert_eq!(run(first).then(run(next)), run(&all), "{all:?} at {cut}");
        }
    }
}
