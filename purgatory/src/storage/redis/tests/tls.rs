//! Through TLS, to whom the certificate says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::server::{Server, free_port};
use super::watched::{Watched, patient, run};
use crate::storage::StorageError;

/// Certificates of an authority of the test's own, in a folder that is gone when dropped.
struct Certificates(PathBuf);

impl Certificates {
    fn new() -> Self {
        let folder = format!("purgatory-tls-{}-{}", std::process::id(), free_port());
        let certificates = Self(std::env::temp_dir().join(folder));
        std::fs::create_dir_all(&certificates.0).unwrap();
        certificates.make("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        let by_ca = ["-CA", "ca.crt", "-CAkey", "ca.key"];
        let name = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:redis.test"];
        let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
        certificates.make("server", &[by_ca, [name[0], name[1], leaf[0], leaf[1]]].concat());
        certificates.make("client", &[&by_ca[..], &leaf].concat());
        certificates
    }

    fn make(&self, name: &str, more: &[&str]) {
        let (key, certificate, subject) =
            (format!("{name}.key"), format!("{name}.crt"), format!("/CN={name}"));
        let arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        let files = ["-nodes", "-keyout", &key, "-out", &certificate, "-subj", &subject];
        let made = Command::new("openssl")
            .args(arguments)
            .args(files)
            .args(more)
            .current_dir(&self.0)
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl must be installed for this test").success());
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.0.join(file)).unwrap()
    }

    /// A server that listens with them, and where.
    fn server(&self, auth_clients: &str) -> (Server, u16) {
        let port = free_port();
        let path = |file| Path::join(&self.0, file).to_str().unwrap().to_owned();
        let server = Server::with(&[
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &path("server.crt"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.crt"),
            "--tls-auth-clients",
            auth_clients,
        ]);
        (server, port)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_server_of_a_known_authority_is_spoken_to() {
    let certificates = Certificates::new();
    let (server, port) = certificates.server("no");
    run(async {
        let url = format!("rediss://127.0.0.1:{port}");
        let storage = patient(url).tls_ca(certificates.read("ca.crt")).build().unwrap();
        let watched = Watched::ready(storage).await;
        assert!(watched.write("payments", 0, "x").await.applied);
        assert_eq!(server.ask::<i64>("EXISTS cb:{payments}"), 1);
    });
}

#[test]
fn any_other_server_is_not() {
    let certificates = Certificates::new();
    let others = Certificates::new();
    let (_server, port) = certificates.server("no");
    run(async {
        let url = |host: &str| format!("rediss://{host}:{port}");
        for (url, ca, text) in [
            // Not of this authority, nor of one that the system knows.
            (url("127.0.0.1"), Some(others.read("ca.crt")), "invalid peer certificate"),
            (url("127.0.0.1"), None, "invalid peer certificate"),
            // Another name than it has.
            (url("localhost"), Some(certificates.read("ca.crt")), "not valid for name"),
        ] {
            let mut builder = patient(url.clone());
            if let Some(ca) = ca {
                builder = builder.tls_ca(ca);
            }
            // A system may have nobody to trust, and then there is no such storage.
            let Ok(storage) = builder.build() else { continue };
            let error = Watched::refused(storage).await;
            let StorageError::Unavailable(cause) = &error else { panic!("{error}") };
            assert!(cause.contains(text), "{url}: {error}");
        }
        let error = Watched::refused(patient(format!("redis://127.0.0.1:{port}")).build().unwrap());
        let error = error.await;
        assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
    });
}

#[test]
fn a_server_may_ask_who_the_client_is() {
    let certificates = Certificates::new();
    let (_server, port) = certificates.server("yes");
    run(async {
        let builder = patient(format!("rediss://127.0.0.1:{port}"));
        let builder = builder.tls_ca(certificates.read("ca.crt"));
        let error = Watched::refused(builder.clone().build().unwrap()).await;
        assert!(matches!(error, StorageError::Unavailable(_)), "{error}");
        let (certificate, key) = (certificates.read("client.crt"), certificates.read("client.key"));
        Watched::ready(builder.tls_client(certificate, key).build().unwrap()).await;
    });
}

#[test]
fn what_is_no_certificate_is_found_when_building() {
    let certificates = Certificates::new();
    let (ca, key) = (certificates.read("ca.crt"), certificates.read("client.key"));
    let builder = || patient("rediss://localhost".into());
    for (builder, text) in [
        (
            builder().tls_ca("nonsense"),
            "tls_ca must have one certificate or more, in PEM, not 8 bytes of something else",
        ),
        (
            builder().tls_ca(&ca[..ca.len() / 2]),
            "tls_ca must have one certificate or more, in PEM, not ",
        ),
        (
            builder().tls_ca(ca.clone()).tls_client(ca.clone(), "nonsense"),
            "tls_client must be a certificate and its key, in PEM, not that",
        ),
        (
            builder().tls_ca(ca.clone()).tls_client(ca.clone(), key),
            "tls_client must be a certificate and its key, in PEM, not that",
        ),
        (
            patient("redis://localhost".into()).tls_ca(ca.clone()),
            "url must be rediss:// where a certificate is given, not redis://",
        ),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.starts_with(text), "{error}");
    }
}
