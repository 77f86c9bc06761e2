//! A drain seen from outside, the same way for every program: from the first row that the table shows to the last one.
//!
//! No program is asked how far it is. Counting millions of rows again and again would cost the database as much as writing
//! them, so the last trades of symbols are looked for, which are a few index entries, and all is counted at the end.

use crate::clock::now;
use crate::programs::Running;
use crate::stage::{ServersUsage, Stage};
use crate::usage::Usage;
use crate::workload::{self, Found};
use anyhow::{Context, Result};
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime};

/// How often the table is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A program that writes nothing for so long has failed; the slowest peer starts in a tenth of it.
const START_MAX: Duration = Duration::from_secs(120);
/// A drain that takes longer has failed.
const DRAIN_MAX: Duration = Duration::from_secs(600);
/// After the last trades of all symbols are there, what is still missing may take so long.
const REST_MAX: Duration = Duration::from_secs(30);

/// What one drain took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Drained {
    /// Rows written.
    pub rows: u64,
    /// From the first row seen to the last.
    pub seconds: f64,
    /// CPU for each row, microseconds: the program's own. The engine and the program by hand pay for their start, and for what
    /// they read before the first row was there; peers from that row on.
    pub program_us: f64,
    /// PostgreSQL's; `None` where it is the user's own.
    pub database_us: Option<f64>,
    /// Kafka's.
    pub broker_us: Option<f64>,
    /// Redis'.
    pub cache_us: Option<f64>,
    /// The most memory the program ever held, bytes.
    pub rss_peak_bytes: u64,
}

impl Drained {
    /// Rows a second.
    pub fn rows_per_second(&self) -> f64 {
        self.rows as f64 / self.seconds
    }
}

/// How it is known that all is there.
#[derive(Debug)]
pub enum Arrival<'a> {
    /// The last trades of symbols are in the table.
    Last(&'a [SystemTime]),
    /// Every sink of this topology has come as far as so many messages: for tables of several kinds.
    Offsets {
        /// The topology.
        name: &'a str,
        /// Its sinks.
        sinks: i64,
        /// Messages for each.
        messages: i64,
    },
}

/// What everybody has used at one moment.
struct Moment {
    at: Instant,
    programs: Usage,
    servers: ServersUsage,
}

impl Moment {
    fn of(stage: &Stage, programs: &[Running]) -> Self {
        let mut all = Usage::default();
        for used in programs.iter().filter_map(Running::usage) {
            all.cpu += used.cpu;
            all.rss_peak_bytes += used.rss_peak_bytes;
        }
        Self { at: now(), programs: all, servers: stage.servers() }
    }
}

/// Watches `programs`, which have just been started on an empty table, until all `rows` are there.
pub async fn drain(
    stage: &Stage,
    programs: &mut [Running],
    arrival: &Arrival<'_>,
    rows: u64,
) -> Result<Drained> {
    let began = now();
    let start = Moment::of(stage, programs);
    let mut before = Moment::of(stage, programs);
    while !any(stage).await? {
        anyhow::ensure!(began.elapsed() < START_MAX, "no row after {START_MAX:?}\n{}", tails(programs));
        programs.iter_mut().try_for_each(Running::check)?;
        before = Moment::of(stage, programs);
        tokio::time::sleep(LOOK_EVERY).await;
    }
    while !arrived(stage, arrival).await? {
        anyhow::ensure!(began.elapsed() < DRAIN_MAX, "not drained after {DRAIN_MAX:?}\n{}", tails(programs));
        programs.iter_mut().try_for_each(Running::check)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (after, found) = whole(stage, programs, rows).await?;
    let is_whole = found == Found { rows, distinct: rows };
    anyhow::ensure!(is_whole, "{found:?}, but {rows} rows were sent\n{}", tails(programs));
    // What is read ahead of the first row costs too. A virtual machine's start is long, and not what a row costs.
    let paid = if programs.iter().all(|program| program.pays_for_its_start) { &start } else { &before };
    let per_row = |cpu: Duration| cpu.as_secs_f64() * 1e6 / rows as f64;
    let between = |server: fn(&ServersUsage) -> Option<Usage>| {
        Some(per_row(server(&after.servers)?.cpu.saturating_sub(server(&paid.servers)?.cpu)))
    };
    Ok(Drained {
        rows,
        seconds: (after.at - before.at).as_secs_f64(),
        program_us: per_row(after.programs.cpu.saturating_sub(paid.programs.cpu)),
        database_us: between(|servers| servers.database),
        broker_us: between(|servers| servers.broker),
        cache_us: between(|servers| servers.cache),
        rss_peak_bytes: after.programs.rss_peak_bytes,
    })
}

fn tails(programs: &[Running]) -> String {
    programs.iter().map(Running::tail).collect::<Vec<_>>().join("\n")
}

/// Whether the table holds a row.
pub async fn any(stage: &Stage) -> Result<bool> {
    let row = stage.client.query_one("SELECT EXISTS (SELECT FROM bench.trades)", &[]).await;
    Ok(row.context("look for a first row")?.get(0))
}

/// Whether all is there.
pub async fn arrived(stage: &Stage, arrival: &Arrival<'_>) -> Result<bool> {
    match arrival {
        Arrival::Last(times) => {
            // The very last trade first, one entry of the index: all of them, fifty times a second, are work for the database.
            let Some(newest) = times.iter().max() else { return Ok(true) };
            let query = "SELECT EXISTS (SELECT FROM bench.trades WHERE ts = $1)";
            let row = stage.client.query_one(query, &[newest]).await.context("look for the last row")?;
            if !row.get::<_, bool>(0) {
                return Ok(false);
            }
            let query = "SELECT count(DISTINCT ts) FROM bench.trades WHERE ts = ANY($1)";
            let row = stage.client.query_one(query, &[times]).await.context("look for the last rows")?;
            Ok(row.get::<_, i64>(0) == times.len() as i64)
        }
        Arrival::Offsets { name, sinks, messages } => {
            let query = "SELECT count(*) FROM (SELECT sink FROM aqueduct.offsets WHERE topology = $1
                         GROUP BY sink HAVING sum(next_offset) >= $2::bigint) AS done";
            let row = stage.client.query_one(query, &[name, messages]).await.context("read offsets")?;
            Ok(row.get::<_, i64>(0) >= *sinks)
        }
    }
}

/// The moment at which nothing was missing any more, and what the table then held. Mostly that is the first one; a program
/// that writes a partition's rows over several connections may have one batch left.
async fn whole(stage: &Stage, programs: &[Running], rows: u64) -> Result<(Moment, Found)> {
    let until = now() + REST_MAX;
    loop {
        let moment = Moment::of(stage, programs);
        let found = workload::count(&stage.client).await?;
        if found.distinct >= rows || now() > until {
            return Ok((moment, found));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
