//! TLS to the database, in libpq's words.
//!
//! `disable` never encrypts, `prefer` (the default) encrypts where the server can, `require` always; neither of the two
//! checks who the server is unless `tls.ca_file` is given. `verify-ca` checks who signed its certificate, `verify-full`
//! its name too.

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
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How much of the server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    Nothing,
    Signer,
    SignerAndName,
}

/// `sslmode` as written in a url, as the driver's mode and what is checked.
pub(super) fn mode(sslmode: Option<&str>, tls: Option<&Tls>) -> Result<(SslMode, Check), Error> {
    let has_authority = tls.is_some_and(|tls| tls.ca_file.is_some());
    let unless_authority = if has_authority { Check::Signer } else { Check::Nothing };
    Ok(match sslmode {
        Some("disable") => (SslMode::Disable, Check::Nothing),
        None if tls.is_some() => (SslMode::Require, Check::SignerAndName),
        None | Some("prefer" | "allow") => (SslMode::Prefer, unless_authority),
        Some("require") => (SslMode::Require, unless_authority),
        Some("verify-ca") => (SslMode::Require, Check::Signer),
        Some("verify-full") => (SslMode::Require, Check::SignerAndName),
        Some(other) => {
            return Err(Error::new(
                Class::Config,
                format!(
                    "the timescale connection's sslmode `{}` is unknown: write disable, prefer, require, verify-ca \
                     or verify-full",
                    other.escape_debug()
                ),
            ));
        }
    })
}

/// The connector; certificates are read anew, so that rotated ones are picked up.
pub(super) fn connector(check: Check, tls: Option<&Tls>) -> Result<MakeRustlsConnect, Error> {
    let provider = Arc::new(ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::bug(format!("tls: {error}")))?;
    let verifier: Arc<dyn ServerCertVerifier> = match check {
        Check::Nothing => Arc::new(Unchecked(provider)),
        Check::Signer => Arc::new(AnyName(web_pki(tls, provider)?)),
        Check::SignerAndName => web_pki(tls, provider)?,
    };
    let builder = versions.dangerous().with_custom_certificate_verifier(verifier);
    let config = match tls.and_then(|tls| tls.cert_file.as_deref().zip(tls.key_file.as_deref())) {
        Some((cert_file, key_file)) => builder
            .with_client_auth_cert(certificates(cert_file)?, private_key(key_file)?)
            .map_err(|error| wrong(cert_file, &error))?,
        None => builder.with_no_client_auth(),
    };
    Ok(MakeRustlsConnect::new(config))
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
            format!("tls: no authority to check the database by ({error}); set `tls.ca_file`"),
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

fn wrong(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::new(Class::Config, format!("tls file {}: {error}", file.display()))
}

/// libpq's `prefer` and `require` without an authority: the wire is private, the server unproven.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`: everything but the name.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(certificate, intermediates, name, ocsp, now) {
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
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_means_what_libpq_says() {
        let with_authority = Tls { ca_file: Some("ca.pem".into()), ..Tls::default() };
        assert_eq!(mode(None, None).unwrap(), (SslMode::Prefer, Check::Nothing));
        assert_eq!(mode(Some("disable"), None).unwrap(), (SslMode::Disable, Check::Nothing));
        assert_eq!(mode(Some("require"), None).unwrap(), (SslMode::Require, Check::Nothing));
        assert_eq!(mode(Some("require"), Some(&with_authority)).unwrap(), (SslMode::Require, Check::Signer));
        assert_eq!(mode(Some("verify-full"), None).unwrap(), (SslMode::Require, Check::SignerAndName));
        assert_eq!(mode(None, Some(&with_authority)).unwrap(), (SslMode::Require, Check::SignerAndName));
        assert!(mode(Some("on"), None).unwrap_err().message.contains("sslmode `on`"));
    }
}
