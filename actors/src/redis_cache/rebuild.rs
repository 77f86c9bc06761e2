//! Fills caches from the tables that take the same rows: after FLUSHALL, after a lost server, for a new cache.
//!
//! The table is read from its newest rows backwards, a window of event time at a step, the newest row of each key in it.
//! A write is the cache's own guarded one, so it may run beside live nodes, be cut anywhere and be repeated: a key never
//! goes back, and what is there already is left alone. Where it was cut it goes on with `before`.
//!
//! A table does not keep the offsets of its rows, so of two rows of one key and one `order_by` either may win here; a
//! value that came from Kafka is always the newer one of the two.
//!
//! Deliberately absent: deletion of keys that the table does not have.

use super::counterpart::{Counterpart, Standing, Wanted, Window, chosen};
use super::guard::{Fate, PIPELINE_KEYS_MAX};
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Batch, Clock, Error};
use aqueduct_topology::model::Topology;
use std::fmt;
use std::ops::AddAssign;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The one cache; all of them unless said.
    pub cache: Option<String>,
    /// Only rows of an event time before this, microseconds since 1970 UTC: where an earlier run was cut.
    pub before_us: Option<i64>,
    /// Only rows of this event time or later.
    pub since_us: Option<i64>,
    /// Compare, and write nothing.
    pub dry_run: bool,
}

/// What one cache came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Rows read: the newest of each key in each window.
    pub rows: u64,
    /// Keys given a value; in a dry run, keys that would be.
    pub written: u64,
    /// Keys that had this value already, or a newer one.
    pub as_new: u64,
    /// Keys that cannot take their value.
    pub refused: u64,
    /// Rows whose time to live had passed.
    pub expired: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.written += other.written;
        self.as_new += other.as_new;
        self.refused += other.refused;
        self.expired += other.expired;
    }
}

/// How far it is.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// The cache.
    pub cache: &'a str,
    /// Everything from here on is done: where to go on from. `None` = the rows have no event time.
    pub back_to_us: Option<i64>,
    /// Microseconds of event time done, and in all.
    pub done_us: u64,
    /// See `done_us`.
    pub total_us: u64,
}

/// One cache, done.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Rebuilt {
    /// Its name.
    pub cache: String,
    /// Where the rows came from.
    pub table: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// What it came to.
    #[serde(flatten)]
    pub counts: Counts,
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { rows, written, as_new, refused, expired } = self.counts;
        let would = if self.dry_run { "would be written" } else { "written" };
        write!(
            out,
            "{} from {}: {rows} rows read, {written} keys {would}, {as_new} as new already, {expired} expired, {refused} refused",
            self.cache, self.table
        )
    }
}

/// Rebuilds what `request` asks for, one cache after the other. `on_step` hears of every window.
pub async fn rebuild(
    topology: &Topology,
    node: &str,
    clock: &Clock,
    request: &Request,
    on_step: &dyn Fn(&Step<'_>),
) -> Result<Vec<Rebuilt>, Error> {
    let mut done = Vec::new();
    for (actor, options) in chosen(topology, request.cache.as_deref())? {
        let counterpart = Counterpart::open(topology, actor, options, (node, clock)).await?;
        done.push(run(&counterpart, request, on_step).await?);
    }
    Ok(done)
}

async fn run(
    counterpart: &Counterpart,
    request: &Request,
    on_step: &dyn Fn(&Step<'_>),
) -> Result<Rebuilt, Error> {
    let Counterpart { cache, table, clock, .. } = counterpart;
    let mut counts = Counts::default();
    let oldest = table.oldest_us(request.since_us, clock).await?;
    let mut before = request.before_us;
    let mut newest = None;
    while let Some(window) = table.window(before, oldest).await? {
        let mut rows = table.rows(&window).await?;
        while let Some(batch) = rows.next(PIPELINE_KEYS_MAX).await? {
            counts += take(counterpart, &batch, request.dry_run).await?;
        }
        let Window::Times { from_us, before_us } = window else { break };
        let newest = *newest.get_or_insert(before_us);
        on_step(&Step {
            cache,
            back_to_us: Some(from_us),
            done_us: newest.saturating_sub(from_us).max(0) as u64,
            total_us: newest.saturating_sub(oldest.unwrap_or(from_us)).max(0) as u64,
        });
        before = Some(from_us);
    }
    Ok(Rebuilt { cache: cache.clone(), table: table.name(), dry_run: request.dry_run, counts })
}

async fn take(counterpart: &Counterpart, batch: &Batch, dry_run: bool) -> Result<Counts, Error> {
    let Wanted { entries, expired } = counterpart.wanted(batch)?;
    let fates = if dry_run {
        counterpart.compare(&entries).await?.into_iter().map(would).collect()
    } else {
        counterpart.write(&entries).await?
    };
    let mut counts = Counts { rows: batch.rows.num_rows() as u64, expired, ..Counts::default() };
    for ((key, _), fate) in entries.iter().zip(&fates) {
        match fate {
            Fate::Written => counts.written += 1,
            Fate::Stale => counts.as_new += 1,
            Fate::Refused(why) => {
                counts.refused += 1;
                tracing::warn!(event = event_ids::CACHE_KEY_REFUSED, actor = %counterpart.cache, %key, %why, "a key cannot take its value");
            }
        }
    }
    Ok(counts)
}

/// What the guard would answer.
fn would(standing: Standing) -> Fate {
    match standing {
        Standing::Missing | Standing::Behind { .. } => Fate::Written,
        Standing::AsNew => Fate::Stale,
        Standing::Refused(why) => Fate::Refused(why),
    }
}
