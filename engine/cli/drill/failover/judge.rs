//! What came of a failover: every row once, in both regions, and a cache that is as new as the table.

use super::regions::{self, Region};
use super::{Drill, Nodes, PATIENCE, TOPOLOGY};
use crate::drill::report::{Bound, Report};
use crate::drill::stage::{Node, Stage, path, wait};
use crate::stores;
use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How many rows there are, how many numbers among them, and a checksum of all.
const ROWS: &str = "\
    SELECT count(*)::text || ' ' || count(DISTINCT id)::text || ' ' \
        || pg_catalog.md5(coalesce(pg_catalog.string_agg(id::text, ',' ORDER BY id), '')) \
    FROM market.trades";

/// What a database holds.
#[derive(Debug, PartialEq, Eq)]
struct Rows {
    rows: i64,
    distinct: i64,
    checksum: String,
}

impl Rows {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (rows, distinct) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { rows, distinct, checksum: words.next()?.to_owned() })
    }
}

pub(super) fn judge(drill: &Drill<'_>, nodes: Nodes, sent: u64, report: &mut Report) -> Result<()> {
    let (lost, other) = (drill.arguments.kill, drill.arguments.kill.other());
    let restarts = restarts(&nodes.other)?;
    for node in nodes.lost.into_iter().chain([nodes.other]) {
        drained(node)?;
    }
    let held = rows(drill, other)?;
    report.figure("rows_total", held.rows as f64, "rows", Bound::AtLeast(1.0));
    report.figure("rows_lost", sent as f64 - held.distinct as f64, "rows", Bound::Exactly(0.0));
    report.figure("rows_doubled", (held.rows - held.distinct) as f64, "rows", Bound::Exactly(0.0));
    // A follower is behind by what it takes to come there.
    let same = wait(PATIENCE, || Ok(Some(rows(drill, lost)?).filter(|rows| *rows == held)))?;
    let missing = match same {
        Some(_) => 0,
        None => (held.rows - rows(drill, lost)?.rows).max(1),
    };
    report.figure("old_region_rows_missing", missing as f64, "rows", Bound::Exactly(0.0));
    report.happens(format!("{} has the rows of {}", lost.name(), other.name()));
    if lost == Region::A {
        let taken = takes_nodes(drill.stage, lost)?;
        report.figure("old_primary_takes_writes", f64::from(u8::from(taken)), "", Bound::Exactly(0.0));
    }
    let behind = rebuild(drill, true)?;
    report.figure("cache_keys_behind_at_first", behind as f64, "keys", Bound::Free);
    rebuild(drill, false)?;
    report.happens("the cache is rebuilt from the table");
    report.figure("stale_cache_keys", rebuild(drill, true)? as f64, "keys", Bound::Exactly(0.0));
    report.figure("survivor_actor_restarts", restarts as f64, "restarts", Bound::Free);
    Ok(())
}

fn rows(drill: &Drill<'_>, region: Region) -> Result<Rows> {
    let text = drill.reader(region)?.text(ROWS)?.unwrap_or_default();
    Rows::parse(&text).with_context(|| format!("`{text}` says nothing of rows"))
}

fn drained(node: Node) -> Result<()> {
    match node.drain()? {
        Some(0) => Ok(()),
        code => bail!("a node ended with {code:?} when it was told to drain"),
    }
}

fn restarts(node: &Node) -> Result<i64> {
    let actors: Vec<Value> = serde_json::from_slice(&node.admin.get("/api/actors")?.body)?;
    Ok(actors.iter().filter_map(|actor| actor["restarts"].as_i64()).sum())
}

/// Whether a node that knew only the database of `region` could work there.
fn takes_nodes(stage: &Stage, region: Region) -> Result<bool> {
    let url = regions::database_of(stage, region);
    stores::block_on(async {
        match stage.connector_to(url, TOPOLOGY)?.connect().await {
            Ok(_) => Ok(true),
            Err(error) if error.message.contains("does not allow writes") => Ok(false),
            Err(error) => Err(error.into()),
        }
    })
}

/// Has the cache brought up to the table, or only asks; how many keys were behind.
fn rebuild(drill: &Drill<'_>, dry: bool) -> Result<i64> {
    let mut told = vec!["cache", "rebuild", path(drill.file()), "--format", "json"];
    if dry {
        told.push("--dry-run");
    }
    let mut command = drill.stage.command(&told)?;
    let output =
        command.env("REDIS_URL", regions::redis_url(drill.stage)).output().context("start a command")?;
    if !output.status.success() {
        bail!("aqueduct {}: {}", told.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    let caches: Vec<Value> = serde_json::from_slice(&output.stdout).context("read what was rebuilt")?;
    let written = |cache: &Value| cache["written"].as_i64();
    caches.iter().map(written).sum::<Option<i64>>().context("a rebuild says how many keys it wrote")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_says_of_its_rows_is_read() {
        let rows = Rows::parse("12 11 d41d8").expect("rows");
        assert_eq!((rows.rows, rows.distinct, &*rows.checksum), (12, 11, "d41d8"));
        assert_eq!(Rows::parse(""), None);
    }
}
