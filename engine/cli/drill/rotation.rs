//! `drill rotation`: every login and the certificates are exchanged while rows are written, by the commands that operators
//! use. Nothing may be lost or doubled, no actor restart, and no pause of the rows be longer than a second.
//!
//! The servers are a private stack's, which speak TLS and ask for passwords. The secrets lie as Kubernetes lays them: links
//! into a folder that is exchanged as a whole.

use super::load::{Load, Record};
use super::report::{Bound, Report};
use super::stage::{Node, Stage, path, wait};
use super::{Common, Drill};
use crate::environment::host_name;
use crate::stores;
use anyhow::{Context, Result, bail};
use aqueduct_actors::rotation::{Admin, Part};
use aqueduct_engine::Clock;
use aqueduct_stack::Part as Server;
use aqueduct_topology::model::{KafkaConnection, RedisConnection, TimescaleConnection};
use aqueduct_topology::{Span, Spanned};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Records a second.
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    rate: u64,
}

const TOPOLOGY: &str = "drill-rotation";
const PARTITIONS: u32 = 4;
const USER: &str = "drill_a";
const NEXT_USER: &str = "drill_b";
/// What must not be passed.
const PAUSE_SECONDS_MAX: f64 = 1.0;
/// How long rows flow before and after each exchange.
const CALM: Duration = Duration::from_secs(2);
/// How long anything may take to come.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked how far the rows are.
const SAMPLE_EVERY: Duration = Duration::from_millis(20);

/// As the owner of the database comes, to make its tables.
const PLAIN: &str = r#"
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  redis:     { url: "${REDIS_URL}" }
"#;
/// As the node comes.
const SECURED: &str = r#"
  kafka:
    bootstrap: "{kafka}"
    tls:  { ca_file: "{secrets}/ca.pem" }
    sasl: { mechanism: SCRAM-SHA-512, user: drill_a, user_file: "{secrets}/kafka.user", password_file: "{secrets}/kafka.password" }
  timescale:
    url: "{timescale}"
    user_file: "{secrets}/timescale.user"
    password_file: "{secrets}/timescale.password"
    tls: { ca_file: "{secrets}/ca.pem" }
  redis:
    url: "rediss://drill_a@{redis}/0"
    password_file: "{secrets}/redis.password"
    tls: { ca_file: "{secrets}/ca.pem", cert_file: "{secrets}/client.pem", key_file: "{secrets}/client.key" }
"#;
const ACTORS: &str = r#"
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields: { ts: { type: timestamp, path: /ts, unit: ms }, id: { type: int64, path: /id }, k: { type: text, path: /k, max_bytes: 16 } }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 2000, interval: 20ms } }
  cache:   { kind: redis_cache, from: trades, key: "drill:{k}", value: [ts, id], order_by: ts, policy: best_effort }
"#;

impl Drill for Arguments {
    fn name(&self) -> &'static str {
        "rotation"
    }

    fn common(&self) -> &Common {
        &self.common
    }

    fn carry_out(&self) -> Result<Report> {
        let stage = Stage::secured(self.name(), self.common.i_know, PARTITIONS)?;
        let report = Report::begin(self.name(), TOPOLOGY, &host_name());
        Ok(report.of(|report| carry_out(&stage, self.rate, report)))
    }
}

fn carry_out(stage: &Stage, rate: u64, report: &mut Report) -> Result<()> {
    let secrets = Secrets::lay(stage)?;
    let text = |connections: &str| format!("topology: {TOPOLOGY}\nconnections:{connections}{ACTORS}");
    let file = stage.prepare(&text(PLAIN))?;
    let secured = SECURED
        .replace("{kafka}", &stage.stack.encrypted(Server::Kafka))
        .replace("{redis}", &stage.stack.encrypted(Server::Redis))
        .replace("{timescale}", &stage.database_as(USER))
        .replace("{secrets}", path(&secrets.folder));
    stage.write(&text(&secured))?;
    admit(stage, &secrets)?;
    let node = stage.node(&file, "drill")?;
    report.happens("a node is ready");
    let load =
        Load::start(stage, rate, |number, _| Record::numbered(number, format!("K{:02}", number % 50)))?;
    let watch = Watch::start(stage)?;
    watch.await_rows()?;
    for (part, pause, took) in [
        (Part::Redis, "redis_pause_seconds_max", "redis_seconds"),
        (Part::Timescale, "timescale_pause_seconds_max", "timescale_seconds"),
        (Part::Kafka, "kafka_pause_seconds_max", "kafka_seconds"),
    ] {
        let seconds = disturb(report, &watch, pause, &format!("rotate {}", part.name()), || {
            rotate(stage, &file, part, &node)
        })?;
        report.figure(took, seconds, "s", Bound::Free);
    }
    let former = certificates(&node)?;
    let seconds = disturb(
        report,
        &watch,
        "tls_pause_seconds_max",
        "exchange certificate, key and authorities",
        || {
            secrets.exchange_certificates(stage)?;
            await_certificates(&node, &former)
        },
    )?;
    report.figure("tls_seconds", seconds, "s", Bound::Free);
    let sent = load.finish()?;
    report.happens(format!("{sent} records were sent; waiting for the last"));
    watch.await_all(sent)?;
    drop(watch);
    judge(stage, node, sent, report)
}

