//! Where a scenario plays: a world of its own, its topology, its nodes, and the questions every scenario asks.

use super::load::{KEYS, Load};
use super::log::Log;
use super::oracle::{self, Findings, Stored};
use super::report;
use super::trial::{Kit, Trial};
use crate::harness::node::{Launch, Node};
use crate::harness::wait;
use crate::harness::world::{PARTITIONS, Sql, World};
use bb8_redis::redis::{self, Commands};
use rdkafka::ClientConfig;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Trades with an id, a sequence per partition, exact decimals, and a cache.
pub const CHAOS: &str = r#"
topology: chaos-{topic}
connections:
  kafka:     { bootstrap: "${KAFKA_BOOTSTRAP}" }
  timescale: { url: "${TIMESCALE_URL}" }
  redis:     { url: "${REDIS_URL}" }
actors:
  ticks: { kind: kafka_source, topic: "{topic}" }
  trades:
    kind: normalizer
    from: ticks
    fields:
      ts:   { type: timestamp, path: /ts, unit: ms }
      id:   { type: int64, path: /id }
      part: { type: int64, path: /part }
      seq:  { type: int64, path: /seq }
      k:    { type: text, path: /k, max_bytes: 64 }
      p:    { type: "decimal(18,8)", path: /p }
      q:    { type: "decimal(18,8)", path: /q }
    require: { price_positive: p > 0 }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.trades, flush: { rows: 2000, interval: 20ms }, transactions: 2 }
  cache:   { kind: redis_cache, from: trades, key: "{prefix}{k}", value: [ts, id, p], order_by: ts, policy: best_effort }
"#;

