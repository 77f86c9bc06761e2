//! Where values go: Redis, or memory that refuses what Redis would refuse.

use super::guard::{Fate, Guard};
use super::pending::Writes;
use super::server::{self, Server};
use aqueduct_engine::{Clock, Error};
use futures::future::LocalBoxFuture;
use std::sync::Arc;

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
