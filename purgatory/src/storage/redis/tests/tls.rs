//! Through TLS, to whom the certificate says.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[cfg(feature = "redis-cluster")]
use super::nodes::{Cluster, node};
use super::sentinel::sentinel_with;
use super::server::{Server, free_port, program};
#[cfg(feature = "redis-cluster")]
use super::watched::Told;
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
        let made = Command::new(program("openssl"))
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
        let more = ["--tls-auth-clients".into(), auth_clients.into()];
        let arguments = [self.arguments(port), more.into()].concat();
        (Server::with(&arguments.iter().map(String::as_str).collect::<Vec<_>>()), port)
    }

    /// What makes a server listen with them.
    fn arguments(&self, port: u16) -> Vec<String> {
        let path = |file| Path::join(&self.0, file).to_str().unwrap().to_owned();
        [
            ("--tls-port", port.to_string()),
            ("--tls-cert-file", path("server.crt")),
            ("--tls-key-file", path("server.key")),
            ("--tls-ca-cert-file", path("ca.crt")),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
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
fn sentinel_and_master_are_spoken_to_through_it() {
    let certificates = Certificates::new();
    let (master, port) = certificates.server("no");
    let sentinel_port = free_port();
    let arguments = certificates.arguments(sentinel_port);
    let more = ["--tls-replication", "yes", "--tls-auth-clients", "no"];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more).collect();
    let _sentinel = sentinel_with(port, &arguments);
    run(async {
        let builder = patient(format!("rediss://127.0.0.1:{sentinel_port}"));
        let builder = builder.sentinel("main", [""; 0]).tls_ca(certificates.read("ca.crt"));
        let watched = Watched::ready(builder.build().unwrap()).await;
        assert!(watched.write("payments", 0, "x").await.applied);
        assert_eq!(master.ask::<i64>("EXISTS cb:{payments}"), 1);
    });
}

#[test]
#[cfg(feature = "redis-cluster")]
fn so_are_the_nodes_of_a_cluster() {
    let certificates = Certificates::new();
    let ports = [free_port(), free_port()];
    let nodes = ports.map(|port| {
        let arguments = certificates.arguments(port);
        let more = ["--tls-cluster", "yes", "--tls-auth-clients", "no"];
        node(&arguments.iter().map(String::as_str).chain(more).collect::<Vec<_>>())
    });
    let cluster = Cluster::of(nodes.into(), 2);
    run(async {
        let builder = patient(format!("rediss://127.0.0.1:{}", ports[0])).cluster([""; 0]);
        let builder = builder.tls_ca(certificates.read("ca.crt"));
        let mut watched = Watched::ready(builder.build().unwrap()).await;
        for i in 0..10 {
            let circuit = format!("circuit {i}");
            let record = watched.announce(&circuit, 0, "x").await;
            assert_eq!(watched.next().await, Some(Told::Changed(circuit, record)));
        }
        assert!(cluster.0.iter().all(|node| node.ask::<i64>("DBSIZE") > 0));
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
