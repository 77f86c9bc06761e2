//! Redis in memory, written by the real `redis_cache`.
//!
//! Invariant: orders are compared exactly as `guard.lua` does, as text. Deliberately absent: eviction, and values that
//! something else wrote.

use super::trouble::Way;
use crate::redis_cache::guard::{Fate, PIPELINE_TIMEOUT};
use crate::redis_cache::pending::{Entry, Write, Writes};
use crate::redis_cache::store::Store;
use aqueduct_engine::planted::{Bug, planted};
use aqueduct_engine::{Clock, Error};
use futures::future::LocalBoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A hash.
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
#[derive(Clone)]
pub(super) struct Keyspace {
    hashes: Arc<Mutex<BTreeMap<String, Hash>>>,
    way: Way,
}

impl Keyspace {
    pub(super) fn new(way: Way) -> Self {
        Self { hashes: Arc::default(), way }
    }

    /// What is there at `now_ms`.
    pub(super) fn at(&self, now_ms: i64) -> BTreeMap<String, Hash> {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hashes.retain(|_, hash| is_live(hash, now_ms));
        hashes
    }

    /// For a cache of hashes with these fields.
    pub(super) fn store(&self, fields: Vec<String>) -> Box<dyn Store> {
        Box::new(Memory { keyspace: self.clone(), fields })
    }
}

fn is_live(hash: &Hash, now_ms: i64) -> bool {
    hash.expires_at_ms.is_none_or(|end| end > now_ms)
}

#[derive(Clone)]
struct Memory {
    keyspace: Keyspace,
    fields: Vec<String>,
}

impl Store for Memory {
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>> {
        let memory = self.clone();
        Box::pin(async move {
            let write = || Ok(memory.write_now(clock.wall_us().div_euclid(1000), &writes));
            Ok(memory.keyspace.way.apply("write to redis", PIPELINE_TIMEOUT, write).await?)
        })
    }

    fn ping(&self, _: Clock) -> LocalBoxFuture<'static, Result<(), Error>> {
        let keyspace = self.keyspace.clone();
        Box::pin(async move { Ok(keyspace.way.reach("look whether it is there", PIPELINE_TIMEOUT).await?) })
    }
}

impl Memory {
    fn write_now(&self, now_ms: i64, writes: &Writes) -> Vec<Fate> {
        let mut hashes = self.keyspace.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.retain(|_, hash| is_live(hash, now_ms));
        let fate = |(key, entry): &(Arc<str>, Entry)| {
            let order = entry.order.text();
            if hashes.get(&**key).is_some_and(|stored| stored.order >= order) && !planted(Bug::GuardsNothing)
            {
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
        writes.iter().map(fate).collect()
    }

    fn present(&self, values: &[Option<Box<str>>]) -> Vec<(String, String)> {
        assert_eq!(values.len(), self.fields.len(), "a value for every field");
        let pairs = self.fields.iter().zip(values);
        pairs.filter_map(|(field, value)| Some((field.clone(), value.as_ref()?.to_string()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::{CALM, Chance};
    use super::*;
    use crate::redis_cache::order::Order;

    fn entry(by: i64, write: Write, expires_at_ms: Option<i64>) -> Entry {
        let order = Order { by, partition: 0, offset: by, row: 0, source: 0 };
        Entry { order, time_us: None, expires_at_ms, write }
    }

    fn put(text: &str) -> Write {
        Write::Put(vec![Some(text.into()), None])
    }

    #[test]
    fn a_key_never_goes_back_and_ends_in_time() {
        let way = Way {
            actor: "cache".into(),
            to: "redis",
            troubles: Default::default(),
            mishaps: Default::default(),
            chance: Chance::of(CALM),
            clock: Clock::system(),
        };
        let keyspace = Keyspace::new(way);
        let memory = Memory { keyspace: keyspace.clone(), fields: vec!["a".into(), "b".into()] };
        let write = |now_ms, entry| memory.write_now(now_ms, &Arc::new(vec![("k".into(), entry)])).remove(0);
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
