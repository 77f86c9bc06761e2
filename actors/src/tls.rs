//! TLS to a server: whose word is taken for who it is.
//!
//! One implementation (rustls on `ring`) for every driver that takes a stream; librdkafka brings its own. Certificates
//! come from memory, as [`crate::credentials`] took them. Deliberately absent: choices of cipher and version beyond the
//! library's safe defaults.

use crate::credentials::Material;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::Tls;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// How much of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Nothing: the wire is private, the server unproven.
    Nothing,
    /// Who signed it.
    Signer,
    /// That, and the name it is for.
    SignerAndName,
}

/// The settings of a client, with the certificates of `material`, which were read from the files of `tls`.
pub(crate) fn client(check: Check, tls: Option<&Tls>, material: &Material) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(format!("tls: {error}")))?;
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Lenient { provider, chain: None }),
        Check::Signer => {
            let chain = Some(web_pki(tls, material, provider.clone())?);
            Arc::new(Lenient { provider, chain })
        }
        Check::SignerAndName => web_pki(tls, material, provider)?,
    };
    let builder = versions.dangerous().with_custom_certificate_verifier(verifier);
    let config = match material.cert().zip(material.key()) {
        Some((cert, key)) => {
            let wrong_cert =
                |error: &dyn std::fmt::Display| wrong(tls.and_then(|tls| tls.cert_file.as_deref()), error);
            let chain = certificates(cert).map_err(|error| wrong_cert(&error))?;
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                .map_err(|error| wrong(tls.and_then(|tls| tls.key_file.as_deref()), &error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong_cert(&error))?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(config)
}

fn web_pki(
    tls: Option<&Tls>,
    material: &Material,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    match material.ca() {
        Some(ca) => {
            let wrong =
                |error: &dyn std::fmt::Display| wrong(tls.and_then(|tls| tls.ca_file.as_deref()), error);
            for certificate in certificates(ca).map_err(|error| wrong(&error))? {
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|error| {
        Error::new(
            Class::Config,
            format!("tls: no authority to check the server by ({error}); set `tls.ca_file`"),
        )
    })
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

/// Whether the handshake failed by what one side showed the other: it stays so until somebody sees to it.
pub(crate) fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        next = error.source();
    }
    false
}

fn wrong(file: Option<&Path>, error: &dyn std::fmt::Display) -> Error {
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    Error::new(Class::Config, format!("tls file {file}: {error}"))
}

/// Less than a full check of the server's certificate; what it signs with that is checked always.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// libpq's `verify-ca`: everything but the name is checked by this. `None`, its `prefer` and `require` without an
    /// authority: the wire is private, the server unproven.
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
