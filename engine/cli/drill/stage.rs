//! Where a drill takes place: servers, a database and a topic of its own, and this very binary as commands and nodes.
//!
//! Everything it made is gone when it is dropped: nodes, database, and a private stack.

use super::{guard, interrupt};
use crate::environment::host_name;
use crate::output::say;
use crate::{http, stores};
use anyhow::{Context, Result, bail};
use aqueduct_actors::timescale::{Connection, Connector};
use aqueduct_engine::Clock;
use aqueduct_stack::feed::Feed;
use aqueduct_stack::{Database, Lifetime, Options, Own, Part, Stack, progress};
use aqueduct_topology::model::TimescaleConnection;
use aqueduct_topology::{Span, Spanned};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// How long a node may take until it is ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// How long a node may take to drain.
const DRAIN_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Becomes what it is told to, which is killed with us.
const SETPRIV: &str = "/usr/bin/setpriv";

/// See the module.
pub(super) struct Stage {
    // Before the stack it lies in.
    database: Database,
    /// Where the database is led to; the server that began with it, until it is said otherwise.
    database_url: String,
    pub(super) topic: String,
    pub(super) folder: PathBuf,
    pub(super) stack: Arc<Stack>,
}

impl Stage {
    /// Brings it up, unless its servers are somebody's production.
    pub(super) fn up(drill: &str, i_know: bool, partitions: u32) -> Result<Self> {
        guard::allow(drill, i_know)?;
        Self::on(&Options::from_env("drill", Lifetime::Private)?, partitions)
    }

    /// On a private stack, whatever the environment names; where that looks like production, it is the wrong terminal.
    pub(super) fn private(drill: &str, i_know: bool, partitions: u32) -> Result<Self> {
        guard::allow(drill, i_know)?;
        Self::on(&alone()?, partitions)
    }

    /// The same on servers that speak TLS and ask for passwords.
    pub(super) fn secured(drill: &str, i_know: bool, partitions: u32) -> Result<Self> {
        guard::allow(drill, i_know)?;
        Self::on(&alone()?.secured(), partitions)
    }

    /// On a private stack of these parts, whatever the environment names.
    pub(super) fn of_parts(drill: &str, i_know: bool, parts: &[Part], partitions: u32) -> Result<Self> {
        guard::allow(drill, i_know)?;
        Self::on(&alone()?.parts(parts), partitions)
    }

    fn on(options: &Options, partitions: u32) -> Result<Self> {
        let stack = Stack::up(options, &*progress::on_stderr())
            .context("no stack; name servers of your own by KAFKA_BOOTSTRAP, TIMESCALE_URL and REDIS_URL")?;
        let stack = Arc::new(stack);
        interrupt::ends(&stack);
        say!("the drill's servers: {}", stack.folder().display());
        let (database, topic) = (stack.fresh_database()?, stack.fresh_topic(partitions)?);
        let folder = stack.folder().join("drill");
        std::fs::create_dir_all(&folder).context("make the drill's folder")?;
        let database_url = database.url().to_owned();
        Ok(Self { database, database_url, topic, folder, stack })
    }

    /// From now on the database is where this leads, for commands, nodes and questions.
    pub(super) fn lead_to(&mut self, database_url: String) {
        self.database_url = database_url;
    }

    /// Writes a topology, in which `{topic}` is the drill's own, and makes its tables.
    pub(super) fn prepare(&self, text: &str) -> Result<PathBuf> {
        let file = self.write(text)?;
        for step in ["new", "up"] {
            self.run(&["migrate", step, path(&file)])?;
        }
        Ok(file)
    }

    /// Writes it alone, in the place of the one there is.
    pub(super) fn write(&self, text: &str) -> Result<PathBuf> {
        let file = self.folder.join("topology.yaml");
        std::fs::write(&file, text.replace("{topic}", &self.topic)).context("write the drill's topology")?;
        Ok(file)
    }

