//! What a test needs of other projects, installed or not.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder::cache;
use super::lock::Lock;

/// A program and the Debian package that has it.
#[derive(Debug)]
pub(super) struct Program {
    /// What it is called.
    pub(super) name: &'static str,
    /// The package.
    pub(super) package: &'static str,
    /// The environment variable that names another one.
    pub(super) variable: &'static str,
}

impl Program {
    /// Where it is: as its variable says, in the `PATH`, or unpacked.
    ///
    /// # Panics
    ///
    /// If it is nowhere and cannot be unpacked, or if the variable names no file.
    pub(super) fn find(&self) -> PathBuf {
        if let Some(path) = named_by(self.variable) {
            return path;
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        let mut installed = env::split_paths(&folders).map(|folder| folder.join(self.name));
        installed.find(|path| path.is_file()).unwrap_or_else(|| {
            let path = unpack(self.package, self.variable).join("bin").join(self.name);
            assert!(path.is_file(), "the package {} has no {}", self.package, self.name);
            path
        })
    }
}

/// The file that an environment variable names, if it is set.
///
/// # Panics
///
/// If it is set to something else: a test that ran with another program would be misleading.
pub(super) fn named_by(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable).filter(|path| !path.is_empty())?);
    assert!(path.is_file(), "{variable} is {}, which is no file", path.display());
    Some(path)
}

/// A file of a Debian package, which `look` looks for below a root: installed, or unpacked.
///
/// # Panics
///
/// If it is nowhere and cannot be unpacked.
pub(super) fn find(
    package: &str,
    variable: &str,
    look: impl Fn(&Path) -> Option<PathBuf>,
) -> PathBuf {
    look(Path::new("/")).unwrap_or_else(|| {
        let root = unpack(package, variable).join("root");
        look(&root).unwrap_or_else(|| panic!("the package {package} has not what it should"))
    })
}

/// Unpacks a Debian package unless it is already, and says where: its files are below `root`, and its
/// programs are to be started through those of the same names in `bin`.
///
/// # Panics
///
/// If it cannot be unpacked. The message says what was tried, and which variable helps.
fn unpack(package: &str, variable: &str) -> PathBuf {
    let _lock = Lock::take();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/unpack.sh");
    let done = Command::new("sh").arg(script).arg(cache()).arg(package).output();
    let done = done.expect("there is a shell");
    assert!(
        done.status.success(),
        "{package} is not installed, and to unpack it with apt-get failed:\n{}\n\
         Either install it (apt-get install {package}; on Debian 12 perhaps from its backports), \
         or let {variable} name the file that is wanted.",
        String::from_utf8_lossy(&done.stderr)
    );
    cache().join(package)
}
