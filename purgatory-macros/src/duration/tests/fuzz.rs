//! What holds of any text, and of any duration.

use super::*;

/// The bytes are a text and, if there are 16 of them, a number of nanoseconds.
pub(crate) fn check(bytes: &[u8]) {
    if let Ok(nanos) = bytes.try_into().map(u128::from_le_bytes) {
        if let Ok(secs) = u64::try_from(nanos / SECOND) {
            is_read_back(Duration::new(secs, (nanos % SECOND) as u32));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        Ok(duration) => is_read_back(duration),
        Err(why) => assert!(!why.is_empty()),
    }
}

fn is_read_back(duration: Duration) {
    let text = print(duration);
    assert_eq!(parse(&text), Ok(duration), "{text}");
}

#[test]
fn seeds_are_read_or_refused() {
    crate::seeds::replay("duration", check);
}
