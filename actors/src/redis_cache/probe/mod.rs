//! Looks at a cache from where its readers stand: do they find what they ask for, and is it as new as the table beside it?
//!
//! Who finds what is known from two sides. *Readers* that count for themselves (one `HINCRBY` in any language, see
//! [`server::READS_PREFIX`]) are believed. The *server* counts every look-up, the updaters' own among them; each updater
//! says how many were its own, so that what is left are readers, of any key of that server.
//!
//! How new it is, is seen on a [`sample`] of keys. Deliberately absent: repair. A probe that writes would hide what it is
//! there to show; `aqueduct cache rebuild` brings back what is missing.

mod beat;
mod info;
pub(crate) mod lookups;
mod reads;
mod sample;
mod server;

pub(super) use beat::Beat;
pub use sample::{SAMPLE_ROWS, Sample};

use super::counterpart::{Counterpart, chosen, has_table};
use super::server::{self as redis, Server};
use aqueduct_engine::limits::CONTACT_WAIT_MAX;
use aqueduct_engine::{Class, Clock, Error};
use aqueduct_topology::model::Topology;
use reads::Reads;
use server::{Answer, Asker, READS_PREFIX};

/// What one look at one cache came to.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Seen {
    /// Its name.
    pub cache: String,
    /// The share of reads that found their key, since readers began to count; `None` = they do not count.
    pub hit_ratio: Option<f64>,
    /// Keys of the server, this cache's and others'.
    pub server_keys: Option<u64>,
    /// Keys the server threw out for want of memory, since it was started.
    pub evicted_keys: Option<u64>,
    /// How it stands to the table beside it; `None` where no table has its values.
    pub sample: Option<Sample>,
}

/// Looks once at every cache of `topology`, or at the one of that name; at most `rows_max` rows of each half of a sample.
pub async fn look(
    topology: &Topology,
    (node, clock): (&str, &Clock),
    cache: Option<&str>,
    rows_max: usize,
) -> Result<Vec<Seen>, Error> {
    let mut seen = Vec::new();
    for (actor, options) in chosen(topology, cache)? {
        let connection = topology.connections.redis.as_ref().ok_or_else(|| {
            super::refused(actor, "no Redis server is named; write `connections: { redis: { url: .. } }`")
        })?;
        let server = Server::new(connection, &topology.name.value, clock.clone())?;
        let pool = redis::pool(&server, 1);
        let reads_key = reads_key(&topology.name.value, &actor.name.value);
        let now = clock.wall_us().div_euclid(1_000_000);
        let asker = Asker { lookups: None, reads_key: &reads_key, now };
        let answer = ask_in_time(&pool, server.address(), asker, clock).await?;
        let sample = if has_table(topology, actor) {
            let counterpart = Counterpart::open(topology, actor, options, (node, clock)).await?;
            sample::take(&counterpart, rows_max, chance).await?
        } else {
            None
        };
        seen.push(Seen {
            cache: actor.name.value.clone(),
            hit_ratio: answer.readers.and_then(Reads::ratio),
            server_keys: answer.keys,
            evicted_keys: answer.info.map(|info| info.evicted_keys),
            sample,
        });
    }
    Ok(seen)
}

/// The key that readers of `cache` count under.
fn reads_key(topology: &str, cache: &str) -> String {
    format!("{READS_PREFIX}{topology}:{cache}")
}

async fn ask_in_time(
    pool: &bb8::Pool<Server>,
    address: &str,
    asker: Asker<'_>,
    clock: &Clock,
) -> Result<Answer, Error> {
    match clock.timeout(CONTACT_WAIT_MAX, server::ask(pool, address, asker)).await {
        Ok(answer) => answer,
        Err(_) => {
            let wait = CONTACT_WAIT_MAX.as_secs();
            Err(Error::new(Class::Transient, format!("redis at {address}: no answer within {wait} s")))
        }
    }
}

/// A random time between the two.
fn chance(oldest_us: i64, newest_us: i64) -> i64 {
    fastrand::i64(oldest_us..=newest_us)
}
