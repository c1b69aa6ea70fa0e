//! A record, as anybody can read it.

/// The fields of a record that the twin looks at. Read here anew, so that what is wrong in the crate's own
/// reading is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) format: String,
    pub(crate) state: char,
    pub(crate) generation: u64,
    pub(crate) since: u64,
    pub(crate) open: u64,
    pub(crate) failures: u64,
    pub(crate) probes: Vec<(u64, u64)>,
    pub(crate) writers: usize,
}

impl Line {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let fields: Vec<_> = text.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let items = |at: usize| match fields.get(at) {
            None | Some(&"-") => Vec::new(),
            Some(items) => items.split(',').collect(),
        };
        let probe = |item: &str| {
            let (id, end) = item.split_once(':')?;
            Some((id.parse().ok()?, end.parse().ok()?))
        };
        Some(Self {
            format: (*fields.first()?).to_owned(),
            state: fields.get(1)?.chars().next()?,
            generation: number(2)?,
            since: number(3)?,
            open: number(4)?,
            failures: number(5).unwrap_or(0),
            probes: items(8).into_iter().filter_map(probe).collect(),
            writers: items(9).len(),
        })
    }
}
