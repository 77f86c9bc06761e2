//! Encryption and credentials, for a stack that is [`secured`](crate::Options::secured): certificates of a private
//! authority, and who may do what.
//!
//! Of a stack that is only secured the plain addresses stay as they are, so that whoever looks on from outside needs no
//! credentials; the encrypted ones stand beside them. A [closed](crate::Access::Closed) one has no others: brokers speak to
//! each other by certificates, a standby and a replica follow encrypted and under a name, and Redis knows nobody without
//! one. Passwords and certificates are made for the instance and end with it.

mod certificates;
mod kafka;
mod wire;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use certificates::{Certificates, Identity};

use crate::error::Error;
use crate::part::Part;
use crate::stack::Stack;
use crate::state::Port;
use crate::tls::Trust;
use kafka::{Controller, EVERYTHING, RECORDS};

pub(crate) use certificates::{AUTHORITY, BUNDLE, CERTIFICATE, KEY};

/// The user of Kafka's encrypted listeners and the owner of PostgreSQL.
pub const USER: &str = "aqueduct";
/// The user of Redis who may do everything, where nobody comes without a name.
pub const REDIS_OWNER: &str = "stack";
/// The name in the servers' certificates, by which brokers know each other.
pub(crate) const SERVER: &str = "localhost";
/// A user of PostgreSQL who comes with a certificate of this name and no password; the test creates the role.
pub const CERTIFIED_USER: &str = "certified";

const REQUEST_MAX: Duration = Duration::from_secs(20);

impl Stack {
    /// The certificates of a secured stack.
    ///
    /// # Panics
    /// The stack was brought up without [`crate::Options::secured`].
    #[must_use]
    pub fn certificates(&self) -> Certificates {
        assert!(self.options.access.encrypts(), "invariant: asked only of a secured stack");
        Certificates::of(&self.instance.folder)
    }

    /// Where the part speaks TLS, as `host:port`: Kafka with SASL (SCRAM-SHA-512 or PLAIN), PostgreSQL, Redis.
    ///
    /// # Panics
    /// The stack was brought up without the part, or without [`crate::Options::secured`].
    #[must_use]
    pub fn encrypted(&self, part: Part) -> String {
        assert!(self.options.access.encrypts(), "invariant: asked only of a secured stack");
        self.place(part, Port::Encrypted)
    }

    /// [`Stack::encrypted`] of every broker, with commas between them.
    #[must_use]
    pub fn encrypted_brokers(&self) -> String {
        let ours = Part::BROKERS.into_iter().filter(|broker| self.options.parts.contains(broker));
        ours.map(|broker| self.encrypted(broker)).collect::<Vec<_>>().join(",")
    }

    /// Where Kafka asks for a client's certificate in place of a password.
    ///
    /// # Panics
    /// Those of [`Stack::encrypted`].
    #[must_use]
    pub fn mutual(&self) -> String {
        self.place(Part::Kafka, Port::Mutual)
    }

    fn place(&self, part: Part, port: Port) -> String {
        let state = self.state();
        let ports = state.parts.get(&part).expect("invariant: asked only of a stack with that part");
        format!("127.0.0.1:{}", ports.further(port).unwrap_or(ports.port))
    }

    /// The password of [`USER`] at Kafka and at PostgreSQL.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn password(&self, part: Part) -> Result<String, Error> {
        self.instance.password(part)
    }

    /// The file of that password, which only its owner can read.
    #[must_use]
    pub fn password_file(&self, part: Part) -> PathBuf {
        self.instance.password_file(part)
    }

    /// Lets the part show another certificate from now on, and restarts it.
    ///
    /// # Errors
    /// The part does not start again.
    pub fn present(&self, part: Part, identity: Identity) -> Result<(), Error> {
        let folder = self.instance.part_folder(part);
        self.stop(part)?;
        self.certificates().install(identity, &folder)?;
        self.start(part)
    }

    /// Gives a user of Kafka this password for SCRAM-SHA-512, or takes it away. Connections are asked for it again within
    /// two seconds, and within a minute where the stack is closed.
    ///
    /// # Errors
    /// The broker refuses or does not answer.
    pub fn set_kafka_password(&self, user: &str, password: Option<&str>) -> Result<(), Error> {
        self.controller()
            .set_password(user, password)
            .map_err(Error::request(format!("set the password of {user} at kafka")))
    }

    /// Allows a user of Kafka everything, or nothing.
    ///
    /// # Errors
    /// The broker refuses or does not answer.
    pub fn allow_at_kafka(&self, user: &str, allowed: bool) -> Result<(), Error> {
        let changed =
            if allowed { self.controller().allow(user, &EVERYTHING) } else { self.controller().forbid(user) };
        changed.map_err(Error::request(format!("change what {user} may do at kafka")))
    }

    /// Lets a user of Kafka read and write the records of every topic, and nothing else: as a node comes.
    ///
    /// # Errors
    /// The broker refuses or does not answer.
    pub fn let_stream_at_kafka(&self, user: &str) -> Result<(), Error> {
        let allowed = self.controller().allow(user, &RECORDS);
        allowed.map_err(Error::request(format!("let {user} read and write at kafka")))
    }

    fn controller(&self) -> Controller {
        let brokers = self.kafka_bootstrap();
        let first = brokers.split(',').next().unwrap_or_default().to_owned();
        Controller { broker: first, trust: self.trust.clone(), patience: REQUEST_MAX }
    }
}

