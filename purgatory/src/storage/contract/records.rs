//! One circuit, and one writer at a time.

use super::breach::{Breach, Promise};
use super::handle::{Bench, shown, shown_bytes, write};
use crate::storage::Versioned;

/// What a record may be made of, and what parsers, columns and shells like to make of it.
const TEXTS: [&str; 9] = [
    "x",
    "  spaces around  ",
    "null",
    "007",
    "1e3",
    "{}",
    r#""quoted" 'too' `here` \ \n \x00 %s %00 $1 ${x} {0} ? :name"#,
    "<![CDATA[x]]> &amp; -- ; DROP TABLE records; #",
    " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~",
];

/// As long as a record with the most probes.
const LONGEST: usize = 30_000;

pub(super) async fn check(bench: &Bench) -> Result<(), Breach> {
    let (name, other) = (bench.circuit("records"), bench.circuit("records, another"));
    let circuit = name.as_str();
    let at_first = "before anybody wrote it";
    bench.expect(Promise::Absence, circuit, None, at_first).await?;
    refused(bench, circuit, 1, None).await?;

    let first = bench.here.put(write(circuit, 0, b"first")).await?;
    let seen = "after its first write";
    bench.expect(Promise::Reading, circuit, Some(&first), seen).await?;
    refused(bench, circuit, 0, Some(&first)).await?;
    refused(bench, circuit, first.version + 1, Some(&first)).await?;

    let second = bench.there.put(write(circuit, first.version, b"second")).await?;
    bench.expect(Promise::Reading, circuit, Some(&second), "after its second write").await?;
    refused(bench, circuit, 0, Some(&second)).await?;
    refused(bench, circuit, first.version, Some(&second)).await?;

    // The same again is a write as well.
    let third = bench.here.put(write(circuit, second.version, b"second")).await?;
    bench.expect(Promise::Reading, circuit, Some(&third), "after its third write").await?;
    refused(bench, circuit, second.version, Some(&third)).await?;

    let unwritten = "before anybody wrote it, after writes of another";
    bench.expect(Promise::Separating, &other, None, unwritten).await?;
    bytes(bench).await
}

/// Tries to write over a version that is not there.
async fn refused(
    bench: &Bench,
    circuit: &str,
    expected: u64,
    there: Option<&Versioned>,
) -> Result<(), Breach> {
    let done = format!("{circuit:?} was written over version {expected}");
    for handle in [&bench.here, &bench.there] {
        let swap = handle.attempt(write(circuit, expected, b"not to be written")).await?;
        if swap.applied {
            let wanted = format!("it not to be applied over {}", shown(there));
            return Err(Breach::new(Promise::Comparing, done, wanted, "it was applied"));
        }
        if swap.stored.record.as_ref() != there {
            let wanted = format!("{}, which was in the way", shown(there));
            let found = shown(swap.stored.record.as_ref());
            return Err(Breach::new(Promise::Reporting, done, wanted, found));
        }
    }
    let after = format!("after a write over version {expected} that was not applied");
    bench.expect(Promise::Comparing, circuit, there, &after).await
}

async fn bytes(bench: &Bench) -> Result<(), Breach> {
    let circuit = bench.circuit("bytes");
    let long: String = "0123456789abcdef,".chars().cycle().take(LONGEST).collect();
    let texts = TEXTS.into_iter().chain([long.as_str(), &long[..300]]);
    let mut version = 0;
    for text in texts {
        version = bench.here.put(write(&circuit, version, text.as_bytes())).await?.version;
        let found = bench.there.load(&circuit).await?.record;
        if found.as_ref().is_none_or(|found| found.bytes != text.as_bytes()) {
            let done = format!("{} were written", shown_bytes(text.as_bytes()));
            return Err(Breach::new(Promise::Bytes, done, "the same", shown(found.as_ref())));
        }
    }
    Ok(())
}
