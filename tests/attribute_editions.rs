//! Crates of every edition.

use std::fs;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = include_str!("ui/edition.rs");

#[test]
fn every_edition() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("editions");
    for edition in ["2018", "2021", "2024"] {
        let package = project.join(edition);
        fs::create_dir_all(package.join("src")).unwrap();
        fs::write(package.join("src/main.rs"), PROGRAM).unwrap();
        fs::write(package.join("Cargo.toml"), manifest(edition, workspace)).unwrap();
        fs::copy(workspace.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["run", "--quiet", "--offline", "--manifest-path"])
            .arg(package.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(project.join("target"))
            .status();
        assert!(status.unwrap().success(), "edition {edition}");
    }
}

fn manifest(edition: &str, workspace: &Path) -> String {
    let path = workspace.join("purgatory");
    format!(
        "[package]\nname = \"edition-{edition}\"\nedition = \"{edition}\"\n\
         [dependencies]\npurgatory = {{ path = {path:?} }}\n\
         [workspace]\n"
    )
}
