//! The topology's database as Java's driver takes it. The password is apart, and never part of a text.

use super::ROLE;
use crate::credentials::{Files, Material};
use crate::timescale::connect::without_sslmode;
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::TimescaleConnection;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::path::Path;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// See the module.
#[derive(Debug)]
pub struct Address {
    /// Spark's options for the driver.
    pub options: BTreeMap<String, String>,
    /// The password, if there is one.
    pub password: Option<SecretString>,
}

/// What every session of the driver is set to: the role of exports, no names but the system's own, time enough.
fn session() -> String {
    ["-c role=", ROLE, " -c search_path=pg_catalog,pg_temp -c statement_timeout=0"].concat()
}

/// Of `connection`, under that name of sessions.
pub fn address(connection: &TimescaleConnection, application: &str) -> Result<Address, Error> {
    let (url, sslmode) = without_sslmode(connection.url.expose_secret());
    let wrong = |why: &str| Error::new(Class::Config, format!("the timescale connection's url {why}"));
    let config: Config = url.parse().map_err(|_| wrong("is not understood"))?;
    let mut options = BTreeMap::new();
    let mut set = |name: &str, value: String| options.insert(name.to_owned(), value);
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    let url = ["jdbc:postgresql://", &hosts(&config)?, "/", &escaped(database)].concat();
    set("url", url);
    set("driver", "org.postgresql.Driver".into());
    let material = Material::read(&Files::from(connection))?;
    let user = material.user().or(config.get_user()).ok_or_else(|| wrong("names no user"))?;
    set("user", user.to_owned());
    set("ApplicationName", application.to_owned());
    set("options", session());
    // Not by the session's settings: by those the driver would take a primary for a standby.
    set("readOnly", "true".into());
    set("readOnlyMode", "always".into());
    set("targetServerType", "primary".into());
    set("tcpKeepAlive", "true".into());
    set("connectTimeout", "10".into());
    let tls = connection.tls.as_ref();
    let checked = tls.is_some().then(|| "verify-full".to_owned());
    set("sslmode", sslmode.or(checked).unwrap_or_else(|| "prefer".into()));
    let file = |file: &Path| std::path::absolute(file).unwrap_or_else(|_| file.into()).display().to_string();
    for (name, path) in [
        ("sslrootcert", tls.and_then(|tls| tls.ca_file.as_deref())),
        ("sslcert", tls.and_then(|tls| tls.cert_file.as_deref())),
        ("sslkey", tls.and_then(|tls| tls.key_file.as_deref())),
    ] {
        if let Some(path) = path {
            set(name, file(path));
        }
    }
    let password = match material.password() {
        Some(password) => Some(password.clone()),
        None => config.get_password().map(|bytes| String::from_utf8_lossy(bytes).into_owned().into()),
    };
    Ok(Address { options, password })
}

fn hosts(config: &Config) -> Result<String, Error> {
    let ports = config.get_ports();
    let mut hosts = Vec::new();
    for (index, host) in config.get_hosts().iter().enumerate() {
        let Host::Tcp(name) = host else {
            let message = "exports reach the database by TCP: name a host, not a socket's folder";
            return Err(Error::new(Class::Config, message));
        };
        let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
        let name = if name.contains(':') { ["[", name, "]"].concat() } else { name.clone() };
        hosts.push(format!("{name}:{port}"));
    }
    Ok(hosts.join(","))
}

/// As an address takes it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use aqueduct_topology::{Span, Spanned};

    #[test]
    fn an_address_has_every_host_and_no_password() {
        let url = "postgres://u:ge%40heim@a,b:5433/my%20db?sslmode=require";
        let url = Spanned::new(SecretString::from(url.to_owned()), Span::default());
        let connection =
            TimescaleConnection { url, user_file: None, password_file: None, pool: 1, tls: None };
        let address = address(&connection, "aqueduct/t/export").unwrap();
        assert_eq!(address.options["url"], "jdbc:postgresql://a:5432,b:5433/my%20db");
        assert_eq!((&*address.options["user"], &*address.options["sslmode"]), ("u", "require"));
        assert!(address.options["options"].contains("role=aqueduct_export "));
        assert!(!format!("{address:?}").contains("heim"));
        assert_eq!(address.password.unwrap().expose_secret(), "ge@heim");
    }
}
