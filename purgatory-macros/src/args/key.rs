//! The keys of the arguments.

use proc_macro2::Ident;
use syn::Error;

pub(super) const KEYS: [&str; 14] = [
    "name",
    "threshold",
    "ttl",
    "half_open_probes",
    "success_threshold",
    "probe_lease",
    "shared",
    "exclude",
    "ignore",
    "failure_if",
    "fallback",
    "factory",
    "on_cancel",
    "crate",
];

/// The error for a key that does not exist: names the one that was meant, or all there are.
pub(super) fn unknown(key: &Ident) -> Error {
    let text = key.to_string();
    let nearest = KEYS.into_iter().map(|known| (distance(&text, known), known)).min();
    let hint = match nearest {
        Some((distance, known)) if distance <= text.len().div_ceil(3) => {
            format!("did you mean `{known}`?")
        }
        _ => format!("expected one of {}", KEYS.join(", ")),
    };
    Error::new(key.span(), format!("there is no argument `{text}`, {hint}"))
}

/// How many letters to insert, delete or replace to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use proc_macro2::Span;

    use super::*;

    fn hint(key: &str) -> String {
        unknown(&Ident::new(key, Span::call_site())).to_string()
    }

    #[test]
    fn a_misspelt_key_names_its_neighbour() {
        assert_eq!(hint("treshold"), "there is no argument `treshold`, did you mean `threshold`?");
        assert_eq!(hint("tll"), "there is no argument `tll`, did you mean `ttl`?");
        assert_eq!(hint("fallbak"), "there is no argument `fallbak`, did you mean `fallback`?");
        assert_eq!(
            hint("halfopen_probe"),
            "there is no argument `halfopen_probe`, did you mean `half_open_probes`?"
        );
    }

    #[test]
    fn a_strange_key_lists_them_all() {
        assert_eq!(
            hint("retries"),
            "there is no argument `retries`, expected one of name, threshold, ttl, \
             half_open_probes, success_threshold, probe_lease, shared, exclude, ignore, failure_if, \
             fallback, factory, on_cancel, crate",
        );
    }

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in
            [("", "abc", 3), ("abc", "abc", 0), ("abc", "acb", 2), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} to {b}");
            assert_eq!(distance(b, a), edits, "{b} to {a}");
        }
    }
}
