//! The library that lies to a process about the time.

use std::fs;
use std::path::{Path, PathBuf};

use super::package::{find, named_by};

/// The library to preload: `LD_PRELOAD` is this and `FAKETIME` is `+1h`, for one.
///
/// `PURGATORY_FAKETIME` names another one.
///
/// # Panics
///
/// If it is nowhere and cannot be unpacked. The message says what to install.
pub fn faketime_library() -> PathBuf {
    named_by(VARIABLE).unwrap_or_else(|| find("libfaketime", VARIABLE, below))
}

/// Where Debian has it, for whatever processor.
fn below(root: &Path) -> Option<PathBuf> {
    let mut folders = fs::read_dir(root.join("usr/lib")).ok()?;
    folders.find_map(|folder| {
        let library = folder.ok()?.path().join(LIBRARY);
        library.is_file().then_some(library)
    })
}

/// That for programs with threads.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

const VARIABLE: &str = "PURGATORY_FAKETIME";
