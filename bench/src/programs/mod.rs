//! The programs that do the same work: the engine, one without an engine, and peers as their experts would set them up.
//!
//! Each is one process (some of them Java's or Python's) that drains the task's topic into `bench.trades`, and is watched
//! from outside alone. A peer is fetched once, beside the stack's software, and only where that is asked for.

mod aqueduct;
mod by_hand;
mod bytewax;
mod flink;
mod kafka_connect;
mod telegraf;

use crate::stage::{Stage, Task};
use crate::usage::{self, Usage};
use crate::workload::{Sinks, Work};
use anyhow::{Context, Result, bail};
use aqueduct_stack::software::{self, Fetching, Recipe};
use aqueduct_stack::{Error, StackDir, progress};
use serde::Serialize;
use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub use aqueduct::{command as engine_command, topology_of as engine_topology};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Program {
    /// The engine.
    Aqueduct,
    /// Consume, parse, COPY, SET in one loop.
    ByHand,
    /// Telegraf.
    Telegraf,
    /// Kafka Connect with Debezium's JDBC sink.
    KafkaConnect,
    /// Apache Flink.
    Flink,
    /// Bytewax.
    Bytewax,
}

impl Program {
    /// Those of others.
    pub const PEERS: [Program; 4] =
        [Program::Telegraf, Program::KafkaConnect, Program::Flink, Program::Bytewax];

    /// Its name in reports.
    pub fn title(self) -> &'static str {
        match self {
            Program::Aqueduct => "aqueduct",
            Program::ByHand => "by hand",
            Program::Telegraf => "Telegraf 1.37",
            Program::KafkaConnect => "Kafka Connect 4.2, Debezium JDBC",
            Program::Flink => "Flink 2.2",
            Program::Bytewax => "Bytewax 0.21",
        }
    }

    /// Its name in those of folders and groups.
    pub fn word(self) -> &'static str {
        match self {
            Program::Aqueduct => "aqueduct",
            Program::ByHand => "by-hand",
            Program::Telegraf => "telegraf",
            Program::KafkaConnect => "kafka-connect",
            Program::Flink => "flink",
            Program::Bytewax => "bytewax",
        }
    }

    /// Why it cannot do this; `None` if it can.
    pub fn cannot(self, work: Work, sinks: Sinks) -> Option<&'static str> {
        match self {
            Program::Aqueduct | Program::ByHand => None,
            _ if work != Work::Ticks => {
                Some("its decoder takes flat JSON; this would be a program of one's own")
            }
            Program::Telegraf | Program::KafkaConnect if sinks == Sinks::Both => {
                Some("it has no sink for plain Redis values")
            }
            _ => None,
        }
    }

    fn recipe(self) -> Option<Recipe<'static>> {
        match self {
            Program::Aqueduct | Program::ByHand => None,
            Program::Telegraf => Some(telegraf::RECIPE),
            Program::KafkaConnect => Some(kafka_connect::RECIPE),
            Program::Flink => Some(flink::RECIPE),
            Program::Bytewax => Some(bytewax::RECIPE),
        }
    }

    /// Fetches a peer unless it is there.
    pub fn install(self, dir: &StackDir) -> Result<(), Error> {
        let Some(recipe) = self.recipe() else { return Ok(()) };
        let fill = |fetching: &Fetching<'_>| match self {
            Program::Telegraf => telegraf::fill(fetching),
            Program::KafkaConnect => kafka_connect::fill(fetching),
            Program::Flink => flink::fill(fetching),
            Program::Bytewax => bytewax::fill(fetching),
            Program::Aqueduct | Program::ByHand => Ok(()),
        };
        software::fetch(dir, &recipe, &*progress::on_stderr(), fill).map(|_| ())
    }

    /// Why it cannot run here; `None` if it can.
    pub fn absent(self, dir: &StackDir) -> Option<String> {
        let recipe = self.recipe()?;
        match software::present(dir, &recipe) {
            Some(_) => None,
            None => Some("it is not installed: say --install-peers".to_owned()),
        }
    }

    fn command(self, stage: &Stage, task: &Task) -> Result<Command> {
        let place = || {
            let recipe = self.recipe().context("invariant: a peer has a recipe")?;
            software::present(&stage.dir, &recipe).context("it is not installed")
        };
        match self {
            Program::Aqueduct => aqueduct::command(stage, task),
            Program::ByHand => by_hand::command(stage, task),
            Program::Telegraf => telegraf::command(&place()?, stage, task),
            Program::KafkaConnect => kafka_connect::command(&place()?, stage, task),
            Program::Flink => flink::command(&place()?, stage, task),
            Program::Bytewax => bytewax::command(&place()?, stage, task),
        }
    }

    /// Starts it on the task, or starts it anew.
    pub fn start(self, stage: &Stage, task: &Task) -> Result<Running> {
        self.run(self.command(stage, task)?, task)
    }

    fn run(self, command: Command, task: &Task) -> Result<Running> {
        let mut running = Running::start(command, &task.folder.join("log"))?;
        running.pays_for_its_start = !Self::PEERS.contains(&self);
        Ok(running)
    }

    /// The same; the engine serves its page at an address that somebody asks meanwhile.
    pub fn start_at(self, stage: &Stage, task: &Task, admin: SocketAddr) -> Result<Running> {
        let mut command = self.command(stage, task)?;
        command.env("AQUEDUCT_ADMIN_LISTEN", admin.to_string());
        self.run(command, task)
    }
}