/// The broker's settings beyond those of a plain one. [`USER`] comes in by SCRAM; with a `password` by PLAIN too, and then
/// there is also a plain listener, where nobody has a name and everybody may do everything. Else brokers come to each other
/// by certificate, as does [`USER`].
pub(crate) fn kafka_settings(password: Option<&str>) -> String {
    let (mechanisms, reauthenticate_ms, access) = match password {
        Some(password) => (
            "SCRAM-SHA-512,PLAIN",
            kafka::REAUTHENTICATE_SOON_MS,
            format!(
                "listener.name.encrypted.plain.sasl.jaas.config=\
                 org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{password}\";\n\
                 super.users=User:ANONYMOUS\n"
            ),
        ),
        None => (
            "SCRAM-SHA-512",
            kafka::REAUTHENTICATE_MS,
            format!(
                "listener.name.controller.ssl.client.auth=required\n\
                 super.users=User:{SERVER};User:{USER}\n"
            ),
        ),
    };
    format!(
        "ssl.keystore.type=PEM\n\
         ssl.keystore.location={BUNDLE}\n\
         ssl.truststore.type=PEM\n\
         ssl.truststore.location={AUTHORITY}\n\
         ssl.principal.mapping.rules=RULE:^CN=([^,]+).*$/$1/,DEFAULT\n\
         listener.name.mutual.ssl.client.auth=required\n\
         listener.name.encrypted.sasl.enabled.mechanisms={mechanisms}\n\
         listener.name.encrypted.scram-sha-512.sasl.jaas.config=\
         org.apache.kafka.common.security.scram.ScramLoginModule required;\n\
         connections.max.reauth.ms={reauthenticate_ms}\n\
         authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
         {access}"
    )
}

/// Lets [`USER`] in, once the broker answers.
pub(crate) fn furnish_kafka(
    broker: &str,
    trust: Option<&Trust>,
    password: &str,
    patience: Duration,
) -> Result<(), String> {
    let controller = Controller { broker: broker.to_owned(), trust: trust.cloned(), patience };
    controller.set_password(USER, Some(password))?;
    controller.allow(USER, &EVERYTHING)
}

/// PostgreSQL's settings; the files are in the part's folder.
pub(crate) fn postgres_settings() -> String {
    format!(
        "ssl = on\n\
         ssl_cert_file = '/instance/{CERTIFICATE}'\n\
         ssl_key_file = '/instance/{KEY}'\n\
         ssl_ca_file = '/instance/{AUTHORITY}'\n"
    )
}

/// Who may come in: by certificate the one user, by password everybody else.
pub(crate) const POSTGRES_ACCESS: &str = "\
local all all scram-sha-256
hostssl all certified 127.0.0.1/32 cert
host all all 127.0.0.1/32 scram-sha-256
hostssl replication all 127.0.0.1/32 scram-sha-256
";

/// The same where nobody comes in clear.
pub(crate) const POSTGRES_CLOSED: &str = "\
local all all scram-sha-256
hostssl all certified 127.0.0.1/32 cert
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl replication all 127.0.0.1/32 scram-sha-256
";

/// Redis' settings. A client need not have a certificate, unless told otherwise at run time (`tls-auth-clients`).
pub(crate) fn redis_settings(port: u16) -> String {
    format!(
        "tls-port {port}\n\
         tls-cert-file /instance/{CERTIFICATE}\n\
         tls-key-file /instance/{KEY}\n\
         tls-ca-cert-file /instance/{AUTHORITY}\n\
         tls-auth-clients optional\n"
    )
}

/// Puts the part's own certificate into its folder, unless one is there already. What was written.
pub(crate) fn install(instance: &Path, folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let certificates = Certificates::of(instance);
    if !folder.join(CERTIFICATE).exists() {
        certificates.install(Identity::Good, folder)?;
    }
    Ok([CERTIFICATE, KEY, BUNDLE, AUTHORITY].map(|name| folder.join(name)).to_vec())
}

#[cfg(test)]
mod tests;
