//! Many circuits, with names that are easily taken for one another.

use super::breach::{Breach, Promise};
use super::handle::{Bench, shown, write};
use crate::name::Name;
use crate::storage::Versioned;

/// Each is another name.
const NAMES: [&str; 38] = [
    "name",
    "Name",
    "NAME",
    "name ",
    " name",
    "na me",
    "na  me",
    "na_me",
    "na-me",
    "na.me",
    "na/me",
    "na//me",
    "na/./me",
    "na/../me",
    "na\\me",
    "na:me",
    "na::me",
    "na%me",
    "na%20me",
    "na%2fme",
    "na+me",
    "na*me",
    "na?me",
    "na#me",
    "na&me",
    "{name}",
    "[name]",
    "<name>",
    "na\"me",
    "na'me",
    "na$me",
    "na;me",
    "ñame",
    "n\u{303}ame",
    "STRASSE",
    "STRAẞE",
    "🦀",
    "🦀\u{fe0f}",
];

pub(super) async fn check(bench: &Bench) -> Result<(), Breach> {
    let names = NAMES.map(|name| bench.circuit(name));
    let names: Vec<_> =
        names.into_iter().chain(["a", "b", "é"].map(|end| long(bench, end))).collect();
    let mut written: Vec<Versioned> = Vec::new();
    for name in &names {
        let swap = bench.here.write(write(name, 0, name.as_bytes())).await?;
        match swap.stored.record {
            Some(record) if swap.applied => written.push(record),
            record => {
                let done = format!("{name:?} was written for the first time");
                let found = format!("that there was {}", shown(record.as_ref()));
                return Err(Breach::new(Promise::Separating, done, "it to be new", found));
            }
        }
    }
    for (name, record) in names.iter().zip(&written) {
        let after = "after circuits with similar names";
        bench.expect(Promise::Separating, name, Some(record), after).await?;
    }
    Ok(())
}

/// A name as long as one can be, that differs from others only at its end.
fn long(bench: &Bench, end: &str) -> String {
    let mut name = bench.circuit("");
    let rest = Name::MAX_LEN - name.len() - end.len();
    name.extend(std::iter::repeat_n('x', rest));
    name + end
}
