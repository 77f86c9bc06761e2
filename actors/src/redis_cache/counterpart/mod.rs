//! A cache and the table beside it. Both take the same rows, so each can be held against the other: to bring back what
//! Redis has lost ([`super::rebuild`]), and to see whether it lost something ([`super::probe`]).
//!
//! Deliberately absent: keys that the table does not have. A cache may rightly hold more than a table that drops its old
//! chunks.

mod cells;
mod table;

pub(super) use table::{Window, has_table};

use super::guard::{Fate, Guard, PIPELINE_TIMEOUT};
use super::order::Order;
use super::pending::{Entry, Write};
use super::probe::lookups::Lookups;
use super::rows::{Layout, ORDER_FIELD};
use super::server::{self, Server, checkout};
use super::{refused, sources_above};
use crate::timescale::Connector;
use aqueduct_engine::{Batch, Class, Clock, Error};
use aqueduct_topology::model::{Actor, Kind, RedisCache, Topology};
use bb8_redis::redis::{Value, pipe};
use std::sync::Arc;
use table::Table;

/// Every cache of `topology`, or the one of that name.
pub(super) fn chosen<'a>(
    topology: &'a Topology,
    name: Option<&str>,
) -> Result<Vec<(&'a Actor, &'a RedisCache)>, Error> {
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

/// What the rows of one batch of the table would have a cache hold.
pub(super) struct Wanted {
    /// The newest entry of each key.
    pub(super) entries: Vec<(Arc<str>, Entry)>,
    /// Rows whose time to live had passed.
    pub(super) expired: u64,
}

/// How a key of the cache stands to the entry that the table has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not there.
    Missing,
    /// It has an older value.
    Behind {
        /// By how much event time, in microseconds, where the order is one.
        by_us: i64,
    },
    /// It has that value, or a newer one.
    AsNew,
    /// It is of a type that no value can be written to.
    Refused(String),
}

/// See the module.
pub(super) struct Counterpart {
    /// The cache's name.
    pub(super) cache: String,
    /// The table beside it.
    pub(super) table: Table,
    /// The time.
    pub(super) clock: Clock,
    layout: Layout,
    guard: Guard,
    pool: bb8::Pool<Server>,
    address: String,
    lookups: Arc<Lookups>,
}

impl Counterpart {
    /// Finds the table beside `actor` and connects to it.
    pub(super) async fn open(
        topology: &Topology,
        actor: &Actor,
        options: &RedisCache,
        (node, clock): (&str, &Clock),
    ) -> Result<Self, Error> {
        let (Some(redis), Some(timescale)) = (&topology.connections.redis, &topology.connections.timescale)
        else {
            let message = "both servers are needed; name `connections.redis` and `connections.timescale`";
            return Err(refused(actor, message));
        };
        let server = Server::new(redis, &topology.name.value, clock.clone())?;
        let connector = Connector::new(timescale, &topology.name.value, node, clock.clone())?;
        let sources = sources_above(actor, topology);
        let table = Table::open(topology, actor, options, sources.first().cloned(), &connector).await?;
        let layout = Layout::new(options, sources);
        let lookups = Arc::new(Lookups::default());
        Ok(Self {
            cache: actor.name.value.clone(),
            table,
            clock: clock.clone(),
            guard: Guard::new(layout.fields(), lookups.clone()),
            layout,
            pool: server::pool(&server, 1),
            address: server.address().to_owned(),
            lookups,
        })
    }

    /// What the rows of `batch` would have the cache hold.
    pub(super) fn wanted(&self, batch: &Batch) -> Result<Wanted, Error> {
        let winners = self.layout.winners(batch, self.clock.wall_us().div_euclid(1000))?;
        let entries = winners.entries.into_iter().map(|(key, entry)| (key.into(), entry)).collect();
        Ok(Wanted { entries, expired: winners.expired })
    }

