//! Where a test lives: real parts, with a database, a topic and a key prefix of its own.

use aqueduct_stack::feed::Feed;
use aqueduct_stack::{Database, Lifetime, Options, Stack, progress};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, NoTls, Row, Socket, types::ToSql};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Partitions of a test's topic.
pub const PARTITIONS: u32 = 4;

enum Parts {
    Shared(&'static Stack),
    Private(Arc<Stack>),
}

impl Parts {
    fn stack(&self) -> &Stack {
        match self {
            Parts::Shared(stack) => stack,
            Parts::Private(stack) => stack,
        }
    }
}

pub struct World {
    database: Database,
    /// Another way to it.
    url: Option<String>,
    parts: Parts,
    pub topic: String,
    pub prefix: String,
    folder: tempfile::TempDir,
}

fn shared() -> &'static Stack {
    static SHARED: OnceLock<Stack> = OnceLock::new();
    SHARED.get_or_init(|| bring_up("test", Lifetime::Shared))
}

fn bring_up(name: &str, lifetime: Lifetime) -> Stack {
    let options = Options::from_env(name, lifetime).unwrap_or_else(|error| panic!("{error}"));
    Stack::up(&options, &*progress::on_stderr())
        .unwrap_or_else(|error| panic!("the stack cannot start: {error}"))
}

impl World {
    /// On the parts that other tests use too: do not stop them.
    pub fn shared() -> Self {
        Self::on(Parts::Shared(shared()))
    }

    /// On parts of its own, to be paused, stopped and killed.
    pub fn private() -> Self {
        Self::on_stack(Arc::new(bring_up("test", Lifetime::Private)))
    }

    /// On those parts.
    pub fn on_stack(stack: Arc<Stack>) -> Self {
        Self::on(Parts::Private(stack))
    }

    fn on(parts: Parts) -> Self {
        let stack = parts.stack();
        Self {
            database: stack.fresh_database().expect("a fresh database"),
            topic: stack.fresh_topic(PARTITIONS).expect("a fresh topic"),
            prefix: stack.fresh_key_prefix(),
            url: None,
            folder: tempfile::tempdir().expect("a temporary folder"),
            parts,
        }
    }

    pub fn stack(&self) -> &Stack {
        self.parts.stack()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn database_url(&self) -> &str {
        self.url.as_deref().unwrap_or(self.database.url())
    }

    /// From here on everybody goes to the database that way.
    pub fn lead_to(&mut self, url: String) {
        self.url = Some(url);
    }

    /// A feed to the test's topic.
    pub fn feed(&self) -> Feed {
        Feed::new(&self.stack().kafka_bootstrap(), &self.topic).expect("a producer")
    }

    /// Sends records (key, value, time in ms) to the test's topic, and waits until the broker has them all.
    pub fn send(&self, records: impl IntoIterator<Item = (String, String, i64)>) {
        let feed = self.feed();
        for (key, value, time) in records {
            feed.send(Some(key.as_bytes()), Some(value.as_bytes()), Some(time)).expect("send");
        }
        feed.flush().expect("flush");
    }

    /// Writes the topology file; `{topic}` and `{prefix}` in the text become the test's own.
    pub fn write_topology(&self, text: &str) -> PathBuf {
        let file = self.folder().join("topology.yaml");
        let text = text.replace("{topic}", &self.topic).replace("{prefix}", &self.prefix);
        std::fs::write(&file, text).expect("write the topology");
        file
    }

    /// The product's binary with the test's addresses in its environment.
    pub fn aqueduct(&self) -> Command {
        self.placed(Command::new(env!("CARGO_BIN_EXE_aqueduct")))
    }

    /// The same, killed with the thread that starts it: a paused node would outlive a Ctrl-C. It is started by the program
    /// `through`, if one is named.
    pub fn mortal_aqueduct(&self, through: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).args(through).arg(env!("CARGO_BIN_EXE_aqueduct"));
        self.placed(command)
    }