/// Runs `exchange` amid rows that flow, and notes their longest pause; how long the exchange took, seconds.
fn disturb(
    report: &mut Report,
    watch: &Watch,
    figure: &'static str,
    what: &str,
    exchange: impl FnOnce() -> Result<()>,
) -> Result<f64> {
    std::thread::sleep(CALM);
    watch.begin();
    report.happens(what);
    let clock = Clock::system();
    let began = clock.now();
    exchange()?;
    let took = clock.now().duration_since(began).as_secs_f64();
    std::thread::sleep(CALM);
    report.figure(figure, watch.longest_pause(), "s", Bound::AtMost(PAUSE_SECONDS_MAX));
    Ok(took)
}

fn rotate(stage: &Stage, file: &Path, part: Part, node: &Node) -> Result<()> {
    let output = stage
        .command(&["rotate", path(file), "--what", part.name(), "--node", &node.admin.url])?
        .env("AQUEDUCT_ROTATE_TIMESCALE_URL", stage.database_url())
        .env("AQUEDUCT_ROTATE_KAFKA_BOOTSTRAP", stage.stack.kafka_bootstrap())
        .env("AQUEDUCT_ROTATE_REDIS_URL", stage.stack.redis_url())
        .output()
        .context("start a command")?;
    if !output.status.success() {
        bail!("aqueduct rotate --what {}: {}", part.name(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// What a node says of the certificates of each connection.
fn certificates(node: &Node) -> Result<Vec<Value>> {
    let mut secrets: Vec<Value> = serde_json::from_slice(&node.admin.get("/api/secrets")?.body)?;
    secrets.retain(|it| it["secret"] == "tls");
    Ok(secrets)
}

/// Until every connection goes by others than the `former` ones.
fn await_certificates(node: &Node, former: &[Value]) -> Result<()> {
    let taken = wait(PATIENCE, || {
        let now = certificates(node)?;
        let is_taken = |(now, former): (&Value, &Value)| {
            now["generation"].is_string()
                && now["generation"] != former["generation"]
                && now["older_connections"] == 0
        };
        Ok((now.len() == 3 && now.iter().zip(former).all(is_taken)).then_some(()))
    })?;
    taken.context("the new certificates were not taken")
}

/// Every record once, nobody restarted.
fn judge(stage: &Stage, node: Node, sent: u64, report: &mut Report) -> Result<()> {
    let actors: Vec<Value> = serde_json::from_slice(&node.admin.get("/api/actors")?.body)?;
    let restarts: i64 = actors.iter().filter_map(|actor| actor["restarts"].as_i64()).sum();
    let code = node.drain()?;
    let (rows, distinct) = stores::block_on(async {
        let connection = stage.connect(TOPOLOGY).await?;
        let counted =
            connection.row("count rows", "SELECT count(*), count(DISTINCT id) FROM market.trades", &[]);
        let row = stores::answered(counted.await)?;
        Ok((row.get::<_, i64>(0), row.get::<_, i64>(1)))
    })?;
    report.figure("rows_written", rows as f64, "rows", Bound::Free);
    report.figure("rows_lost", sent as f64 - distinct as f64, "rows", Bound::Exactly(0.0));
    report.figure("rows_doubled", (rows - distinct) as f64, "rows", Bound::Exactly(0.0));
    report.figure("actor_restarts", restarts as f64, "restarts", Bound::Exactly(0.0));
    if code != Some(0) {
        bail!("the node ended with {code:?} instead of 0");
    }
    Ok(())
}

/// The users of the drill, with the first passwords.
fn admit(stage: &Stage, secrets: &Secrets) -> Result<()> {
    let at = |text: String| Spanned::new(text, Span::default());
    let secret = |text: String| Spanned::new(text.into(), Span::default());
    let admins = [
        Admin::Timescale(TimescaleConnection {
            url: secret(stage.database_url().to_owned()),
            user_file: None,
            password_file: None,
            pool: 1,
            tls: None,
        }),
        Admin::Kafka(KafkaConnection { bootstrap: at(stage.stack.kafka_bootstrap()), tls: None, sasl: None }),
        Admin::Redis(RedisConnection {
            url: secret(stage.stack.redis_url()),
            user_file: None,
            password_file: None,
            pool: 1,
            tls: None,
        }),
    ];
    stores::block_on(async {
        for admin in &admins {
            stores::answered(admin.admit(USER, &secrets.password.clone().into(), Clock::system()).await)?;
        }
        Ok(())
    })?;
    for user in [USER, NEXT_USER] {
        stage.stack.allow_at_kafka(user, true)?;
    }
    Ok(())
}

/// Links into a folder `..data` that is exchanged as a whole.
struct Secrets {
    folder: PathBuf,
    password: String,
}

impl Secrets {
    fn lay(stage: &Stage) -> Result<Self> {
        let folder = stage.folder.join("secrets");
        let password = format!("{:032x}", fastrand::u128(..));
        let certificates = stage.stack.certificates();
        let (cert, key) = certificates.client();
        let data = folder.join("..first");
        fs::create_dir_all(&data)?;
        for (name, text) in [
            ("kafka.user", USER),
            ("kafka.password", &password),
            ("timescale.user", USER),
            ("timescale.password", &password),
            ("redis.password", &password),
        ] {
            fs::write(data.join(name), text)?;
        }
        for (name, from) in [("ca.pem", certificates.authority()), ("client.pem", cert), ("client.key", key)]
        {
            fs::copy(from, data.join(name))?;
        }
        symlink("..first", folder.join("..data"))?;
        for entry in fs::read_dir(&data)? {
            let name = entry?.file_name();
            symlink(Path::new("..data").join(&name), folder.join(&name))?;
        }
        Ok(Self { folder, password })
    }

    /// Another certificate with its key, and a further authority.
    fn exchange_certificates(&self, stage: &Stage) -> Result<()> {
        let certificates = stage.stack.certificates();
        let before = fs::canonicalize(self.folder.join("..data"))?;
        let next = self.folder.join("..certificates");
        fs::create_dir(&next)?;
        for entry in fs::read_dir(&before)? {
            let entry = entry?;
            fs::copy(entry.path(), next.join(entry.file_name()))?;
        }
        let (cert, key) = certificates.certified();
        fs::copy(cert, next.join("client.pem"))?;
        fs::copy(key, next.join("client.key"))?;
        let both = [certificates.authority(), certificates.stranger()].map(fs::read_to_string);
        let [own, further] = both;
        fs::write(next.join("ca.pem"), own? + &further?)?;
        symlink("..certificates", self.folder.join("..data_tmp"))?;
        fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data"))?;
        Ok(())
    }
}

/// How far the rows are, and how long they stood still; seen from a session of the database's owner.
struct Watch {
    written: Arc<AtomicU64>,
    /// Microseconds.
    pause: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn start(stage: &Stage) -> Result<Self> {
        const WRITTEN: &str =
            "SELECT coalesce(sum(next_offset), 0)::int8 FROM aqueduct.offsets WHERE sink = 'history'";
        let watch = Self { written: Arc::default(), pause: Arc::default(), stop: Arc::default() };
        let (written, pause, stop) = (watch.written.clone(), watch.pause.clone(), watch.stop.clone());
        // Under another name: `rotate` asks whose sessions of the topology there are.
        let connector = stage.connector("watch")?;
        std::thread::spawn(move || {
            stores::block_on(async {
                let (connection, clock) = (connector.connect().await?, Clock::system());
                let mut moved = clock.now();
                while !stop.load(Ordering::Relaxed) {
                    let row = connection.row("see how far the rows are", WRITTEN, &[]).await?;
                    let (now, next) = (clock.now(), row.get::<_, i64>(0).unsigned_abs());
                    let still = u64::try_from(now.duration_since(moved).as_micros()).unwrap_or(u64::MAX);
                    pause.fetch_max(still, Ordering::Relaxed);
                    if written.swap(next, Ordering::Relaxed) != next {
                        moved = now;
                    }
                    clock.sleep(SAMPLE_EVERY).await;
                }
                Ok(())
            })
        });
        Ok(watch)
    }

    /// Pauses are counted from here.
    fn begin(&self) {
        self.pause.store(0, Ordering::Relaxed);
    }

    /// Seconds.
    fn longest_pause(&self) -> f64 {
        self.pause.load(Ordering::Relaxed) as f64 / 1e6
    }

    fn await_rows(&self) -> Result<()> {
        self.await_all(1)
    }

    fn await_all(&self, count: u64) -> Result<()> {
        let come = wait(PATIENCE, || Ok((self.written.load(Ordering::Relaxed) >= count).then_some(())))?;
        come.with_context(|| format!("{count} records were not written within {PATIENCE:?}"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
