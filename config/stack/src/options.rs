//! What the caller wants: which parts, under which name, for how long.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dir::StackDir;
use crate::environment::variable;
use crate::error::Error;
use crate::part::Part;

/// The name of the instance that the command line uses unless told otherwise.
pub const DEFAULT_NAME: &str = "default";

/// Names of private instances begin so; nobody else's may.
pub(crate) const PRIVATE: &str = "private-";

/// How long a shared instance waits for its next user, so that test programs run one after another share it.
const LINGER: Duration = Duration::from_secs(20);

/// Until when an instance lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until `down`, whatever becomes of the process that started it.
    Kept,
    /// Until some seconds after its last user has ended, orderly or not. Its data are deleted when it is started anew.
    /// For tests of several processes.
    Shared,
    /// As long as its only user; it has a name of its own, and its folder is deleted with it.
    Private,
}

impl Lifetime {
    pub(crate) fn linger_seconds(self) -> u64 {
        if self == Lifetime::Shared { LINGER.as_secs() } else { 0 }
    }
}

/// Addresses of the user's own servers, each of which replaces a part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// `host:port[,host:port..]`
    pub kafka_bootstrap: Option<String>,
    /// `postgres://user:password@host:port/database`
    pub timescale_url: Option<String>,
    /// `redis://[:password@]host:port/database`
    pub redis_url: Option<String>,
}

impl Own {
    /// Reads `KAFKA_BOOTSTRAP`, `TIMESCALE_URL` and `REDIS_URL`.
    #[must_use]
    pub fn from_env() -> Self {
        Own {
            kafka_bootstrap: variable(Part::Kafka.variable()),
            timescale_url: variable(Part::Timescale.variable()),
            redis_url: variable(Part::Redis.variable()),
        }
    }

    /// The address that replaces `part`.
    #[must_use]
    pub fn address(&self, part: Part) -> Option<&str> {
        match part {
            Part::Kafka | Part::Broker2 | Part::Broker3 => self.kafka_bootstrap.as_deref(),
            Part::Timescale => self.timescale_url.as_deref(),
            Part::Redis => self.redis_url.as_deref(),
            Part::Standby
            | Part::Replica
            | Part::Sentinel
            | Part::Toxiproxy
            | Part::Prometheus
            | Part::Node1
            | Part::Node2 => None,
        }
    }
}

/// Who is let in, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// In clear; loopback is the protection.
    #[default]
    Open,
    /// Encrypted addresses that ask for credentials stand beside the open ones; see [`crate::secured`].
    Both,
    /// There is no other way than an encrypted one, and nobody comes in without credentials: as a managed service has it.
    Closed,
}

impl Access {
    /// Whether the parts have certificates.
    pub(crate) fn encrypts(self) -> bool {
        self != Access::Open
    }

    pub(crate) fn is_open(&self) -> bool {
        *self == Access::Open
    }
}

/// How [`Part::NODES`] are started: a program of the caller's, which is told its name and where to listen by the
/// environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nodes {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; every user of the machine can read them.
    pub arguments: Vec<OsString>,
    /// Its whole environment, beside what it is told.
    pub environment: Vec<(String, String)>,
    /// What their names begin with: `staging` for `staging-1` and `staging-2`.
    pub name: String,
}

/// Describes the stack to bring up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where software and data are.
    pub dir: StackDir,
    /// The instance: its data, ports and processes are apart from those of any other. A private one gets a suffix.
    pub name: String,
    /// Which parts are wanted; [`Part::DEFAULT`] unless told otherwise.
    pub parts: Vec<Part>,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// The user's own servers.
    pub own: Own,
    /// Replaces the mirror found in the machine's apt sources.
    pub debian_mirror: Option<String>,
    /// Redis asks for this password, if any; letters and digits. Without one, loopback is its only protection.
    pub redis_password: Option<String>,
    /// Who is let in. For an instance that starts anew.
    pub access: Access,
    /// What the nodes are, where they are asked for.
    pub nodes: Option<Nodes>,
    /// The command that brings it up and down, for messages: `stack`.
    pub command: &'static str,
}

