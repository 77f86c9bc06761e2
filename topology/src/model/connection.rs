//! The clusters a topology speaks to. Passwords never print.

use crate::Spanned;
use secrecy::{ExposeSecret, SecretString};
use std::path::PathBuf;

/// At most one cluster of each part. What a file leaves out comes from `KAFKA_BOOTSTRAP`, `TIMESCALE_URL`, `REDIS_URL`,
/// `SCHEMA_REGISTRY_URL`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connections {
    /// The Kafka cluster.
    pub kafka: Option<KafkaConnection>,
    /// The TimescaleDB server.
    pub timescale: Option<TimescaleConnection>,
    /// The Redis server.
    pub redis: Option<RedisConnection>,
    /// The registry of schemas.
    pub registry: Option<RegistryConnection>,
}

/// A Kafka cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct KafkaConnection {
    /// `host:port[,host:port..]`.
    pub bootstrap: Spanned<String>,
    /// Encryption, if any.
    pub tls: Option<Tls>,
    /// Authentication, if any.
    pub sasl: Option<Sasl>,
}

/// A PostgreSQL server with the TimescaleDB extension.
#[derive(Clone, Debug)]
pub struct TimescaleConnection {
    /// `postgres://user[:password]@host[:port]/database[?sslmode=..]`; may hold a password, so it never prints.
    pub url: Spanned<SecretString>,
    /// Where the user is, in place of the one in `url`.
    pub user_file: Option<PathBuf>,
    /// Where the password is. What changes there is proven against the server, then used.
    pub password_file: Option<PathBuf>,
    /// Connections kept.
    pub pool: u32,
    /// Encryption, if any.
    pub tls: Option<Tls>,
}

impl PartialEq for TimescaleConnection {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose_secret() == other.url.expose_secret()
            && self.user_file == other.user_file
            && self.password_file == other.password_file
            && self.pool == other.pool
            && self.tls == other.tls
    }
}

/// A Redis server.
#[derive(Clone, Debug)]
pub struct RedisConnection {
    /// `redis[s]://[user:password@]host[:port][/database]`; may hold a password, so it never prints.
    pub url: Spanned<SecretString>,
    /// Where the user is, in place of the one in `url`.
    pub user_file: Option<PathBuf>,
    /// Where the password is. What changes there is proven against the server, then used.
    pub password_file: Option<PathBuf>,
    /// Connections kept.
    pub pool: u32,
    /// Encryption; without it `rediss://` checks the server by the system's authorities.
    pub tls: Option<Tls>,
}

impl PartialEq for RedisConnection {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose_secret() == other.url.expose_secret()
            && self.user_file == other.user_file
            && self.password_file == other.password_file
            && self.pool == other.pool
            && self.tls == other.tls
    }
}

/// A registry of schemas that speaks Confluent's REST API.
#[derive(Clone, Debug)]
pub struct RegistryConnection {
    /// `http[s]://[user:password@]host[:port][,host[:port]..][/path]`; may hold a password, so it never prints.
    pub url: Spanned<SecretString>,
    /// Where the user is, in place of the one in `url`.
    pub user_file: Option<PathBuf>,
    /// Where the password is. What changes there is proven against the server, then used.
    pub password_file: Option<PathBuf>,
    /// Encryption; without it `https://` checks the server by the system's authorities.
    pub tls: Option<Tls>,
}

impl PartialEq for RegistryConnection {
    fn eq(&self, other: &Self) -> bool {
        self.url.expose_secret() == other.url.expose_secret()
            && self.user_file == other.user_file
            && self.password_file == other.password_file
            && self.tls == other.tls
    }
}

/// Certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Who signs the server's certificate; the system's authorities if absent.
    pub ca_file: Option<PathBuf>,
    /// Our own certificate.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
}

/// Kafka authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// One of [`Sasl::MECHANISMS`].
    pub mechanism: String,
    /// Who we are.
    pub user: String,
    /// Where the user is, in place of `user`.
    pub user_file: Option<PathBuf>,
    /// Where the password is.
    pub password_file: PathBuf,
}

impl Sasl {
    /// The ways in which a password is proved.
    pub const MECHANISMS: &'static [&'static str] = &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
}
