//! TLS as the stack's own client: it believes the instance's authority alone, and comes as the owner of everything.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::error::Error;
use crate::secured::Certificates;

/// Whom the stack's own clients believe, and what they show.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    certificates: Certificates,
    config: Arc<ClientConfig>,
}

/// A connection, encrypted or not.
pub(crate) trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

impl Trust {
    /// Reads the certificates of an instance, which have been made.
    pub(crate) fn of(certificates: Certificates) -> Result<Self, Error> {
        let doing = || "read the certificates of this stack";
        let authority = certificates.authority();
        let mut roots = RootCertStore::empty();
        for certificate in chain(&authority)? {
            roots.add(certificate).map_err(Error::request(doing()))?;
        }
        let (certificate, key) = certificates.client();
        let key = PrivateKeyDer::from_pem_file(&key).map_err(Error::request(doing()))?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::request(doing()))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain(&certificate)?, key)
            .map_err(Error::request(doing()))?;
        Ok(Trust { certificates, config: Arc::new(config) })
    }

    /// For a driver that takes such settings.
    pub(crate) fn config(&self) -> ClientConfig {
        (*self.config).clone()
    }

    /// Encrypts a connection to `host`; the server has to prove itself with the first words.
    pub(crate) fn encrypt(&self, host: &str, stream: TcpStream) -> Result<impl Stream + use<>, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("{host}: {error}"))?;
        let session = ClientConnection::new(self.config.clone(), name).map_err(|error| error.to_string())?;
        Ok(StreamOwned::new(session, stream))
    }

    /// Has librdkafka come by a listener that asks for a certificate.
    pub(crate) fn tell_kafka(&self, config: &mut rdkafka::ClientConfig) {
        let (certificate, key) = self.certificates.client();
        let shown = |path: &Path| path.display().to_string();
        config
            .set("security.protocol", "ssl")
            .set("ssl.ca.location", shown(&self.certificates.authority()))
            .set("ssl.certificate.location", shown(&certificate))
            .set("ssl.key.location", shown(&key));
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(Error::request(format!("read `{}`", path.display())))
}
