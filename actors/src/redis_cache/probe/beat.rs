//! The probe beside one running cache, on its beat: figures for `/metrics`, a line in the log when keys have drifted.
//!
//! It has connections of its own and owes the updater nothing: when Redis or the table is away it says nothing, and its
//! figures keep the time they are from.

use super::lookups::Lookups;
use super::reads::{Follower, OthersReads, Reads};
use super::sample::{self, SAMPLE_ROWS, Sample};
use super::server::{Answer, Asker};
use super::{ask_in_time, chance, reads_key};
use crate::redis_cache::counterpart::{self, Counterpart};
use crate::redis_cache::server::{self, Server};
use aqueduct_engine::telemetry::{event_ids, names};
use aqueduct_engine::{Clock, Error, Status};
use aqueduct_topology::model::{Actor, RedisCache, Topology};
use std::sync::Arc;
use std::time::Duration;

/// How often Redis is asked what it counts.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// A sample is taken each so many questions.
const SAMPLE_EACH: u64 = 3;

/// What every probe of one cache works by.
pub(in crate::redis_cache) struct Beat {
    topology: Arc<Topology>,
    actor: Actor,
    options: RedisCache,
    server: Server,
    node: Arc<str>,
    lookups: Arc<Lookups>,
}

impl Beat {
    pub(in crate::redis_cache) fn new(
        topology: Arc<Topology>,
        (actor, options): (&Actor, &RedisCache),
        (server, node): (Server, Arc<str>),
        lookups: Arc<Lookups>,
    ) -> Self {
        Self { topology, actor: actor.clone(), options: options.clone(), server, node, lookups }
    }

    /// Looks again and again; it never ends.
    pub(in crate::redis_cache) async fn look(&self, status: &Status, clock: &Clock) {
        let (topology, cache) = (&self.topology.name.value, &self.actor.name.value);
        let reads_key = reads_key(topology, cache);
        let field = format!("{topology}/{cache}/{}", self.node);
        let pool = server::pool(&self.server, 1);
        let has_table = counterpart::has_table(&self.topology, &self.actor);
        let (mut readers, mut others) = (Follower::default(), OthersReads::default());
        for question in 0_u64.. {
            let now = clock.wall_us().div_euclid(1_000_000);
            let asker = Asker { lookups: Some((&field, self.lookups.all())), reads_key: &reads_key, now };
            match ask_in_time(&pool, self.server.address(), asker, clock).await {
                Ok(answer) => {
                    // The question was two look-ups itself: of the readers' counts, and of the writers'.
                    let found = u64::from(answer.readers.is_some());
                    self.lookups.count(1 + found, 1 - found);
                    show(status, &answer, (&mut readers, &mut others));
                }
                Err(error) => tracing::debug!(actor = %cache, %error, "cannot ask the cache's server"),
            }
            if has_table && question % SAMPLE_EACH == SAMPLE_EACH - 1 {
                match self.sample(clock).await {
                    Ok(sample) => self.show_sample(sample, status, clock),
                    Err(error) => {
                        tracing::debug!(actor = %cache, %error, "cannot compare the cache with its table")
                    }
                }
            }
            clock.sleep(ASK_EVERY).await;
        }
    }

    async fn sample(&self, clock: &Clock) -> Result<Option<Sample>, Error> {
        let around = (&*self.node, clock);
        let counterpart = Counterpart::open(&self.topology, &self.actor, &self.options, around).await?;
        let sample = sample::take(&counterpart, SAMPLE_ROWS, chance).await;
        let Reads { hits, misses } = counterpart.lookups().all();
        self.lookups.count(hits, misses);
        sample
    }

    fn show_sample(&self, sample: Option<Sample>, status: &Status, clock: &Clock) {
        let figures = status.figures();
        let sample = sample.unwrap_or_default();
        figures.set(names::CACHE_SAMPLED_KEYS, &[], sample.keys as f64);
        for (how, keys) in
            [("missing", sample.missing), ("behind", sample.behind), ("refused", sample.refused)]
        {
            figures.set(names::CACHE_DRIFTED_KEYS, &[("how", how)], keys as f64);
        }
        figures.set(names::CACHE_BEHIND_SECONDS, &[], sample.behind_seconds_max);
        figures.set(names::CACHE_SAMPLED_TIMESTAMP_SECONDS, &[], clock.wall_us() as f64 / 1e6);
        if sample.drifted() > 0 {
            let Sample { keys, missing, behind, refused, named, .. } = &sample;
            let cache = &self.actor.name.value;
            tracing::warn!(
                event = event_ids::CACHE_DRIFTED, actor = %cache, keys, missing, behind, refused, ?named,
                "keys of the cache do not have what the table has; `aqueduct cache rebuild FILE --cache {cache}` brings it back"
            );
        }
    }
}

/// What Redis answered, as figures of the actor.
fn show(status: &Status, answer: &Answer, (readers, others): (&mut Follower, &mut OthersReads)) {
    let figures = status.figures();
    if let Some(counted) = answer.readers {
        readers.stands(counted);
    }
    if let Some(keys) = answer.keys {
        figures.set(names::CACHE_SERVER_KEYS, &[], keys as f64);
    }
    if let Some(info) = answer.info {
        others.stand(info.lookups, answer.writers.clone());
        figures.set(names::CACHE_SERVER_MEMORY_BYTES, &[], info.memory_bytes as f64);
        figures.set(names::CACHE_SERVER_MEMORY_MAX_BYTES, &[], info.memory_max_bytes as f64);
        figures.set(names::CACHE_EVICTED_KEYS_TOTAL, &[], info.evicted_keys as f64);
        figures.set(names::CACHE_EXPIRED_KEYS_TOTAL, &[], info.expired_keys as f64);
    }
    let readers = answer.readers.map(|_| ("readers", &*readers));
    let server = answer.info.map(|_| ("server", others.readers()));
    let counted: Vec<_> = readers.into_iter().chain(server).collect();
    for (by, reads) in &counted {
        let Reads { hits, misses } = reads.total();
        for (outcome, count) in [("hit", hits), ("miss", misses)] {
            figures.set(names::CACHE_READS_TOTAL, &[("by", by), ("outcome", outcome)], count as f64);
        }
    }
    // Nobody reads: no share. An old one would look like a new one.
    let ratios = counted.iter().filter_map(|(by, reads)| Some((vec![("by", *by)], reads.recent().ratio()?)));
    figures.show(names::CACHE_HIT_RATIO, ratios);
}