/// [`CHAOS`] with further options of its source, such as `membership: dynamic`.
pub fn chaos_with(source: &str) -> String {
    let plain = r#"topic: "{topic}" }"#;
    assert!(CHAOS.contains(plain), "the topology's source is written so");
    CHAOS.replace(plain, &format!(r#"topic: "{{topic}}", {source} }}"#))
}

/// How long anything may take to come right after the last fault.
pub const BOUND: Duration = Duration::from_secs(120);
/// What a node may use at most, MiB; its topology's links, queues and buffers are far below.
pub const MEMORY_MIB_MAX: u64 = 256;

/// The token of every node's admin endpoint.
pub const TOKEN: &str = "chaos-token-0123456789abcdef";

pub struct Stage {
    pub world: World,
    pub file: PathBuf,
    pub topology: String,
    /// Where the cache is asked afterwards.
    pub redis_url: String,
    scenario: &'static str,
}

impl Stage {
    /// On a stack of that kind, with the topology's table and file.
    pub fn set(trial: &mut Trial<'_>, kit: Kit) -> Self {
        Self::set_as(trial, kit, CHAOS)
    }

    /// The same with another topology; it must be named `chaos-{topic}` and have the table and sinks of [`CHAOS`].
    pub fn set_as(trial: &mut Trial<'_>, kit: Kit, text: &str) -> Self {
        let world = trial.world(kit);
        Self::on(world, trial.name, text)
    }

    /// In that world.
    pub fn on(world: World, scenario: &'static str, text: &str) -> Self {
        let file = world.write_topology(text);
        world.migrate(&file);
        let topology = format!("chaos-{}", world.topic);
        let redis_url = world.stack().redis_url();
        Self { world, file, topology, redis_url, scenario }
    }

    /// A node named `name`; a name that ran before is that node, started again.
    pub fn node(&self, name: &str) -> Node {
        self.node_with(name, &[], &[])
    }

    pub fn node_with(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Node {
        self.launch(&Launch { name, arguments, environment, ..Launch::default() })
    }

    pub fn launch(&self, launch: &Launch<'_>) -> Node {
        let mut environment = vec![("AQUEDUCT_ADMIN_TOKEN", TOKEN)];
        environment.extend(launch.environment);
        Node::launch(&self.world, &self.file, &Launch { environment: &environment, ..*launch })
    }

    pub fn client(&self) -> ClientConfig {
        self.world.stack().kafka_client().expect("kafka")
    }

    /// Records at that rate from now on.
    pub fn load(&self, per_second: u64) -> Load {
        Load::start(self.client(), &self.world.topic, PARTITIONS, per_second)
    }

    /// The topic as it is now.
    pub fn log(&self) -> Log {
        Log::read(self.client(), &self.world.topic)
    }

    /// How many rows the table has; `None` while the database does not say.
    pub fn rows(&self) -> Option<i64> {
        let sql = Sql::try_connect(self.world.database_url()).ok()?;
        sql.try_rows("SELECT count(*) FROM market.trades", &[]).ok().map(|rows| rows[0].get(0))
    }

    /// The sum of the writer's next offsets; `None` while the database does not say.
    pub fn progress(&self, sql: &Sql) -> Option<i64> {
        const QUERY: &str = "SELECT coalesce(sum(next_offset), 0)::bigint FROM aqueduct.offsets \
                             WHERE topology = $1 AND sink = 'history'";
        sql.try_rows(QUERY, &[&self.topology]).ok().map(|rows| rows[0].get(0))
    }

    /// Waits until the writer has passed so many records in all; how long that took.
    pub fn await_progress(&self, records: i64) -> Duration {
        let began = Instant::now();
        let mut sql = None;
        wait::until(&format!("{records} records written"), BOUND, || {
            let connection = sql.take().or_else(|| Sql::try_connect(self.world.database_url()).ok())?;
            let progress = self.progress(&connection)?;
            sql = Some(connection);
            (progress >= records).then_some(())
        });
        began.elapsed()
    }

    /// How long from now until the writer moves on, asked every few milliseconds.
    pub fn time_to_progress(&self) -> Duration {
        let began = Instant::now();
        let mut sql: Option<Sql> = None;
        let mut before = None;
        loop {
            if began.elapsed() >= BOUND {
                // Which of the two stands still: the load, or the engine.
                let ends: i64 = self.log().bounds.values().map(|(_, end)| end).sum();
                panic!("no new rows within {BOUND:?}: {before:?} of the log's {ends} records are passed");
            }
            let connection = sql.take().or_else(|| Sql::try_connect(self.world.database_url()).ok());
            if let Some(connection) = connection {
                match (self.progress(&connection), before) {
                    (Some(now), Some(before)) if now > before => return began.elapsed(),
                    (Some(now), None) => before = Some(now),
                    _ => {}
                }
                sql = Some(connection).filter(|sql| !sql.is_closed());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops the load, waits until everything is written, ends the nodes in order and asks the oracle.
    pub fn judge(&self, trial: &mut Trial<'_>, load: Load, nodes: Vec<Node>) {
        let sent = load.stop();
        let log = self.judge_logs(trial, nodes, &[]);
        let (records, repeated) = (log.ids.len() as u64, log.repeated());
        // Not the engine's: an idempotent producer whose broker is restarted under its retries may write a record twice,
        // or take one for written that is not.
        let missing = sent.saturating_sub(records - repeated);
        if missing + repeated > 0 {
            trial.note(format!("of {sent} records sent the log lacks {missing} and has {repeated} twice"));
        }
        assert!(missing * 100 <= sent, "the load sent {sent} records, the log lacks {missing}");
    }

    /// The same where the log alone says what was sent.
    pub fn judge_log(&self, trial: &mut Trial<'_>, nodes: Vec<Node>) {
        self.judge_logs(trial, nodes, &[]);
    }

    /// The same where the topic held records, `gone` by now, that were written before. Gives the log that was judged by.
    pub fn judge_logs(&self, trial: &mut Trial<'_>, nodes: Vec<Node>, gone: &[Log]) -> Log {
        let log = self.log();
        let ends: i64 = log.bounds.values().map(|(_, end)| end).sum();
        self.await_progress(ends);
        let mut wrong = Vec::new();
        for node in nodes {
            trial.peak_memory_mib = trial.peak_memory_mib.max(node.peak_memory_mib());
            wrong.extend(quiet(&node));
            node.terminate();
            let code = node.exit_code(BOUND);
            if code != 0 {
                wrong.push(format!("a node drained with exit {code}"));
            }
        }
        if trial.peak_memory_mib > MEMORY_MIB_MAX {
            wrong.push(format!("a node used {} MiB", trial.peak_memory_mib));
        }
        let mut stored = Stored::read(&self.world.sql(), &self.topology);
        let before = gone.iter().map(|log| oracle::settle(log, &mut stored)).collect::<Vec<_>>();
        let mut findings = before.into_iter().fold(oracle::compare(&log, &stored), Findings::and);
        wrong.extend(self.stale_keys(&stored.newest));
        findings.wrong.extend(wrong);
        if !findings.is_clean() {
            self.keep_logs();
        }
        trial.findings = Some(findings);
        log
    }

    /// What the nodes had to say is kept beside the report.
    fn keep_logs(&self) {
        report::keep_logs(self.scenario, self.world.folder());
    }

    /// Waits until the cache is given records again that are sent from now on.
    pub fn await_cache_follows(&self, load: &Load) {
        let sent = i64::try_from(load.sent()).expect("a count");
        let mut redis = connect(&self.redis_url);
        let first_key = format!("{}K00", self.world.prefix);
        wait::until("a cache that follows", BOUND, || {
            let id: Option<i64> = redis.hget(&first_key, "id").expect("a hash");
            id.filter(|id| *id > sent).map(|_| ())
        });
    }

    /// Waits until every key holds the newest row of its.
    pub fn await_fresh_cache(&self) {
        let newest = oracle::newest(&self.world.sql());
        wait::until("a cache without stale keys", BOUND, || self.stale_keys(&newest).is_none().then_some(()));
    }

    /// Keys that do not hold the newest row of theirs.
    fn stale_keys(&self, newest: &BTreeMap<String, i64>) -> Option<String> {
        let mut redis = connect(&self.redis_url);
        let mut stale = Vec::new();
        for (key, newest) in newest {
            let found: Option<i64> = redis.hget(format!("{}{key}", self.world.prefix), "id").expect("a hash");
            if found != Some(*newest) {
                stale.push(format!("{key} holds {found:?}, its newest row is {newest}"));
            }
        }
        assert!(newest.len() as u64 <= KEYS, "no more keys than the load has");
        (!stale.is_empty()).then(|| format!("{} keys are stale: {}", stale.len(), stale[0]))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
    }
}

/// A connection to the Redis server of that address.
pub fn connect(url: &str) -> redis::Connection {
    let client = redis::Client::open(url).expect("a Redis address");
    client.get_connection().expect("connect to Redis")
}

/// What a node that has nothing to do says wrongly: unaccounted records, lag.
fn quiet(node: &Node) -> Vec<String> {
    let mut wrong = Vec::new();
    let unaccounted = node.ledger("unaccounted");
    if unaccounted != 0 {
        wrong.push(format!("{unaccounted} records are unaccounted for"));
    }
    let none = |metrics: &str| {
        let lag = metrics.lines().filter(|line| line.starts_with("aqueduct_lag_records{"));
        lag.filter_map(|line| line.rsplit_once(' ')).all(|(_, value)| value == "0")
    };
    let calm = || node.get("/metrics").filter(|(status, body)| *status == 200 && none(body));
    let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait::until("lag back to 0", Duration::from_secs(20), calm)
    }));
    if asked.is_err() {
        wrong.push("lag did not return to 0".to_owned());
    }
    wrong
}
