//! Where checks take place: a stage with a node that has written some trades, and a token for orders to it.

use super::super::load::Record;
use super::super::stage::{Node, Stage, wait};
use anyhow::{Context, Result};
use aqueduct_engine::Clock;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

pub(super) const NAME: &str = "drill-evidence";
const PARTITIONS: u32 = 4;
pub(super) const TRADES: u64 = 500;
/// How long anything may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

const TOPOLOGY: &str = r#"
topology: drill-evidence
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
      ts: { type: timestamp, path: /ts, unit: us }
      id: { type: int64, path: /id }
      k:  { type: text, path: /k, max_bytes: 32 }
    event_time: ts
  history: { kind: timescale_writer, from: trades, table: market.drill_trades, retention: 10d, chunk_interval: 1d }
  cache:   { kind: redis_cache, from: trades, key: "drill:{k}", value: [ts, id], order_by: ts, policy: best_effort }
"#;

/// See the module.
pub(super) struct Scene {
    // Before the stage it runs on.
    pub(super) node: Node,
    pub(super) file: PathBuf,
    pub(super) token: String,
    pub(super) stage: Stage,
}

impl Scene {
    pub(super) fn set(i_know: bool) -> Result<Self> {
        let stage = Stage::private("all", i_know, PARTITIONS)?;
        let file = stage.prepare(TOPOLOGY)?;
        let token = format!("{:032x}", fastrand::u128(..));
        let node = stage.node_with(&file, "drill", &[("AQUEDUCT_ADMIN_TOKEN", token.clone())])?;
        let (feed, now_us) = (stage.feed()?, Clock::system().wall_us());
        for id in 1..=TRADES {
            trade(id, now_us + id as i64).send(&feed)?;
        }
        feed.flush()?;
        let scene = Self { node, file, token, stage };
        let there = || Ok((scene.number(COUNT)? >= TRADES as i64).then_some(()));
        wait(PATIENCE, there)?
            .with_context(|| format!("{TRADES} rows were not written within {PATIENCE:?}"))?;
        Ok(scene)
    }

    /// Runs a command of ours in the node's environment to its end, whatever that is.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.stage.command(arguments)?;
        command.envs(self.node.variables.iter().cloned()).output().context("start a command")
    }

    /// What the database says to a question for one number.
    pub(super) fn number(&self, statement: &'static str) -> Result<i64> {
        self.stage.ask(NAME, async |connection| Ok(connection.row("count", statement, &[]).await?.get(0)))
    }

    /// The status of one of the node's answers.
    pub(super) fn status(&self, path: &str) -> Result<u16> {
        Ok(self.node.admin.get(path)?.status)
    }

    /// One of the node's actors, as it shows it.
    pub(super) fn actor(&self, name: &str) -> Result<Value> {
        let actors: Vec<Value> = serde_json::from_slice(&self.node.admin.get("/api/actors")?.body)?;
        actors.into_iter().find(|actor| actor["name"] == name).with_context(|| format!("no actor {name}"))
    }
}

fn trade(id: u64, time_us: i64) -> Record {
    let key = format!("K{:02}", id % 50);
    let value = format!(r#"{{"id":{id},"k":"{key}","ts":{time_us}}}"#);
    Record { key, value, time_ms: time_us / 1000 }
}

const COUNT: &str = "SELECT count(*) FROM market.drill_trades";
