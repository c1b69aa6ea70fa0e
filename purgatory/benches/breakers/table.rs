//! The medians of the last run as a Markdown table.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// The groups in the order of the table, each with the row that its ratios are to.
const GROUPS: [(&str, &str, &str); 7] = [
    ("closed", "closed", "floor"),
    ("closed, two threads", "closed, two threads", "floor"),
    ("rejected", "closed", "floor"),
    ("failure and success in turn", "closed", "floor"),
    ("look-up by name", "closed", "floor"),
    ("async, closed", "async, closed", "bare await"),
    ("async, rejected", "async, closed", "bare await"),
];

pub(crate) fn print(results: &Path) {
    let medians = |group: &str| medians(&results.join(group));
    println!("| | ns a call | ratio |\n| --- | ---: | ---: |");
    for (group, base_group, base) in GROUPS {
        let base = medians(base_group).into_iter().find(|(name, _)| name == base);
        println!("| **{group}** | | |");
        for (name, nanos) in medians(group) {
            let ratio = base.as_ref().map_or(f64::NAN, |(_, base)| nanos / base);
            println!("| {name} | {nanos:.2} | {ratio:.2} |");
        }
    }
}

/// Name and nanoseconds of every row of a group, the fastest first.
fn medians(group: &Path) -> Vec<(String, f64)> {
    let rows = fs::read_dir(group).into_iter().flatten().flatten();
    let mut medians: Vec<_> = rows.filter_map(|row| median(&row.path())).collect();
    medians.sort_by(|a, b| a.1.total_cmp(&b.1));
    medians
}

fn median(row: &Path) -> Option<(String, f64)> {
    let read = |file: &str| -> Option<Value> {
        serde_json::from_slice(&fs::read(row.join("new").join(file)).ok()?).ok()
    };
    let name = read("benchmark.json")?["function_id"].as_str()?.to_owned();
    let nanos = read("estimates.json")?["median"]["point_estimate"].as_f64()?;
    Some((name, nanos))
}
