//! Connections in the form. Of an address only what names the server and the user is shown; the rest (password,
//! parameters) is there as a fingerprint.
//!
//! A fingerprint says that a secret changed and helps nobody to find it: it is salted with the address and cut to 16
//! bits, so a dictionary gives thousands of candidates that all fit. A change goes unseen once in 65,536.

use super::write::Writer;
use super::{Files, Keys};
use crate::model::{Connections, KafkaConnection, RedisConnection, RegistryConnection, Tls};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

pub(super) fn keys(connections: &Connections) -> BTreeMap<String, Keys> {
    let Connections { kafka: broker, timescale, redis: cache, registry: schemas } = connections;
    let mut parts = BTreeMap::new();
    if let Some(connection) = broker {
        parts.insert("kafka".to_owned(), kafka(connection));
    }
    if let Some(connection) = timescale {
        let mut keys = Writer::default();
        address(&mut keys, connection.url.value.expose_secret());
        keys.maybe("user_file", connection.user_file.as_deref().map(path_text));
        keys.maybe("password_file", connection.password_file.as_deref().map(path_text));
        keys.put("pool", connection.pool);
        tls(&mut keys, connection.tls.as_ref());
        parts.insert("timescale".to_owned(), keys.done());
    }
    if let Some(connection) = cache {
        parts.insert("redis".to_owned(), redis(connection));
    }
    if let Some(connection) = schemas {
        parts.insert("registry".to_owned(), registry(connection));
    }
    parts
}

fn kafka(connection: &KafkaConnection) -> Keys {
    let mut keys = Writer::default();
    keys.put("bootstrap", connection.bootstrap.value.clone());
    tls(&mut keys, connection.tls.as_ref());
    if let Some(sasl) = &connection.sasl {
        keys.put("sasl.mechanism", sasl.mechanism.clone());
        keys.put("sasl.user", sasl.user.clone());
        keys.maybe("sasl.user_file", sasl.user_file.as_deref().map(path_text));
        keys.put("sasl.password_file", path_text(&sasl.password_file));
    }
    keys.done()
}

fn redis(connection: &RedisConnection) -> Keys {
    let mut keys = Writer::default();
    address(&mut keys, connection.url.value.expose_secret());
    keys.maybe("user_file", connection.user_file.as_deref().map(path_text));
    keys.maybe("password_file", connection.password_file.as_deref().map(path_text));
    keys.put("pool", connection.pool);
    tls(&mut keys, connection.tls.as_ref());
    keys.done()
}

fn registry(connection: &RegistryConnection) -> Keys {
    let mut keys = Writer::default();
    address(&mut keys, connection.url.value.expose_secret());
    keys.maybe("user_file", connection.user_file.as_deref().map(path_text));
    keys.maybe("password_file", connection.password_file.as_deref().map(path_text));
    tls(&mut keys, connection.tls.as_ref());
    keys.done()
}

/// Files with passwords, certificates and keys are not digested: a node follows them as they change, so a new content is
/// no change of the topology.
fn tls(keys: &mut Writer, tls: Option<&Tls>) {
    let Some(Tls { ca_file, cert_file, key_file }) = tls else { return };
    keys.put("tls", true);
    for (key, path) in [("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)] {
        if let Some(path) = path {
            keys.put(format!("tls.{key}"), path_text(path));
        }
    }
}

/// A referenced file: its path, and the digest of what is in it.
pub(super) fn file(keys: &mut Writer, key: &str, path: &Path, files: &Files<'_>) {
    keys.put(key, path_text(path));
    keys.put(format!("{key}.content"), files(path).unwrap_or_else(|| "unreadable".to_owned()));
}

fn path_text(path: &Path) -> String {
    path.display().to_string()
}

/// `scheme://user@host:port/database` and a fingerprint of whatever else there is.
fn address(keys: &mut Writer, url: &str) {
    let (shown, hidden) = split(url);
    if !hidden.is_empty() {
        keys.put("secret", fingerprint(&shown, &hidden));
    }
    keys.put("url", shown);
}

/// What of an address may be shown, and what not. Anything that is not plainly an address is hidden: a password may hold
/// the letters that part an address, and then nobody can say where it ends.
fn split(url: &str) -> (String, String) {
    const NOT_SHOWN: &str = "(not shown)";
    let Some((scheme, rest)) = url.split_once("://") else { return (NOT_SHOWN.into(), url.into()) };
    let (user, password, after) = match rest.split_once('@') {
        None => ("", "", rest),
        Some((login, after)) if !login.contains(['/', '?', '#']) && !after.contains('@') => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (user, password, after)
        }
        Some(_) => return (format!("{scheme}://{NOT_SHOWN}"), rest.into()),
    };
    let (place, parameters) = after.split_once(['?', '#']).unwrap_or((after, ""));
    let at = if user.is_empty() { "" } else { "@" };
    let hidden = match (password, parameters) {
        ("", "") => String::new(),
        _ => format!("{password}\0{parameters}"),
    };
    (format!("{scheme}://{user}{at}{place}"), hidden)
}

fn fingerprint(salt: &str, secret: &str) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update([0]).chain_update(secret).finalize();
    format!("fingerprint {:02x}{:02x}", digest[0], digest[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_secret_wherever_it_was_put() {
        for (url, shown, hidden) in [
            ("postgres://u:p@h:1/d", "postgres://u@h:1/d", true),
            ("postgres://u:p@ss@h/d", "postgres://(not shown)", true),
            ("postgres://u:p@ss?x@h/d", "postgres://(not shown)", true),
            ("postgres://u:p?q@h/d", "postgres://(not shown)", true),
            ("postgres://u:p/q@h/d", "postgres://(not shown)", true),
            ("postgres://h/d?password=x@y", "postgres://(not shown)", true),
            ("postgres://u@h/d?password=p", "postgres://u@h/d", true),
            ("redis://:p@h:1/0", "redis://h:1/0", true),
            ("redis://h:1/0", "redis://h:1/0", false),
            ("host=h password=p", "(not shown)", true),
        ] {
            let (visible, secret) = split(url);
            assert_eq!((visible.as_str(), !secret.is_empty()), (shown, hidden), "{url}");
        }
    }

    #[test]
    fn a_fingerprint_tells_secrets_apart() {
        assert_ne!(fingerprint("redis://h", "one"), fingerprint("redis://h", "two"));
        assert_eq!(fingerprint("redis://h", "one"), fingerprint("redis://h", "one"));
    }
}
