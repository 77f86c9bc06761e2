//! Where values go: Redis, or memory that refuses what Redis would refuse.

use super::guard::{Fate, Guard};
use super::pending::Writes;
use super::probe::lookups::Lookups;
use super::server::{self, Server};
use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_engine::{Class, Clock, Error};
use futures::future::LocalBoxFuture;
use std::sync::Arc;

/// Takes guarded writes.
pub(crate) trait Store {
    /// Writes all of `writes`; a fate for each, in order. May be repeated at will.
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>>;

    /// Fails unless the server answers soon that it would take writes.
    fn ping(&self, clock: Clock) -> LocalBoxFuture<'static, Result<(), Error>>;
}

/// Opens the store of hashes with these fields; once per life of an actor.
pub(crate) type Open = Box<dyn Fn(Vec<String>) -> Box<dyn Store> + Send + Sync>;

/// A Redis server, through a pool of its own. `probe` is a key of ours that holds nothing; what is looked up is counted in
/// `lookups`.
pub(super) fn redis(server: Server, connections: u32, probe: Arc<str>, lookups: Arc<Lookups>) -> Open {
    Box::new(move |fields| {
        Box::new(Pooled {
            pool: server::pool(&server, connections),
            guard: Arc::new(Guard::new(fields, lookups.clone())),
            address: server.address().to_owned(),
            probe: probe.clone(),
        })
    })
}

struct Pooled {
    pool: bb8::Pool<Server>,
    guard: Arc<Guard>,
    address: String,
    probe: Arc<str>,
}

impl Store for Pooled {
    fn write(&self, clock: Clock, writes: Writes) -> LocalBoxFuture<'static, Result<Vec<Fate>, Error>> {
        let (guard, pool, address) = (self.guard.clone(), self.pool.clone(), self.address.clone());
        Box::pin(async move { guard.write(&pool, &clock, &address, &writes).await })
    }

    fn ping(&self, clock: Clock) -> LocalBoxFuture<'static, Result<(), Error>> {
        let (pool, address, probe) = (self.pool.clone(), self.address.clone(), self.probe.clone());
        Box::pin(async move {
            match clock.timeout(CONTACT_WAIT_MAX, server::probe(&pool, &address, &probe)).await {
                Ok(answer) => answer,
                Err(_) => {
                    let wait = CONTACT_WAIT_MAX.as_secs();
                    Err(Error::new(
                        Class::Transient,
                        format!("redis at {address}: no answer within {wait} s"),
                    ))
                }
            }
        })
    }
}
