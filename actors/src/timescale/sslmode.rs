//! libpq's words for TLS.
//!
//! `disable` never encrypts, `prefer` (the default) encrypts where the server can, `require` always; neither of the two
//! checks who the server is unless `tls.ca_file` is given. `verify-ca` checks who signed its certificate, `verify-full`
//! its name too.

use crate::tls::Check;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::Tls;
use tokio_postgres::config::SslMode;

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
