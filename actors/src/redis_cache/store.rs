//! Where values go: Redis, or memory that refuses what Redis would refuse.
//!
//! Invariant: [`Keyspace`] compares orders exactly as `guard.lua` does, as text. Deliberately absent from it: eviction, and
//! values that something else wrote.

use super::guard::{Fate, Guard};
use super::pending::{Write, Writes};
use super::server::{self, Server};
use aqueduct_engine::{Clock, Error};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Takes guarded writes.
pub(crate) trait Store {
    /// Writes all of `writes`; a fate for each, in order. May be repeated at will.
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>>;
}

/// Opens the store of hashes with these fields; once per life of an actor.
pub(crate) type Open = Box<dyn Fn(Vec<String>) -> Box<dyn Store> + Send + Sync>;

/// A Redis server, through a pool of its own.
pub(super) fn redis(server: Server, connections: u32) -> Open {
    Box::new(move |fields| {
        Box::new(Pooled {
            pool: server::pool(&server, connections),
            guard: Arc::new(Guard::new(fields)),
            address: server.address().to_owned(),
        })
    })
}

struct Pooled {
    pool: bb8::Pool<Server>,
    guard: Arc<Guard>,
    address: String,
}

impl Store for Pooled {
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>> {
        let (guard, pool, address) = (self.guard.clone(), self.pool.clone(), self.address.clone());
        Box::pin(async move { guard.write(&pool, &clock, &address, &writes).await })
    }
}

/// A hash of a [`Keyspace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash {
    /// The text of `_at`.
    pub order: String,
    /// The fields that have a value, in the order of the topology.
    pub fields: Vec<(String, String)>,
    /// Deleted: only the order stays.
    pub tombstone: bool,
    /// When it ends, milliseconds since 1970 UTC.
    pub expires_at_ms: Option<i64>,
}

/// Hashes in memory. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Keyspace {
    hashes: Arc<Mutex<BTreeMap<String, Hash>>>,
    down: Arc<Mutex<Option<Error>>>,
}

impl Keyspace {
    /// What is there at `now_ms`.
    pub fn at(&self, now_ms: i64) -> BTreeMap<String, Hash> {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hashes.retain(|_, hash| hash.expires_at_ms.is_none_or(|end| end > now_ms));
        hashes
    }

    /// Every write fails with this from now on; `None` = writes succeed again.
    pub fn set_down(&self, error: Option<Error>) {
        *self.down.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// For caches that shall write here.
    pub(crate) fn opener(&self) -> Open {
        let keyspace = self.clone();
        Box::new(move |fields| Box::new(Memory { keyspace: keyspace.clone(), fields }))
    }
}

struct Memory {
    keyspace: Keyspace,
    fields: Vec<String>,
}

impl Store for Memory {
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>> {
        let written = self.write_now(clock.wall_us().div_euclid(1000), &writes);
        Box::pin(std::future::ready(written))
    }
}

impl Memory {
    fn write_now(&self, now_ms: i64, writes: &Writes) -> Result<Vec<Fate>, Error> {
        if let Some(error) = &*self.keyspace.down.lock().unwrap_or_else(PoisonError::into_inner) {
            return Err(error.clone());
        }
        let mut hashes = self.keyspace.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.retain(|_, hash| hash.expires_at_ms.is_none_or(|end| end > now_ms));
        let fate = |(key, entry): &(Arc<str>, super::pending::Entry)| {
            let order = entry.order.text();
            if hashes.get(&**key).is_some_and(|stored| stored.order >= order) {
                return Fate::Stale;
            }
            let (fields, tombstone) = match &entry.write {
                Write::Put(values) => (self.present(values), false),
                Write::Tombstone => (Vec::new(), true),
            };
            let hash = Hash { order, fields, tombstone, expires_at_ms: entry.expires_at_ms };
            hashes.insert(key.to_string(), hash);
            Fate::Written
        };
        Ok(writes.iter().map(fate).collect())
    }

    fn present(&self, values: &[Option<Box<str>>]) -> Vec<(String, String)> {
        assert_eq!(values.len(), self.fields.len(), "a value for every field");
        let pairs = self.fields.iter().zip(values);
        pairs.filter_map(|(field, value)| Some((field.clone(), value.as_ref()?.to_string()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::Order;
    use super::super::pending::Entry;
    use super::*;

    fn entry(by: i64, write: Write, expires_at_ms: Option<i64>) -> Entry {
        let order = Order { by, partition: 0, offset: by, row: 0, source: 0 };
        Entry { order, time_us: None, expires_at_ms, write }
    }

    fn put(text: &str) -> Write {
        Write::Put(vec![Some(text.into()), None])
    }

    #[test]
    fn a_key_never_goes_back_and_ends_in_time() {
        let keyspace = Keyspace::default();
        let memory = Memory { keyspace: keyspace.clone(), fields: vec!["a".into(), "b".into()] };
        let write = |now_ms, entry| {
            memory.write_now(now_ms, &Arc::new(vec![("k".into(), entry)])).expect("up").remove(0)
        };
        assert_eq!(write(0, entry(2, put("two"), Some(10))), Fate::Written);
        assert_eq!(write(0, entry(1, put("one"), None)), Fate::Stale);
        assert_eq!(write(0, entry(2, put("again"), None)), Fate::Stale);
        assert_eq!(keyspace.at(9)["k"].fields, [("a".to_owned(), "two".to_owned())]);
        assert!(keyspace.at(10).is_empty());
        assert_eq!(
            write(10, entry(1, Write::Tombstone, None)),
            Fate::Written,
            "what has ended guards nothing"
        );
        assert!(keyspace.at(11)["k"].tombstone);
    }
}
