//! The inputs that fuzzing began with, and those with which it once found something.

use std::fs;

/// Gives `check` every file of `fuzz/seeds/{target}`, which is in the repository only.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
    let seeds: Vec<_> = fs::read_dir(folder).expect("a folder of seeds").collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        let path = seed.expect("a seed").path();
        // Shown if it fails.
        println!("{}", path.display());
        check(&fs::read(path).expect("a seed"));
    }
}
