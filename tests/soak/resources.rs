//! What the process uses.

use std::fs;

/// What the process uses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resources {
    pub(crate) resident_kib: u64,
    pub(crate) files: usize,
    pub(crate) threads: usize,
}

impl Resources {
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
            files: fs::read_dir("/proc/self/fd").unwrap().count(),
            threads: fs::read_dir("/proc/self/task").unwrap().count(),
        }
    }
}

impl Resources {
    /// Whether there are more files or threads.
    pub(crate) fn more_than(&self, other: &Self) -> bool {
        self.files > other.files || self.threads > other.threads
    }
}

/// The threads of drivers.
pub(crate) fn drivers() -> usize {
    let threads = fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| fs::read(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name == b"purgatory\n").count()
}
