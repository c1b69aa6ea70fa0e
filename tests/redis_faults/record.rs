//! What is written on a server, read with other eyes than the library's.

/// A record with its version, see `purgatory/src/record.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) version: u64,
    /// `C`, `O` or `H`.
    pub(crate) state: char,
    pub(crate) generation: u64,
    /// Microseconds.
    pub(crate) since: u64,
    pub(crate) open: u64,
    pub(crate) failures: u64,
    /// `threshold:ttl:half_open_probes:success_threshold:probe_lease`, in microseconds.
    pub(crate) settings: Vec<u64>,
    pub(crate) successes: u64,
    /// The probes that are out, with the ends of their leases.
    pub(crate) probes: Vec<(u64, u64)>,
    /// Who wrote it, each once.
    pub(crate) writers: Vec<String>,
}

impl Record {
    pub(crate) fn parse(value: &str) -> Self {
        let fields: Vec<&str> = value.split(' ').collect();
        let [version, "1", state, generation, since, open, failures, settings, rest @ ..] =
            &fields[..]
        else {
            panic!("{value:?} is no record");
        };
        let [successes, probes, writers] = rest else { panic!("{value:?} is no record") };
        let probe = |probe: &str| {
            let (id, end) = probe.split_once(':').expect("a probe has an end");
            (number(id), number(end))
        };
        let writer = |update: &str| {
            let (writer, _sequence) = update.split_once(':').expect("an update has a number");
            writer.to_owned()
        };
        Self {
            version: number(version),
            state: state.chars().next().expect("a state is a letter"),
            generation: number(generation),
            since: number(since),
            open: number(open),
            failures: number(failures),
            settings: settings.split(':').map(number).collect(),
            successes: number(successes),
            probes: probes.split(',').filter(|&list| list != "-").map(probe).collect(),
            writers: writers.split(',').filter(|&list| list != "-").map(writer).collect(),
        }
    }
}

fn number(digits: &str) -> u64 {
    digits.parse().unwrap_or_else(|error| panic!("{digits:?}: {error}"))
}
