//! Speaking to a server through TLS.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::ConfigError;

/// What a builder is told: files in PEM.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// Who is trusted; if there is none, whom the system trusts.
    pub(super) ca: Option<Vec<u8>>,
    /// The client's certificate, and its key.
    pub(super) client: Option<(Vec<u8>, Vec<u8>)>,
}

/// How to begin TLS.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl TlsFiles {
    /// TLS, if the URL asks for it.
    pub(super) fn begin(&self, wanted: bool) -> Result<Option<Tls>, ConfigError> {
        if wanted {
            return self.connector().map(Some);
        }
        // Better an error than a connection that everybody can read.
        let rule = "url must be rediss:// where a certificate is given";
        if *self == Self::default() {
            Ok(None)
        } else {
            Err(ConfigError::new("url", "redis://".into(), rule))
        }
    }

    fn connector(&self) -> Result<Tls, ConfigError> {
        let roots = match &self.ca {
            Some(pem) => given(pem)?,
            None => of_the_system()?,
        };
        // With a provider of its own: the one of the process is the application's to choose.
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring knows the versions of TLS")
            .with_root_certificates(roots);
        let config = match &self.client {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let rule = "tls_client must be a certificate and its key, in PEM";
                let invalid = || ConfigError::new("tls_client", "that".into(), rule);
                let chain = certificates(certificate).ok_or_else(invalid)?;
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| invalid())?;
                config.with_client_auth_cert(chain, key).map_err(|_| invalid())?
            }
        };
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }
}

impl Tls {
    pub(super) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        self.0.connect(name, stream).await
    }
}

fn given(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let rule = "tls_ca must have one certificate or more, in PEM";
    let invalid =
        || ConfigError::new("tls_ca", format!("{} bytes of something else", pem.len()), rule);
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).ok_or_else(invalid)? {
        roots.add(certificate).map_err(|_| invalid())?;
    }
    Ok(roots)
}

fn of_the_system() -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    // There may be some that cannot be read, or used.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let rule = "tls_ca must be given where the system has no certificates to trust";
    if roots.is_empty() {
        Err(ConfigError::new("tls_ca", "nothing".into(), rule))
    } else {
        Ok(roots)
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    (!certificates.is_empty()).then_some(certificates)
}

impl fmt::Debug for TlsFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsFiles")
            .field("ca", &self.ca.is_some())
            .field("client", &self.client.is_some())
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}
