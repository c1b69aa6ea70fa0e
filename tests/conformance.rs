//! What the Python package `purgatory` did, replayed: the same, or differing by design.
//!
//! `PURGATORY_TRACES` names another folder to replay. `conformance/FORMAT.md` tells the format.

#[path = "conformance/circuit.rs"]
mod circuit;
#[path = "conformance/errors.rs"]
mod errors;
#[path = "conformance/format.rs"]
mod format;
#[path = "conformance/oracle.rs"]
mod oracle;
#[path = "conformance/replay.rs"]
mod replay;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::format::{Answers, File, Outcome, Refused, Trace, is_name};
use crate::oracle::{As, expected};
use crate::replay::replay;

/// The tags of the traces in which we differ from the package on purpose.
const BY_DESIGN: [&str; 9] = [
    "abort",
    "deferred-event",
    "deferred-event-order",
    "listener-twice",
    "overlap-multi-probe",
    "overlap-stale-effect",
    "shared-exclude",
    "zero-config",
    "zero-default",
];

/// And the reason without a tag.
const REFUSED_NAME: &str = "a name that is refused";

#[test]
fn every_trace_comes_to_what_is_recorded_or_differs_by_design() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let folder = env::var_os("PURGATORY_TRACES")
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| own.clone(), PathBuf::from);
    let mut count = Count::default();
    let mut complaints = Vec::new();
    for (file, trace) in traces(&folder) {
        if let Err(complaint) = check(&trace, &mut count) {
            complaints.push(format!("{file}, trace {}, {complaint}", trace.id));
        }
    }
    println!("{count:#?}");
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_ne!(count.replayed, 0, "no traces in {}", folder.display());
    if folder == own {
        // Else a difference could be gone, or its traces, and nobody would notice.
        assert_eq!(count.differ_by_tag.len(), BY_DESIGN.len() + 1);
    }
}

#[derive(Debug, Default)]
struct Count {
    replayed: u32,
    differ: u32,
    differ_by_tag: BTreeMap<String, u32>,
}

/// Plays one trace through the library. `Err` says what is wrong.
fn check(trace: &Trace, count: &mut Count) -> Result<(), String> {
    let recorded = Ok(trace.recorded());
    compare("the oracle is wrong", &recorded, &expected(trace, As::Package))?;

    let got = replay(trace);
    let reasons = reasons_to_differ(trace);
    count.replayed += 1;
    if reasons.is_empty() {
        return compare("it has no tag that allows it to differ", &recorded, &got);
    }
    compare("it differs, but not by design", &expected(trace, As::Ourselves), &got)?;
    if got != recorded {
        count.differ += 1;
        for reason in &reasons {
            *count.differ_by_tag.entry((*reason).to_owned()).or_default() += 1;
        }
    }
    match (got, &*reasons) {
        (Ok(got), ["deferred-event"]) => {
            let recorded = Ok(with_events_at_the_end(trace.recorded()));
            compare(
                "more changed than the steps of its events",
                &recorded,
                &Ok(with_events_at_the_end(got)),
            )
        }
        (Ok(got), [REFUSED_NAME]) => {
            let got = Ok(but_for_refusals(got, trace.recorded()));
            compare("more changed than the refused steps", &recorded, &got)
        }
        _ => Ok(()),
    }
}

fn reasons_to_differ(trace: &Trace) -> Vec<&str> {
    let tags = trace.tags.iter().map(|tag| &**tag).filter(|tag| BY_DESIGN.contains(tag));
    let refused = trace.end.keys().any(|name| !is_name(name)).then_some(REFUSED_NAME);
    tags.chain(refused).collect()
}

/// With everything that was told during the trace as if told in the last step.
fn with_events_at_the_end(mut answers: Answers) -> Answers {
    let told = answers.steps.iter_mut().flat_map(|step| std::mem::take(&mut step.events)).collect();
    if let Some(last) = answers.steps.last_mut() {
        last.events = told;
    }
    answers
}

fn but_for_refusals(mut got: Answers, recorded: Answers) -> Answers {
    for (got, recorded) in got.steps.iter_mut().zip(recorded.steps) {
        if let Some(Outcome::Refused(_)) = got.outcome {
            *got = recorded;
        }
    }
    got.end.extend(recorded.end.into_iter().filter(|(name, _)| !is_name(name)));
    got
}

type Played = Result<Answers, Refused>;

/// Finds the first step that differs.
fn compare(complaint: &str, expected: &Played, got: &Played) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    let (Ok(expected), Ok(got)) = (expected, got) else {
        return Err(format!("{complaint}:\n  expected {expected:?}\n  got      {got:?}"));
    };
    let mut steps = expected.steps.iter().zip(&got.steps).enumerate();
    match steps.find(|(_, (expected, got))| expected != got) {
        Some((step, (expected, got))) => {
            Err(format!("step {step}: {complaint}:\n  expected {expected:?}\n  got      {got:?}"))
        }
        None => Err(format!(
            "at the end: {complaint}:\n  expected {:?}\n  got      {:?}",
            expected.end, got.end
        )),
    }
}

fn traces(folder: &Path) -> Vec<(String, Trace)> {
    let entries = fs::read_dir(folder).expect("the folder of the traces can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().flat_map(|path| of_file(path)).collect()
}

fn of_file(path: &Path) -> Vec<(String, Trace)> {
    let name = path.file_name().unwrap().to_string_lossy();
    let file: File = serde_json::from_slice(&fs::read(path).unwrap())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(file.format, 1, "{name}");
    file.traces.into_iter().map(|trace| (name.to_string(), trace)).collect()
}
