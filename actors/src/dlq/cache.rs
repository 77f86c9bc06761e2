//! What a cache writes to in a replay: Redis, with the order of the record's own place.
//!
//! The id of a letter says nothing of how new its record is: of two values of one time the one with the greater partition
//! and offset stays, whichever of them was replayed.

use super::run::Run;
use crate::redis_cache::guard::Fate;
use crate::redis_cache::order::Order;
use crate::redis_cache::pending::Writes;
use crate::redis_cache::store::{Open, Store};
use aqueduct_engine::{Clock, Error};
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// Stores of `open` that give values their record's place; `source` is the place of its source among the cache's.
pub(super) fn placed(run: Arc<Run>, source: u16, open: Open) -> Open {
    Box::new(move |fields| {
        let inner = open(fields);
        Box::new(Placed { run: run.clone(), source, inner })
    })
}

struct Placed {
    run: Arc<Run>,
    source: u16,
    inner: Box<dyn Store>,
}

impl Store for Placed {
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>> {
        let placed = writes.iter().map(|(key, entry)| {
            let mut entry = entry.clone();
            if let Some(taken) = self.run.get(entry.order.offset) {
                let (partition, offset, source) = (taken.partition, taken.offset, self.source);
                entry.order = Order { partition, offset, source, ..entry.order };
            }
            (key.clone(), entry)
        });
        self.inner.write(clock, Arc::new(placed.collect()))
    }

    fn ping(&self, clock: Clock) -> LocalBoxFuture<'static, Result<(), Error>> {
        self.inner.ping(clock)
    }
}
