//! TLS to a server: whose word is taken for who it is.
//!
//! One implementation (rustls on `ring`) for every driver that takes a stream; librdkafka brings its own. Certificates
//! are read anew for each connection, so that rotated ones are picked up. Deliberately absent: choices of cipher and
//! version beyond the library's safe defaults.

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

/// The settings of a client, with the files as they are now.
pub(crate) fn client(check: Check, tls: Option<&Tls>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(format!("tls: {error}")))?;
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Lenient { provider, chain: None }),
        Check::Signer => {
            let chain = Some(web_pki(tls, provider.clone())?);
            Arc::new(Lenient { provider, chain })
        }
        Check::SignerAndName => web_pki(tls, provider)?,
    };
    let builder = versions.dangerous().with_custom_certificate_verifier(verifier);
    let config = match tls.and_then(|tls| tls.cert_file.as_deref().zip(tls.key_file.as_deref())) {
        Some((cert_file, key_file)) => builder
            .with_client_auth_cert(certificates(cert_file)?, private_key(key_file)?)
            .map_err(|error| wrong(cert_file, &error))?,
        None => builder.with_no_client_auth(),
    };
    Ok(config)
}

fn web_pki(tls: Option<&Tls>, provider: Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    match tls.and_then(|tls| tls.ca_file.as_deref()) {
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| wrong(file, &error))?;
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

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(file, &error))
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| wrong(file, &error))
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

fn wrong(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Class::Config, format!("tls file {}: {error}", file.display()))
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