/// A process that ends when this is dropped, or this process ends in any way.
pub struct Running {
    child: Child,
    log: PathBuf,
    /// Whether its CPU is counted from its start, or from its first row.
    pub pays_for_its_start: bool,
}

impl Running {
    /// Starts it; what it prints goes to the end of `log`.
    pub fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log).context("open a log")?;
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let child = command.spawn().with_context(|| format!("start {:?}", command.get_program()))?;
        Ok(Self { child, log: log.to_owned(), pays_for_its_start: true })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far; `None` once it is gone.
    pub fn usage(&self) -> Option<Usage> {
        usage::of_tree(self.pid())
    }

    /// An error if it is gone, for whatever reason: whoever is done waits to be ended.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it ended early: {status}\n{}", self.tail()),
            None => Ok(()),
        }
    }

    /// The last lines that it printed.
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// SIGKILL; returns once it is gone.
    pub fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A command that ends with this process, however that ends.
pub fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Parts of a database's address, for those who take no URL of PostgreSQL's kind.
struct Database {
    host: String,
    port: u16,
    name: String,
    user: String,
    password: String,
}

impl Database {
    fn of(url: &str) -> Result<Self> {
        let config: tokio_postgres::Config = url.parse().context("the address of TimescaleDB")?;
        let host = match config.get_hosts().first() {
            Some(tokio_postgres::config::Host::Tcp(host)) => host.clone(),
            _ => bail!("peers come to TimescaleDB by TCP: give its host in the address"),
        };
        Ok(Self {
            host,
            port: config.get_ports().first().copied().unwrap_or(5432),
            name: config.get_dbname().unwrap_or("postgres").to_owned(),
            user: config.get_user().unwrap_or("postgres").to_owned(),
            password: String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned(),
        })
    }

    /// For Java.
    fn jdbc(&self) -> String {
        format!("jdbc:postgresql://{}:{}/{}?reWriteBatchedInserts=true", self.host, self.port, self.name)
    }
}

/// Writes a configuration into the task's folder.
fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// Files of a recipe, as the build of this program has them.
fn write_all(folder: &Path, files: &[(&str, &str)]) -> Result<(), Error> {
    files.iter().try_for_each(|(name, text)| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|source| Error::Io { doing: "write", path, source })
    })
}

/// Lets Maven copy the jars of the `pom.xml` in the folder to `libs`.
fn fetch_jars(fetching: &Fetching<'_>) -> Result<(), Error> {
    fetching.run("mvn", |maven| {
        maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let database = Database::of("postgres://me:p%40ss@127.0.0.1:5433/db").expect("an address");
        assert_eq!(database.jdbc(), "jdbc:postgresql://127.0.0.1:5433/db?reWriteBatchedInserts=true");
        assert_eq!((database.user.as_str(), database.password.as_str()), ("me", "p@ss"));
        assert!(Database::of("postgres://me@%2Frun/db").is_err(), "a socket");
    }

    #[test]
    fn what_ended_badly_says_its_last_words() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut shell = bound("sh");
        shell.args(["-c", "echo the last words; exit 3"]);
        let mut running = Running::start(shell, &folder.path().join("log")).expect("starts");
        let _ = running.child.wait();
        let error = running.check().expect_err("it failed").to_string();
        assert!(error.contains("the last words") && error.contains('3'), "{error}");
    }
}