impl Options {
    /// The default parts under `name`, with folder, own servers and mirror from the environment.
    ///
    /// # Errors
    /// No usable folder (see [`StackDir::from_env`]).
    pub fn from_env(name: &str, lifetime: Lifetime) -> Result<Self, Error> {
        let mut options = Options::new(StackDir::from_env()?, name, lifetime);
        options.own = Own::from_env();
        options.debian_mirror = variable("AQUEDUCT_DEBIAN_MIRROR");
        Ok(options)
    }

    /// The default parts under `name` in `dir`; the environment is not read.
    #[must_use]
    pub fn new(dir: StackDir, name: &str, lifetime: Lifetime) -> Self {
        Options {
            dir,
            name: name.to_owned(),
            parts: Part::DEFAULT.to_vec(),
            lifetime,
            own: Own::default(),
            debian_mirror: None,
            redis_password: None,
            access: Access::Open,
            nodes: None,
            command: "stack",
        }
    }

    /// Only these parts.
    #[must_use]
    pub fn parts(mut self, parts: &[Part]) -> Self {
        self.parts = parts.to_vec();
        self
    }

    /// With encrypted addresses beside the open ones.
    #[must_use]
    pub fn secured(mut self) -> Self {
        self.access = Access::Both;
        self
    }

    /// With no way in but an encrypted one with credentials.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.access = Access::Closed;
        self
    }

    /// The wanted parts that the stack runs itself.
    pub(crate) fn ours(&self) -> Vec<Part> {
        Part::ALL
            .into_iter()
            .filter(|part| self.parts.contains(part) && self.own.address(*part).is_none())
            .collect()
    }

    /// Names become folders: nothing in them may lead elsewhere. A replica has somebody to follow.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let ours = self.ours();
        for part in [Part::Replica, Part::Sentinel] {
            if ours.contains(&part) && !ours.contains(&Part::Redis) {
                return Err(Error::Unusable(format!(
                    "a {part} follows the Redis of its own stack: ask for that too, and leave REDIS_URL unset"
                )));
            }
        }
        if self.access == Access::Closed && self.own != Own::default() {
            return Err(Error::Unusable("a closed stack has all of its servers itself".into()));
        }
        if self.access == Access::Closed && ours.contains(&Part::Toxiproxy) {
            return Err(Error::Unusable("nothing leads to a closed stack by way of toxiproxy".into()));
        }
        let plain =
            |text: &str, also: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || also.contains(c));
        if self.name.is_empty()
            || self.name.len() > 64
            || self.name.starts_with('-')
            || !plain(&self.name, "-_")
        {
            return Err(Error::Unusable(format!(
                "stack name `{}`: use up to 64 letters, digits, `-` and `_`",
                self.name
            )));
        }
        if self.name.starts_with(PRIVATE) {
            return Err(Error::Unusable(format!("stack name `{}`: `{PRIVATE}` is reserved", self.name)));
        }
        if self
            .redis_password
            .as_deref()
            .is_some_and(|password| password.is_empty() || !plain(password, "-_"))
        {
            return Err(Error::Unusable("redis password: use letters, digits, `-` and `_`".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: &str) -> Options {
        Options::new(StackDir::new("/cache").unwrap(), name, Lifetime::Kept)
    }

    #[test]
    fn a_name_cannot_leave_its_folder() {
        for name in ["", "..", "private-x", "a/b", "-x", "a b", "a\n"] {
            assert!(options(name).validate().is_err(), "{name:?}");
        }
        assert!(options("test_2-a").validate().is_ok());
    }

    #[test]
    fn an_own_server_takes_its_part_out_of_the_stack() {
        let mut options = options("a").parts(&[Part::Redis, Part::Kafka]);
        assert_eq!(options.ours(), [Part::Kafka, Part::Redis]);
        options.own.redis_url = Some("redis://cache".into());
        assert_eq!(options.ours(), [Part::Kafka]);
    }
}
