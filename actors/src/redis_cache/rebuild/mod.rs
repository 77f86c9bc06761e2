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

mod cells;
mod source;

use super::guard::{Fate, Guard, PIPELINE_KEYS_MAX, PIPELINE_TIMEOUT};
use super::pending::{Entry, Write};
use super::rows::{Layout, ORDER_FIELD};
use super::server::{self, Server, checkout};
use super::{refused, sources_above};
use crate::timescale::Connector;
use aqueduct_engine::telemetry::event_ids;
use aqueduct_engine::{Batch, Class, Clock, Error};
use aqueduct_topology::model::{Actor, Kind, RedisCache, Topology};
use bb8_redis::redis::{Value, pipe};
use source::{Source, Window};
use std::fmt;
use std::ops::AddAssign;
use std::sync::Arc;

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
        let one = One::new(topology, actor, options, (node, clock)).await?;
        done.push(one.run(request, on_step).await?);
    }
    Ok(done)
}

fn chosen<'a>(topology: &'a Topology, name: Option<&str>) -> Result<Vec<(&'a Actor, &'a RedisCache)>, Error> {
    let all = topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::RedisCache(options) => Some((actor, options)),
        _ => None,
    });
    let named: Vec<_> = all.filter(|(actor, _)| name.is_none_or(|name| actor.name.value == name)).collect();
    if named.is_empty() {
        let message = match name {
            Some(name) => format!("the topology has no redis_cache named `{name}`"),
            None => "the topology has no redis_cache".to_owned(),
        };
        return Err(Error::new(Class::Config, message));
    }
    Ok(named)
}

/// One cache and the table beside it.
struct One<'a> {
    actor: &'a Actor,
    layout: Layout,
    guard: Guard,
    pool: bb8::Pool<Server>,
    address: String,
    source: Source,
    clock: &'a Clock,
}

impl<'a> One<'a> {
    async fn new(
        topology: &'a Topology,
        actor: &'a Actor,
        options: &'a RedisCache,
        (node, clock): (&str, &'a Clock),
    ) -> Result<Self, Error> {
        let (Some(redis), Some(timescale)) = (&topology.connections.redis, &topology.connections.timescale)
        else {
            let message = "both servers are needed; name `connections.redis` and `connections.timescale`";
            return Err(refused(actor, message));
        };
        let server = Server::new(redis)?;
        let connector = Connector::new(timescale, &topology.name.value, node, clock.clone())?;
        let sources = sources_above(actor, topology);
        let source = Source::open(topology, actor, options, sources.first().cloned(), &connector).await?;
        let layout = Layout::new(options, sources);
        Ok(Self {
            actor,
            guard: Guard::new(layout.fields()),
            layout,
            pool: server::pool(&server, 1),
            address: server.address().to_owned(),
            source,
            clock,
        })
    }

    async fn run(&self, request: &Request, on_step: &dyn Fn(&Step<'_>)) -> Result<Rebuilt, Error> {
        let mut counts = Counts::default();
        let oldest = self.source.oldest_us(request.since_us, self.clock).await?;
        let mut before = request.before_us;
        let mut newest = None;
        while let Some(window) = self.source.window(before, oldest).await? {
            let mut rows = self.source.rows(&window).await?;
            while let Some(batch) = rows.next(PIPELINE_KEYS_MAX).await? {
                counts += self.take(&batch, request.dry_run).await?;
            }
            let Window::Times { from_us, before_us } = window else { break };
            let newest = *newest.get_or_insert(before_us);
            on_step(&Step {
                cache: &self.actor.name.value,
                back_to_us: Some(from_us),
                done_us: newest.saturating_sub(from_us).max(0) as u64,
                total_us: newest.saturating_sub(oldest.unwrap_or(from_us)).max(0) as u64,
            });
            before = Some(from_us);
        }
        Ok(Rebuilt {
            cache: self.actor.name.value.clone(),
            table: self.source.table(),
            dry_run: request.dry_run,
            counts,
        })
    }

    async fn take(&self, batch: &Batch, dry_run: bool) -> Result<Counts, Error> {
        let winners = self.layout.winners(batch, self.clock.wall_us().div_euclid(1000))?;
        let rows = batch.rows.num_rows() as u64;
        let writes: Vec<(Arc<str>, Entry)> =
            winners.entries.into_iter().map(|(key, entry)| (key.into(), entry)).collect();
        let fates = if dry_run {
            self.compare(&writes).await?
        } else {
            self.guard.write(&self.pool, self.clock, &self.address, &writes).await?
        };
        let mut counts = Counts { rows, expired: winners.expired, ..Counts::default() };
        for ((key, _), fate) in writes.iter().zip(&fates) {
            match fate {
                Fate::Written => counts.written += 1,
                Fate::Stale => counts.as_new += 1,
                Fate::Refused(why) => {
                    counts.refused += 1;
                    tracing::warn!(event = event_ids::CACHE_KEY_REFUSED, actor = %self.actor.name.value, %key, %why, "a key cannot take its value");
                }
            }
        }
        Ok(counts)
    }

    /// What the guard would answer.
    async fn compare(&self, writes: &[(Arc<str>, Entry)]) -> Result<Vec<Fate>, Error> {
        match self.clock.timeout(PIPELINE_TIMEOUT, self.stored(writes)).await {
            Ok(replies) => {
                writes.iter().zip(replies?).map(|((_, entry), reply)| fate_of(entry, reply)).collect()
            }
            Err(_) => {
                let message = format!("redis at {}: no answer within {PIPELINE_TIMEOUT:?}", self.address);
                Err(Error::new(Class::Transient, message))
            }
        }
    }

    /// The order that each key has.
    async fn stored(&self, writes: &[(Arc<str>, Entry)]) -> Result<Vec<Value>, Error> {
        let mut connection = checkout(&self.pool).await?;
        let mut question = pipe();
        question.ignore_errors();
        for (key, _) in writes {
            question.cmd("HGET").arg(key.as_bytes()).arg(ORDER_FIELD);
        }
        connection.send(&question, &self.address).await
    }
}

fn fate_of(entry: &Entry, reply: Value) -> Result<Fate, Error> {
    match reply {
        // A tombstone on nothing is written as well, but there is no value to bring back.
        Value::Nil if matches!(entry.write, Write::Tombstone) => Ok(Fate::Stale),
        Value::Nil => Ok(Fate::Written),
        Value::BulkString(stored) if stored.as_slice() < entry.order.text().as_bytes() => Ok(Fate::Written),
        Value::BulkString(_) => Ok(Fate::Stale),
        Value::ServerError(error) => {
            let error =
                super::reply::error_of(&format!("{} {}", error.code(), error.details().unwrap_or_default()));
            if error.class == Class::Data {
                Ok(Fate::Refused(error.message.into_owned()))
            } else {
                Err(error)
            }
        }
        other => Err(Error::bug(format!("redis answered HGET with {other:?}"))),
    }
}