    fn placed(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder())
            .env("KAFKA_BOOTSTRAP", self.stack().kafka_bootstrap())
            .env("TIMESCALE_URL", self.database_url())
            .env("REDIS_URL", self.stack().redis_url())
            .env_remove("AQUEDUCT_CONFIG")
            .env_remove("AQUEDUCT_ADMIN_TOKEN");
        command
    }

    /// Runs a command of the product to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.aqueduct().args(arguments).output().expect("the binary starts")
    }

    /// Drafts and applies what the topology needs in the database.
    pub fn migrate(&self, file: &Path) {
        let file = file.to_str().expect("a plain path");
        for step in ["new", "up"] {
            let output = self.run(&["migrate", step, file]);
            assert!(output.status.success(), "migrate {step}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Writes the topology file and makes its tables.
    pub fn prepare(&self, text: &str) -> (PathBuf, Sql) {
        let file = self.write_topology(text);
        self.migrate(&file);
        (file, self.sql())
    }

    pub fn sql(&self) -> Sql {
        Sql::connect(self.database_url())
    }

    pub fn redis(&self) -> bb8_redis::redis::Connection {
        let client = bb8_redis::redis::Client::open(self.stack().redis_url()).expect("a Redis address");
        client.get_connection().expect("connect to Redis")
    }
}

/// A test that failed shows what its nodes had to say, those that have ended included.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in std::fs::read_dir(self.folder()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "log") {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                eprintln!("--- {}:\n{text}", entry.path().display());
            }
        }
    }
}

/// A plain blocking connection.
pub struct Sql {
    runtime: tokio::runtime::Runtime,
    client: Client,
}

impl Sql {
    pub fn connect(url: &str) -> Self {
        Self::try_connect(url).expect("connect to TimescaleDB")
    }

    pub fn try_connect(url: &str) -> Result<Self, tokio_postgres::Error> {
        Self::connect_by(url, NoTls)
    }

    /// Encrypted; the server proves itself to a client that believes `authority` alone.
    pub fn try_encrypted(url: &str, authority: &Path) -> Result<Self, tokio_postgres::Error> {
        let believing = MakeRustlsConnect::new(super::secured::believing(authority));
        Self::connect_by(&format!("{url}?sslmode=require"), believing)
    }

    fn connect_by<T>(url: &str, tls: T) -> Result<Self, tokio_postgres::Error>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let mut config: tokio_postgres::Config = url.parse()?;
        config.connect_timeout(Duration::from_secs(5));
        let (client, connection) = runtime.block_on(config.connect(tls))?;
        runtime.spawn(async move {
            // Its end shows as an error of the next query.
            let _ = connection.await;
        });
        Ok(Self { runtime, client })
    }

    /// The server has ended it.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub fn rows(&self, query: &str, parameters: &[&(dyn ToSql + Sync)]) -> Vec<Row> {
        self.try_rows(query, parameters).unwrap_or_else(|error| panic!("{query}: {error:?}"))
    }

    pub fn try_rows(
        &self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.runtime.block_on(self.client.query(query, parameters))
    }

    pub fn batch(&self, statements: &str) {
        self.try_batch(statements).unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    pub fn try_batch(&self, statements: &str) -> Result<(), tokio_postgres::Error> {
        self.runtime.block_on(self.client.batch_execute(statements))
    }

    /// A statement that takes no parameters: what the server's own `format` makes of `template` (`%I` an identifier, `%L` a
    /// literal, `%s` as it is) and `values`.
    pub fn format(&self, template: &str, values: &[&str]) -> String {
        self.rows("SELECT pg_catalog.format($1::text, VARIADIC $2::text[])", &[&template, &values])[0].get(0)
    }

    /// The one integer that a query gives.
    pub fn integer(&self, query: &str) -> i64 {
        self.rows(query, &[])[0].get(0)
    }
}
