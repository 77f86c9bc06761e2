//! The servers' side of a rotation of credentials: a login comes, and later another one goes. The order of the two, the files
//! and the nodes in between are the command's (`aqueduct rotate`).
//!
//! No step disturbs who is logged in: TimescaleDB and Kafka know two users that take turns, Redis knows two passwords of one
//! user ([ADR 0022](../../../engine/docs/adr/0022-rotation-alternates.md)). Each step may be done again.
//! Redis servers tell each other of no users, so each that an address names is changed.
//!
//! Invariant: no password reaches a server in clear, other than to log in: they are sent as what the server keeps of them.

mod kafka;
mod redis;
mod timescale;

use crate::credentials::keeper::Door;
use crate::credentials::{Files, Material};
use crate::hosts;
use crate::kafka::cluster::Cluster;
use crate::timescale::Timescale;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::{KafkaConnection, RedisConnection, TimescaleConnection, Topology};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Whose login is rotated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The user of the database.
    Timescale,
    /// The SCRAM user of the brokers.
    Kafka,
    /// The ACL user of Redis.
    Redis,
}

impl Part {
    /// As in `connections`, and in `/api/secrets`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Timescale => "timescale",
            Part::Kafka => "kafka",
            Part::Redis => "redis",
        }
    }

    /// Whether two users take turns; else one user has two passwords for a while.
    pub fn alternates(self) -> bool {
        self != Part::Redis
    }
}

/// How somebody comes in who may change users.
#[derive(Clone, Debug)]
pub enum Admin {
    /// To the database.
    Timescale(TimescaleConnection),
    /// To the brokers.
    Kafka(KafkaConnection),
    /// To Redis.
    Redis(RedisConnection),
}

/// What takes the place of what.
#[derive(Clone, Debug)]
pub struct Change {
    /// Who logs in now.
    pub from: String,
    /// Who shall; the same where one user has two passwords.
    pub to: String,
    /// The digest of the password that goes, as Redis keeps it.
    pub old_digest: String,
    /// Kafka's `sasl.mechanism`.
    pub mechanism: String,
}

/// The files of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginFiles {
    /// Of the user, where two take turns.
    pub user: Option<PathBuf>,
    /// Of the password.
    pub password: PathBuf,
}

/// Where the login of `part` lies; an error says what a topology lacks to be rotated.
pub fn login_files(topology: &Topology, part: Part) -> Result<LoginFiles, Error> {
    let files = files(topology, part)?;
    let refused = |message: String| Error::new(Class::Config, message);
    let name = part.name();
    let Some(password) = files.password else {
        return Err(refused(format!(
            "`connections.{name}` keeps its password in its address; put it into a `password_file`, which a node follows"
        )));
    };
    if part.alternates() && files.user.is_none() {
        return Err(refused(format!(
            "two users of {name} take turns, so the name of the one in use must lie in a file; add `user_file` to \
             `connections.{name}`"
        )));
    }
    Ok(LoginFiles { user: files.user, password })
}

/// The same topology with its login for `part` in other files.
pub fn with_login_files(topology: &Topology, part: Part, files: &LoginFiles) -> Topology {
    let mut topology = topology.clone();
    let connections = &mut topology.connections;
    let LoginFiles { user, password } = files.clone();
    if let (Part::Timescale, Some(connection)) = (part, &mut connections.timescale) {
        (connection.user_file, connection.password_file) = (user, Some(password));
    } else if let (Part::Redis, Some(connection)) = (part, &mut connections.redis) {
        (connection.user_file, connection.password_file) = (user, Some(password));
    } else if let (Part::Kafka, Some(sasl)) =
        (part, connections.kafka.as_mut().and_then(|it| it.sasl.as_mut()))
    {
        (sasl.user_file, sasl.password_file) = (user, password);
    }
    topology
}

/// Which login of `part` the files hold, as nodes name it.
pub fn generation(topology: &Topology, part: Part) -> Result<String, Error> {
    let material = Material::read(&files(topology, part)?)?;
    let [login, _] = material.generations(&format!("{}/{}", topology.name.value, part.name()));
    Ok(login)
}

