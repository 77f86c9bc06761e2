//! Keeps the last value per key in Redis, as a hash with one field per name in `value` and `_at`, the order.
//!
//! Invariant: a key never goes back. The order of two values is total ([`order`]), compared by Redis itself in one script
//! (`guard.lua`); so the order of arrival, a replay, a backfill or a zombie cannot lower a value, and any write may be
//! repeated. What is on its way or waits is the newest value per key only ([`pending`]), so an outage of Redis costs
//! one value per key, not one per row.
//!
//! A null field is absent from the hash. Deliberately absent: reads, but for the [`probe`]'s, which writes no value.

mod counterpart;
mod deletion;
pub(crate) mod guard;
mod meter;
pub(crate) mod order;
pub(crate) mod pending;
mod positions;
pub mod probe;
pub mod rebuild;
mod reply;
pub mod rows;
pub(crate) mod server;
mod settle;
pub(crate) mod store;
mod text;
mod updater;

use crate::Services;
use aqueduct_engine::{Class, Error, Factory};
use aqueduct_topology::model::{Actor, Policy, RedisCache, TemplatePart, Topology};
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;

/// The factory of one `redis_cache`.
pub fn factory(actor: &Actor, options: &RedisCache, services: &Services) -> Result<Factory, Error> {
    let (open, probe) = of_redis(actor, options, services)?;
    assemble(actor, options, services, (open, Some(Arc::new(probe))))
}

/// Stores in the Redis server of the topology.
pub(crate) fn store_of(
    actor: &Actor,
    options: &RedisCache,
    services: &Services,
) -> Result<store::Open, Error> {
    of_redis(actor, options, services).map(|(open, _)| open)
}

/// The Redis server of the topology, and what looks at it from where readers stand.
fn of_redis(
    actor: &Actor,
    options: &RedisCache,
    services: &Services,
) -> Result<(store::Open, probe::Beat), Error> {
    let connection = services.topology.connections.redis.as_ref().ok_or_else(|| {
        let message =
            "no Redis server is named; write `connections: { redis: { url: .. } }` or set REDIS_URL";
        refused(actor, message)
    })?;
    let own = || server::Server::new(connection, &services.topology.name.value, services.clock.clone());
    let server = services.servers.redis.clone().map_or_else(own, Ok);
    let server = server.map_err(|error| refused(actor, &error.message))?;
    let lookups = Arc::new(probe::lookups::Lookups::default());
    let around = (server.clone(), services.node.clone());
    let probe = probe::Beat::new(services.topology.clone(), (actor, options), around, lookups.clone());
    Ok((store::redis(server, connection.pool, probe_key(options), lookups), probe))
}

/// A key under the prefix of all keys, which an ACL for them covers, and of no row.
fn probe_key(options: &RedisCache) -> Arc<str> {
    let prefix = match options.key.value.first() {
        Some(TemplatePart::Text(prefix)) => prefix,
        _ => "",
    };
    [prefix, "\0"].concat().into()
}

/// A `redis_cache` that writes where `open` says.
pub(crate) fn over(
    actor: &Actor,
    options: &RedisCache,
    services: &Services,
    open: store::Open,
) -> Result<Factory, Error> {
    assemble(actor, options, services, (open, None))
}

fn assemble(
    actor: &Actor,
    options: &RedisCache,
    services: &Services,
    (open, probe): (store::Open, Option<Arc<probe::Beat>>),
) -> Result<Factory, Error> {
    if options.value.iter().any(|field| field.value == rows::ORDER_FIELD) {
        let message = format!("`value` names `{}`, which holds the order", rows::ORDER_FIELD);
        return Err(refused(actor, &message));
    }
    if let Some(condition) = &options.delete_when
        && let Some(schema) = schema_of(actor, services)
    {
        deletion::check(&condition.text, &schema).map_err(|error| refused(actor, &error.message))?;
    }
    let plan = Arc::new(updater::Plan {
        layout: rows::Layout::new(options, sources_above(actor, &services.topology)),
        open,
        probe,
        best_effort: actor.policy == Policy::BestEffort,
        offsets: services.offsets.clone(),
        kept: updater::Kept::default(),
    });
    Ok(Arc::new(move || Box::new(updater::Updater::new(plan.clone()))))
}

fn refused(actor: &Actor, message: &str) -> Error {
    Error::new(Class::Config, format!("actor `{}`: {message}", actor.name.value))
}

/// The names of the rows' columns, where they are said.
fn schema_of(actor: &Actor, services: &Services) -> Option<Schema> {
    let columns = services.topology.input_columns(&actor.name.value);
    if columns.is_empty() {
        return None;
    }
    let names = columns.iter().map(|column| Field::new(&column.name, DataType::Null, true));
    Some(Schema::new(names.collect::<Vec<_>>()))
}

/// The identities of the sources whose rows reach `actor`, in the order that counts in a cache's own.
pub(crate) fn sources_above(actor: &Actor, topology: &Topology) -> Vec<Arc<str>> {
    let mut above: Vec<&str> = actor.from.iter().map(|from| from.value.as_str()).collect();
    let mut sources: Vec<Arc<str>> = Vec::new();
    while let Some(name) = above.pop() {
        let Some(actor) = topology.actor(name) else { continue };
        if actor.kind.begins() {
            sources.push(actor.id.value.as_str().into());
            continue;
        }
        above.extend(actor.from.iter().map(|from| from.value.as_str()));
    }
    sources.sort();
    sources.dedup();
    sources
}
