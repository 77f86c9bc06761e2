//! What lies in a staging's folder, and by which names programs find it.
//!
//! ```text
//! secrets/       a file each, of its owner alone: who logs in where, the authority, the admin token
//! topology/      the built-in topology with its migrations
//! engine.yaml    the nodes' settings
//! env            what `staging env` prints; no secret is in it
//! staging.json   the same for programs, and what was given to the nodes
//! ```

use super::NAME;
use crate::rotate::random_password;
use anyhow::{Context, Result};
use aqueduct_config::topologies;
use aqueduct_stack::{Part, Stack, commands};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longest that a node drains; a part is given more than that to end.
const SETTINGS: &str = "drain_deadline: 30s\n";

/// See the module.
pub(super) struct Place {
    folder: PathBuf,
}

/// What was given to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    /// The nodes' topology.
    pub(super) topology: PathBuf,
    /// A digest of its text: nodes that run another begin anew.
    pub(super) digest: String,
    /// Their environment.
    pub(super) nodes: Vec<(String, String)>,
    /// What an operator gets.
    pub(super) operator: Vec<(String, String)>,
}

impl Place {
    pub(super) fn of(stack: &Stack) -> Self {
        Self { folder: stack.folder().to_owned() }
    }

    /// Makes what is not there yet: logins stay as they are, they may have been rotated.
    pub(super) fn lay(&self, stack: &Stack) -> Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.folder.join("secrets"))?;
        let authority = stack.certificates().authority();
        write(&self.secret("ca.pem"), &fs::read_to_string(&authority).context("read the authority")?)?;
        for part in [Part::Kafka, Part::Timescale, Part::Redis] {
            keep(&self.user_file(part), || first_user(part))?;
            keep(&self.password_file(part), || random_password().expose_secret().to_owned())?;
        }
        keep(&self.secret("admin-token"), || random_password().expose_secret().to_owned())?;
        let token = format!("admin: {{ token_file: \"{}\" }}\n", self.secret("admin-token").display());
        write(&self.settings(), &format!("{SETTINGS}{token}"))
    }

    /// The topology that ran before, or else the one that is part of this program, as files.
    pub(super) fn topology(&self) -> Result<PathBuf> {
        let (own, before) = (self.own_topology()?, self.told()?.topology);
        Ok(if before.as_os_str().is_empty() { own } else { before })
    }

    fn own_topology(&self) -> Result<PathBuf> {
        let example = topologies::example(NAME).context("the topology is part of the binary")?;
        let folder = self.folder.join("topology");
        fs::create_dir_all(folder.join("migrations"))?;
        for (name, text) in &example.migrations {
            write(&folder.join("migrations").join(name), text)?;
        }
        let file = folder.join("topology.yaml");
        write(&file, example.text)?;
        Ok(file)
    }

    pub(super) fn settings(&self) -> PathBuf {
        self.folder.join("engine.yaml")
    }

    pub(super) fn env_file(&self) -> PathBuf {
        self.folder.join("env")
    }

    pub(super) fn secret(&self, name: &str) -> PathBuf {
        self.folder.join("secrets").join(name)
    }

    pub(super) fn user_file(&self, part: Part) -> PathBuf {
        self.secret(&format!("{part}.user"))
    }

    pub(super) fn password_file(&self, part: Part) -> PathBuf {
        self.secret(&format!("{part}.password"))
    }

    /// Who logs in there now.
    pub(super) fn user(&self, part: Part) -> Result<String> {
        read(&self.user_file(part))
    }

    /// What a topology may name. Where a server has a standby, both are in the address, as a managed one gives them.
    pub(super) fn variables(&self, stack: &Stack) -> Result<Vec<(String, String)>> {
        let text = |path: PathBuf| path.display().to_string();
        let hosts = [Part::Timescale, Part::Standby].map(|part| stack.encrypted(part)).join(",");
        let redis = redis_url(stack, &self.user(Part::Redis)?);
        Ok([
            ("KAFKA_BOOTSTRAP", stack.encrypted_brokers()),
            ("KAFKA_USER_FILE", text(self.user_file(Part::Kafka))),
            ("KAFKA_PASSWORD_FILE", text(self.password_file(Part::Kafka))),
            ("TIMESCALE_URL", format!("postgres://{hosts}/{DATABASE}?{ENCRYPTED}&{WRITABLE}")),
            ("TIMESCALE_USER_FILE", text(self.user_file(Part::Timescale))),
            ("TIMESCALE_PASSWORD_FILE", text(self.password_file(Part::Timescale))),
            ("REDIS_URL", redis),
            ("REDIS_PASSWORD_FILE", text(self.password_file(Part::Redis))),
            ("CA_FILE", text(self.secret("ca.pem"))),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec())
    }

    /// What an operator needs beside those: the nodes, and how to change users.
    pub(super) fn operator(&self, stack: &Stack, topology: &Path) -> Result<Vec<(String, String)>> {
        let text = |path: &Path| path.display().to_string();
        let nodes: Vec<String> = node_urls(stack);
        let owner = stack.encrypted(Part::Timescale);
        let mut variables = self.variables(stack)?;
        variables.extend(
            [
                ("STAGING_TOPOLOGY", text(topology)),
                ("STAGING_NODES", nodes.join(",")),
                ("AQUEDUCT_NODE_URL", nodes.first().cloned().unwrap_or_default()),
                ("AQUEDUCT_ADMIN_TOKEN_FILE", text(&self.secret("admin-token"))),
                ("PROMETHEUS_ADDRESS", stack.address(Part::Prometheus).unwrap_or_default()),
                (
                    "AQUEDUCT_ROTATE_TIMESCALE_URL",
                    format!("postgres://{OWNER}@{owner}/{DATABASE}?{ENCRYPTED}"),
                ),
                ("AQUEDUCT_ROTATE_TIMESCALE_PASSWORD_FILE", text(&stack.password_file(Part::Timescale))),
                ("AQUEDUCT_ROTATE_KAFKA_USER", OWNER.to_owned()),
                ("AQUEDUCT_ROTATE_KAFKA_PASSWORD_FILE", text(&stack.password_file(Part::Kafka))),
                ("AQUEDUCT_ROTATE_REDIS_URL", redis_url(stack, REDIS_OWNER)),
                ("AQUEDUCT_ROTATE_REDIS_PASSWORD_FILE", text(&stack.password_file(Part::Redis))),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        Ok(variables)
    }

    /// What was given before, if anything was.
    pub(super) fn told(&self) -> Result<Told> {
        match fs::read_to_string(self.folder.join("staging.json")) {
            Ok(text) => serde_json::from_str(&text).context("read what was given to the nodes"),
            Err(_) => Ok(Told::default()),
        }
    }

    pub(super) fn tell(&self, told: &Told) -> Result<()> {
        write(&self.folder.join("staging.json"), &serde_json::to_string_pretty(told)?)?;
        let line = |(name, value): &(String, String)| format!("export {name}={}\n", commands::quoted(value));
        write(&self.env_file(), &told.operator.iter().map(line).collect::<String>())
    }
}

/// The database of a stack, its owner, and who may change users of Redis.
const DATABASE: &str = "aqueduct";
const OWNER: &str = aqueduct_stack::secured::USER;
const REDIS_OWNER: &str = aqueduct_stack::secured::REDIS_OWNER;
const ENCRYPTED: &str = "sslmode=verify-full";
const WRITABLE: &str = "target_session_attrs=read-write";

/// Both servers: who leads is asked at each connect, and users are changed on each.
fn redis_url(stack: &Stack, user: &str) -> String {
    let hosts = [Part::Redis, Part::Replica].map(|part| stack.encrypted(part)).join(",");
    format!("rediss://{user}@{hosts}/0")
}

/// The admin endpoints.
pub(super) fn node_urls(stack: &Stack) -> Vec<String> {
    Part::NODES.into_iter().filter_map(|node| Some(format!("http://{}", stack.address(node)?))).collect()
}

/// Where two take turns, the first of them.
fn first_user(part: Part) -> String {
    if part == Part::Redis { NAME.to_owned() } else { format!("{NAME}_a") }
}

fn keep(path: &Path, text: impl FnOnce() -> String) -> Result<()> {
    if path.exists() { Ok(()) } else { write(path, &text()) }
}

/// Whole or not at all, for its owner alone.
fn write(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_extension("new");
    let written = || {
        let _ = fs::remove_file(&fresh);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)?
            .write_all(text.as_bytes())?;
        fs::rename(&fresh, path)
    };
    written().with_context(|| format!("write {}", path.display()))
}

fn read(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(text.trim().to_owned())
}