/// Fails unless the server lets us in with what the files hold, to where the topology has to go.
pub async fn prove(topology: &Topology, part: Part, clock: Clock) -> Result<(), Error> {
    let (connections, name) = (&topology.connections, &topology.name.value);
    match part {
        Part::Timescale => {
            let connection = connections.timescale.as_ref().ok_or_else(|| none(part))?;
            Timescale::new(connection, name, "rotate", clock)?.prove(topology).await
        }
        Part::Kafka => {
            let connection = connections.kafka.clone().ok_or_else(|| none(part))?;
            let cluster = Cluster::new(connection, name, clock);
            cluster.visit(topology).prove(&cluster.login()?).await
        }
        Part::Redis => {
            let connection = connections.redis.as_ref().ok_or_else(|| none(part))?;
            redis::prove(connection, name, clock).await
        }
    }
}

impl Admin {
    /// Makes a user who may do what a topology needs; for drills and staging, which begin with none.
    pub async fn admit(&self, user: &str, password: &SecretString, clock: Clock) -> Result<(), Error> {
        let mechanism = "SCRAM-SHA-512".to_owned();
        let change = Change { from: user.into(), to: user.into(), old_digest: String::new(), mechanism };
        match self {
            Admin::Timescale(connection) => {
                timescale::create(connection, &change, password, clock.clone()).await?;
                timescale::grant(connection, "aqueduct_writer", user, clock).await
            }
            Admin::Kafka(connection) => kafka::alter(connection, &change, Some(password)).await,
            Admin::Redis(connection) => redis::admit(connection, user, password, clock).await,
        }
    }

    /// Lets such a user drop old rows by schedules too, which is the database's alone to allow.
    pub async fn let_retain(&self, user: &str, clock: Clock) -> Result<(), Error> {
        match self {
            Admin::Timescale(connection) => {
                timescale::grant(connection, "aqueduct_retention", user, clock).await
            }
            Admin::Kafka(_) | Admin::Redis(_) => Ok(()),
        }
    }

    /// The new login comes: a user that exists from now on, or a further password.
    pub async fn create(&self, change: &Change, password: &SecretString, clock: Clock) -> Result<(), Error> {
        match self {
            Admin::Timescale(connection) => timescale::create(connection, change, password, clock).await,
            Admin::Kafka(connection) => kafka::alter(connection, change, Some(password)).await,
            Admin::Redis(connection) => redis::create(connection, change, password, clock).await,
        }
    }

    /// What is to be said of each server that does not answer or does not know the new login; empty = all know it. Kafka and
    /// the database tell it to each other.
    pub async fn lacking(&self, change: &Change, password: &SecretString, clock: Clock) -> Vec<String> {
        match self {
            Admin::Timescale(_) | Admin::Kafka(_) => Vec::new(),
            Admin::Redis(connection) => redis::lacking(connection, change, password, clock).await,
        }
    }

    /// The old login goes; gives what else there is to know, for people.
    pub async fn revoke(&self, change: &Change, clock: Clock) -> Result<Option<String>, Error> {
        match self {
            Admin::Timescale(connection) => timescale::revoke(connection, change, clock).await.map(Some),
            Admin::Kafka(connection) => kafka::alter(connection, change, None).await.map(|()| None),
            Admin::Redis(connection) => redis::revoke(connection, change, clock).await,
        }
    }
}

/// How many servers an address of Redis names; each keeps users of its own.
pub fn redis_servers(connection: &RedisConnection) -> usize {
    hosts::each(connection.url.expose_secret()).len()
}

/// As Redis keeps passwords.
pub fn digest(password: &SecretString) -> String {
    Sha256::digest(password.expose_secret()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn files(topology: &Topology, part: Part) -> Result<Files, Error> {
    let connections = &topology.connections;
    let found = match part {
        Part::Timescale => connections.timescale.as_ref().map(Files::from),
        Part::Kafka => connections.kafka.as_ref().map(Files::from),
        Part::Redis => connections.redis.as_ref().map(Files::from),
    };
    found.ok_or_else(|| none(part))
}

fn none(part: Part) -> Error {
    Error::new(Class::Config, format!("the topology has no `connections.{}`", part.name()))
}
