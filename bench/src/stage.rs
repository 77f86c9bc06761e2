//! Where everything is measured: a stack of its own, the engine's binary, topics and tables.

use crate::usage::{self, Usage};
use crate::workload::{self, Load, SYMBOLS, Sinks, Work};
use anyhow::{Context, Result};
use aqueduct_stack::{Lifetime, Options, Part, Stack, StackDir, progress};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio_postgres::Client;

/// See the module. What it started ends with it, and with this process, however that ends.
pub struct Stage {
    /// The servers.
    pub stack: Stack,
    /// A connection to the table.
    pub client: Client,
    /// The engine's program.
    pub binary: PathBuf,
    /// Where software is kept.
    pub dir: StackDir,
    servers: Servers,
}

/// The servers' processes; none where a server is the user's own.
#[derive(Clone, Copy, Debug)]
struct Servers {
    database: Option<u32>,
    broker: Option<u32>,
    cache: Option<u32>,
}

impl Servers {
    fn of(stack: &Stack) -> Self {
        let status = stack.status();
        let pid = |part: Part| status.iter().find(|one| one.part == part)?.pid;
        Self { database: pid(Part::Timescale), broker: pid(Part::Kafka), cache: pid(Part::Redis) }
    }
}

/// What the servers have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServersUsage {
    /// PostgreSQL, its backends and workers.
    pub database: Option<Usage>,
    /// Kafka.
    pub broker: Option<Usage>,
    /// Redis.
    pub cache: Option<Usage>,
}

/// What a program is asked to do.
#[derive(Clone, Debug)]
pub struct Task {
    /// The consumer group, the topology's name, the prefix of keys.
    pub name: String,
    /// What the topic holds.
    pub load: Load,
    /// Where the rows go.
    pub sinks: Sinks,
    /// A folder of its own, for configurations and logs.
    pub folder: PathBuf,
}

impl Stage {
    /// Brings it up. `binary`: this program of the engine's, instead of one built as this one was.
    pub async fn up(binary: Option<PathBuf>) -> Result<Self> {
        let binary = match binary {
            Some(binary) => binary,
            None => build()?,
        };
        let options = Options::from_env("bench", Lifetime::Private)?;
        let stack = Stack::up(&options, &*progress::on_stderr())?;
        let client = workload::connect(&stack.timescale_url()).await?;
        let migrated = Command::new(&binary)
            .args(["migrate", "up"])
            .env("TIMESCALE_URL", stack.timescale_url())
            .stdout(Stdio::null())
            .status()
            .context("run the engine's migrations")?;
        anyhow::ensure!(migrated.success(), "the engine's migrations failed");
        let servers = Servers::of(&stack);
        Ok(Self { stack, client, binary, dir: options.dir, servers })
    }

    /// Begins to know the servers anew, after one of them was stopped and started.
    pub async fn know_anew(&mut self) -> Result<()> {
        self.client = workload::connect(&self.stack.timescale_url()).await?;
        self.servers = Servers::of(&self.stack);
        Ok(())
    }

    /// What the servers have used so far.
    pub fn servers(&self) -> ServersUsage {
        let of = |pid: Option<u32>| usage::of_tree(pid?);
        ServersUsage {
            database: of(self.servers.database),
            broker: of(self.servers.broker),
            cache: of(self.servers.cache),
        }
    }

    /// A new topic that holds `rows` trades.
    pub fn fill(&self, work: Work, rows: u64, partitions: u32, symbols: usize) -> Result<Load> {
        let topic = self.stack.fresh_topic(partitions)?;
        let market = workload::market(work, symbols, 0);
        workload::fill(&self.stack.kafka_bootstrap(), topic, partitions, work, rows, market)
    }

    /// The same, with the usual partitions and symbols.
    pub fn fill_usual(&self, work: Work, rows: u64) -> Result<Load> {
        self.fill(work, rows, workload::PARTITIONS, SYMBOLS)
    }

    /// Something to do that nobody has begun.
    pub fn task(&self, who: &str, load: &Load, sinks: Sinks) -> Result<Task> {
        let name = self.stack.fresh_key_prefix().trim_end_matches(':').replace("t-", &format!("{who}-"));
        let folder = self.stack.folder().join("bench").join(&name);
        std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(Task { name, load: load.clone(), sinks, folder })
    }
}

/// The engine's binary, of the same profile as this program.
fn build() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    // target/<profile>/deps/<this program>
    let folder = own.parent().and_then(Path::parent).context("this program lies in a target folder")?;
    let profile = folder.file_name().and_then(|name| name.to_str()).unwrap_or("release");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile, "--bin", "aqueduct"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status()
        .context("run cargo")?;
    anyhow::ensure!(status.success(), "cargo could not build the engine");
    Ok(folder.join("aqueduct"))
}