    /// Writes `entries` as the cache itself would.
    pub(super) async fn write(&self, entries: &[(Arc<str>, Entry)]) -> Result<Vec<Fate>, Error> {
        self.guard.write(&self.pool, &self.clock, &self.address, entries).await
    }

    /// How the cache stands to each of `entries`; nothing is written.
    pub(super) async fn compare(&self, entries: &[(Arc<str>, Entry)]) -> Result<Vec<Standing>, Error> {
        match self.clock.timeout(PIPELINE_TIMEOUT, self.stored(entries)).await {
            Ok(replies) => {
                let replies = replies?;
                let missing = replies.iter().filter(|reply| matches!(reply, Value::Nil)).count() as u64;
                self.lookups.count(replies.len() as u64 - missing, missing);
                entries.iter().zip(replies).map(|((_, entry), reply)| standing(entry, reply)).collect()
            }
            Err(_) => {
                let message = format!("redis at {}: no answer within {PIPELINE_TIMEOUT:?}", self.address);
                Err(Error::new(Class::Transient, message))
            }
        }
    }

    /// What it has looked up in Redis.
    pub(super) fn lookups(&self) -> &Lookups {
        &self.lookups
    }

    /// The order that each key has.
    async fn stored(&self, entries: &[(Arc<str>, Entry)]) -> Result<Vec<Value>, Error> {
        let mut connection = checkout(&self.pool).await?;
        let mut question = pipe();
        question.ignore_errors();
        for (key, _) in entries {
            question.cmd("HGET").arg(key.as_bytes()).arg(ORDER_FIELD);
        }
        connection.send(&question, &self.address).await
    }
}

fn standing(entry: &Entry, reply: Value) -> Result<Standing, Error> {
    match reply {
        // A tombstone on nothing is written as well, but there is no value to bring back.
        Value::Nil if matches!(entry.write, Write::Tombstone) => Ok(Standing::AsNew),
        Value::Nil => Ok(Standing::Missing),
        Value::BulkString(stored) if stored.as_slice() < entry.order.text().as_bytes() => {
            let by_us = match (entry.time_us, Order::by_of(&stored)) {
                (Some(time_us), Some(stored_us)) => time_us.saturating_sub(stored_us),
                _ => 0,
            };
            Ok(Standing::Behind { by_us })
        }
        Value::BulkString(_) => Ok(Standing::AsNew),
        Value::ServerError(error) => {
            let error =
                super::reply::error_of(&format!("{} {}", error.code(), error.details().unwrap_or_default()));
            if error.class == Class::Data {
                Ok(Standing::Refused(error.message.into_owned()))
            } else {
                Err(error)
            }
        }
        other => Err(Error::bug(format!("redis answered HGET with {other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(by: i64) -> Entry {
        Entry {
            order: Order { by, partition: 0, offset: 7, row: 0, source: 0 },
            time_us: Some(by),
            expires_at_ms: None,
            write: Write::Put(Vec::new()),
        }
    }

    #[test]
    fn a_key_is_missing_behind_or_as_new() {
        let stored = |by| Value::BulkString(entry(by).order.text().into_bytes());
        let of = |reply| standing(&entry(5_000_000), reply).unwrap();
        assert_eq!(of(Value::Nil), Standing::Missing);
        assert_eq!(of(stored(2_000_000)), Standing::Behind { by_us: 3_000_000 });
        assert_eq!(of(stored(5_000_000)), Standing::AsNew);
        assert_eq!(of(stored(6_000_000)), Standing::AsNew);
        let tombstone = Entry { write: Write::Tombstone, ..entry(1) };
        assert_eq!(standing(&tombstone, Value::Nil).unwrap(), Standing::AsNew);
    }

    #[test]
    fn an_order_that_is_none_of_ours_is_older_by_nothing_known() {
        let strange = Value::BulkString(b"0".to_vec());
        assert_eq!(standing(&entry(5), strange).unwrap(), Standing::Behind { by_us: 0 });
    }
}