    /// This binary with the addresses of the drill's servers in its environment.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let binary = std::env::current_exe().context("find this program's file")?;
        let mut command = if Path::new(SETPRIV).exists() {
            let mut command = Command::new(SETPRIV);
            command.args(["--pdeathsig", "KILL", "--"]).arg(binary);
            command
        } else {
            Command::new(binary)
        };
        command
            .args(arguments)
            .current_dir(&self.folder)
            .envs(self.stack.env())
            .env("KAFKA_BOOTSTRAP", self.stack.kafka_bootstrap())
            .env("TIMESCALE_URL", &self.database_url)
            .env_remove("AQUEDUCT_CONFIG")
            .env_remove("AQUEDUCT_NODE_URL")
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command to its end; an error with what it said, if that was not well.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.command(arguments)?.output().context("start a command")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("aqueduct {}: {}: {}", arguments.join(" "), output.status, said.trim());
        }
        Ok(output)
    }

    /// A node that runs `file` under that name, and is ready.
    pub(super) fn node(&self, file: &Path, name: &str) -> Result<Node> {
        self.node_with(file, name, &[])
    }

    /// The same with those variables in its environment.
    pub(super) fn node_with(
        &self,
        file: &Path,
        name: &str,
        further: &[(&'static str, String)],
    ) -> Result<Node> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr())?.port();
        let log = self.folder.join(name).with_extension("log");
        let to = File::options().create(true).append(true).open(&log).context("write a node's log")?;
        let own =
            [("AQUEDUCT_NODE", name.to_owned()), ("AQUEDUCT_ADMIN_LISTEN", format!("127.0.0.1:{port}"))];
        let variables = [&own, further].concat();
        let child = self
            .command(&["run", path(file)])?
            .envs(variables.iter().cloned())
            .stdout(to.try_clone()?)
            .stderr(to)
            .spawn()
            .context("start a node")?;
        let url = format!("http://127.0.0.1:{port}");
        let mut node = Node { child, admin: http::Node { url }, variables, log };
        let ready = wait(READY_MAX, || match node.child.try_wait()? {
            Some(status) => bail!("node {name} ended: {status}; {}", node.last_words()),
            None => Ok(node.admin.get("/readyz").is_ok_and(|answer| answer.status == 200).then_some(())),
        })?;
        match ready {
            Some(()) => Ok(node),
            None => bail!("node {name} was not ready after {READY_MAX:?}; {}", node.last_words()),
        }
    }

    /// A feed to the drill's topic.
    pub(super) fn feed(&self) -> Result<Feed> {
        Ok(Feed::new(&self.stack.kafka_bootstrap(), &self.topic)?)
    }

    /// The drill's database as its owner.
    pub(super) fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The name of the drill's database.
    pub(super) fn database_name(&self) -> &str {
        self.database.name()
    }

    /// The same as somebody else, whose password is elsewhere, with the server's certificate checked.
    pub(super) fn database_as(&self, user: &str) -> String {
        let place = self.database_url.rsplit_once('@').map_or("", |(_, place)| place);
        format!("postgres://{user}@{place}?sslmode=verify-full")
    }

    /// A connection to the drill's database.
    pub(super) async fn connect(&self, topology: &str) -> Result<Connection> {
        Ok(self.connector(topology)?.connect().await?)
    }

    /// Asks the drill's database something.
    pub(super) fn ask<T>(
        &self,
        topology: &str,
        question: impl AsyncFnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        stores::block_on(async { question(&self.connect(topology).await?).await })
    }

    /// What opens connections to it.
    pub(super) fn connector(&self, topology: &str) -> Result<Connector> {
        self.connector_to(self.database_url.clone(), topology)
    }

    /// The same by another way.
    pub(super) fn connector_to(&self, url: String, topology: &str) -> Result<Connector> {
        let url = Spanned::new(url.into(), Span::default());
        let connection =
            TimescaleConnection { url, user_file: None, password_file: None, pool: 1, tls: None };
        Ok(Connector::new(&connection, topology, &host_name(), Clock::system())?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        interrupt::hold();
    }
}

/// A stack that has every server itself.
fn alone() -> Result<Options> {
    let mut options = Options::from_env("drill", Lifetime::Private)?;
    options.own = Own::default();
    Ok(options)
}

/// A node of the drill; killed when dropped.
pub(super) struct Node {
    child: Child,
    pub(super) admin: http::Node,
    /// What its environment says beyond the addresses of the servers.
    pub(super) variables: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl Node {
    /// What its `/metrics` say now.
    pub(super) fn metrics(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.admin.get("/metrics")?.body).into_owned())
    }

    fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.context("a process has an id")?;
        rustix::process::kill_process(pid, signal).context("signal a node")
    }

    /// It does nothing more until it is thawed; its connections stay.
    pub(super) fn freeze(&self) -> Result<()> {
        self.signal(rustix::process::Signal::STOP)
    }

    /// It goes on where it was.
    pub(super) fn thaw(&self) -> Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    /// Has it finish what it read, and waits for its end; gives its exit code.
    pub(super) fn drain(mut self) -> Result<Option<i32>> {
        self.signal(rustix::process::Signal::TERM)?;
        match wait(DRAIN_MAX, || Ok(self.child.try_wait()?))? {
            Some(status) => Ok(status.code()),
            None => bail!("a node had not drained after {DRAIN_MAX:?}; {}", self.last_words()),
        }
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" / ")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until there is something, for so long at most.
pub(super) fn wait<T>(longest: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let clock = Clock::system();
    let deadline = clock.now() + longest;
    loop {
        if let Some(found) = look()? {
            return Ok(Some(found));
        }
        if clock.now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A file as an argument: folders of the stack are plain.
pub(super) fn path(file: &Path) -> &str {
    file.to_str().expect("invariant: the stack's folder is UTF-8")
}
