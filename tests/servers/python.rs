//! The Python package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::folder::cache;
use super::lock::Lock;
use super::package::{Program, find};

/// A command that runs `peer.py` with the Python package `purgatory`, in the versions of
/// `requirements.txt`. It wants the arguments of a [`Peer`](super::Peer), and is one if started as such.
///
/// `PURGATORY_PYTHON` names another Python than that in the `PATH`, and a Python without pip is helped out.
///
/// # Panics
///
/// If there is no Python and none can be unpacked, or if pip fails. The message says what to do.
pub fn python() -> Command {
    let python = Program { name: "python3", package: "python3", variable: VARIABLE }.find();
    let packages = packages(&python);
    let mut peer = Command::new(python);
    // Without the packages of the system: redis-py would behave differently with some of them.
    peer.env("PYTHONPATH", packages).arg("-S").arg(servers().join("peer.py"));
    peer
}

/// The folder with what `requirements.txt` asks for, which pip fills once.
fn packages(python: &Path) -> PathBuf {
    let (folder, requirements) = (cache().join("python"), servers().join("requirements.txt"));
    let is_filled = || {
        let read = |path: &Path| fs::read_to_string(path).ok();
        read(&folder.join("requirements.txt")) == read(&requirements)
    };
    if is_filled() {
        return folder;
    }
    let wheel = pip_wheel(python);
    let _lock = Lock::take();
    // By another test, while this one waited.
    if is_filled() {
        return folder;
    }
    // Of other versions, or of a test that was killed meanwhile.
    let _ = fs::remove_dir_all(&folder);
    let mut pip = Command::new(python);
    pip.envs(wheel.map(|wheel| ("PYTHONPATH", wheel)));
    pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(&folder);
    let done = pip.arg("--requirement").arg(&requirements).output().expect("Python was found");
    assert!(
        done.status.success(),
        "pip could not get the Python package purgatory, with {pip:?}:\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    // At the end, as it says that all of it is there.
    fs::copy(&requirements, folder.join("requirements.txt")).expect("pip made the folder");
    folder
}

/// What a Python without pip needs to have one: Debian keeps it in a package of its own.
fn pip_wheel(python: &Path) -> Option<PathBuf> {
    let version = Command::new(python).args(["-m", "pip", "--version"]).output();
    if version.expect("Python was found").status.success() {
        return None;
    }
    Some(find("python3-pip-whl", VARIABLE, |root| {
        let mut wheels = fs::read_dir(root.join("usr/share/python-wheels")).ok()?;
        wheels.find_map(|wheel| {
            let wheel = wheel.ok()?.path();
            wheel.file_name()?.to_str()?.starts_with("pip-").then_some(wheel)
        })
    }))
}

fn servers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers")
}

const VARIABLE: &str = "PURGATORY_PYTHON";
