//! Folders: the one that keeps what is unpacked, and those of single servers.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder that outlives the tests: `target/servers` of this checkout.
pub(super) fn cache() -> PathBuf {
    // Not the target folder that Cargo was told: every build of a checkout shares what is unpacked.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers");
    fs::create_dir_all(&folder).expect("the target folder can be written");
    folder.canonicalize().expect("it was just created")
}

/// A folder of one server, gone when this is.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Where there is one, in memory: a node of a cluster has its disk confirm every change of a slot before it goes on.
fn run() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let probe = memory.join(format!("purgatory-{}", process::id()));
    match fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe)) {
        Ok(()) => memory.to_owned(),
        Err(_) => cache().join("run"),
    }
}

impl Folder {
    /// An empty folder.
    pub(super) fn new() -> Self {
        static RUN: LazyLock<PathBuf> = LazyLock::new(run);
        static NEXT: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(&*RUN).expect("the cache can be written");
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = RUN.join(format!("purgatory-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // Left over from a process that was killed and had the same id.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in memory, or below target/.
        let _ = fs::remove_dir_all(&self.0);
    }
}
