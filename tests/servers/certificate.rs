//! Certificates for servers that speak TLS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::package::Program;

/// A certificate for `localhost`, and the authority that signed it and nothing else.
#[derive(Debug)]
pub(super) struct Certificate {
    /// The certificate of the authority.
    pub(super) ca: PathBuf,
    /// The certificate of the server.
    pub(super) certificate: PathBuf,
    /// Its key.
    pub(super) key: PathBuf,
}

impl Certificate {
    /// Makes them in a folder. They are good for a day.
    ///
    /// # Panics
    ///
    /// If there is no `openssl`, or it fails.
    pub(super) fn new(folder: &Path) -> Self {
        let openssl = openssl();
        fs::write(folder.join("openssl.cnf"), CONFIG).expect("the folder can be written");
        let sign = |subject: &str, name: &str, more: &[&str]| {
            let done = Command::new(&openssl)
                .current_dir(folder)
                .args(["req", "-x509", "-config", "openssl.cnf", "-days", "1", "-nodes"])
                .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
                .args(["-subj", subject, "-extensions", name])
                .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
                .args(more)
                .output()
                .expect("openssl was found");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        sign("/CN=an authority for tests", "authority", &[]);
        sign("/CN=localhost", "server", &["-CA", "authority.crt", "-CAkey", "authority.key"]);
        Self {
            ca: folder.join("authority.crt"),
            certificate: folder.join("server.crt"),
            key: folder.join("server.key"),
        }
    }
}

/// The program `openssl`: `PURGATORY_OPENSSL`, else that in the `PATH`, else one that is unpacked.
///
/// # Panics
///
/// If there is none and none can be unpacked. The message says what to install.
pub fn openssl() -> PathBuf {
    Program { name: "openssl", package: "openssl", variable: "PURGATORY_OPENSSL" }.find()
}

/// Written out, as what a system has there differs.
const CONFIG: &str = "
[req]
distinguished_name = subject
[subject]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
";
