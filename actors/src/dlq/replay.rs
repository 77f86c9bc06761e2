//! One run of letters along one lane, ready for the engine: who is made how, and where offsets are kept.
//!
//! The kinds are the real ones. Only what stands around them is another: the source reads letters, the rows' transaction
//! marks them, and who rejects one again marks that.

use super::again::AgainLetters;
use super::lane::{Lane, ROWS};
use super::offsets::LetterOffsets;
use super::run::{Run, Taken};
use super::store::Marking;
use super::{cache, rows, source};
use crate::services::{Servers, sinks_by_source};
use crate::timescale::{Connection, Timescale, TimescaleOffsets, exclusive};
use crate::{Services, catalog, dead_letter, redis_cache, timescale_writer};
use aqueduct_engine::{Claims, Clock, Error, Factory, OffsetStore};
use aqueduct_topology::model::{Actor, Kind, TimescaleWriter, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a step of retention may hold a replay up.
const RETENTION_MAX: Duration = Duration::from_secs(2);

/// See the module.
#[derive(Clone)]
pub struct Replay {
    run: Arc<Run>,
    services: Services,
}

/// What became of letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    /// Rows of them are durable.
    pub written: i64,
    /// They gave no row, and are done.
    pub filtered: i64,
    /// They were rejected again.
    pub failed: i64,
    /// Nothing yet.
    pub left: i64,
}

impl Replay {
    /// Of `letters`, whose records came from `source`, along `lane` of `topology`, in the replay that began with the claim
    /// `since`.
    pub fn new(
        topology: &Topology,
        (lane, source): (Lane, &str),
        (letters, since): (BTreeMap<i64, Taken>, i64),
        (timescale, node): (Timescale, Arc<str>),
        claims: Claims,
    ) -> Self {
        let name: Arc<str> = topology.name.value.as_str().into();
        let clock: Clock = timescale.clock().clone();
        // Those of the whole topology are named too, or their tables would seem to be fed by strangers. To adopt is a
        // node's to do, when it starts with the new name.
        let mut sinks = sinks_by_source(topology);
        sinks.extend(sinks_by_source(&lane.topology));
        sinks.values_mut().flatten().for_each(|sink| sink.adopts = None);
        let part = lane.topology.clone();
        let inner = TimescaleOffsets::new(timescale.clone(), name.clone(), node.clone(), sinks);
        let places = source_places(topology, source);
        let run = Arc::new(Run::new(lane, (name, node.clone()), timescale.clone(), places, (letters, since)));
        let offsets: Arc<dyn OffsetStore> = Arc::new(LetterOffsets { run: run.clone(), inner });
        let timescale = Some(timescale);
        let servers = Servers::default();
        let services = Services { topology: part, node, clock, claims, offsets, timescale, servers };
        Self { run, services }
    }

    /// The part of the topology that runs.
    pub fn topology(&self) -> Arc<Topology> {
        self.services.topology.clone()
    }

    /// Where its offsets are.
    pub fn offsets(&self) -> Arc<dyn OffsetStore> {
        self.services.offsets.clone()
    }

    /// How many letters it has left out, because they were half done: to choose again finds a way for them.
    pub fn half_done(&self) -> i64 {
        self.run.half_done() as i64
    }

    /// How `actor` of it is made.
    pub fn factory(&self, actor: &Actor) -> Result<Factory, Error> {
        let (run, services) = (&self.run, &self.services);
        match &actor.kind {
            Kind::DeadLetter(_) => Ok(dead_letter::keeper(Arc::new(AgainLetters { run: run.clone() }))),
            Kind::ReplaySource(_) => Ok(source::factory(run.clone(), services.offsets.clone())),
            Kind::Normalizer(_) if actor.name.value == ROWS => Ok(rows::factory(run.clone())),
            Kind::TimescaleWriter(options) => {
                let store = Arc::new(Marking { run: run.clone() });
                // All letters are of one partition.
                let options = TimescaleWriter { transactions: 1, ..options.clone() };
                timescale_writer::over(actor, &options, services, store)
            }
            Kind::RedisCache(options) => {
                let source = run.source_of_cache.get(&actor.name.value).copied().unwrap_or(0);
                let open =
                    cache::placed(run.clone(), source, redis_cache::store_of(actor, options, services)?);
                redis_cache::over(actor, options, services, open)
            }
            _ => catalog::factory(actor, services),
        }
    }
}

/// The place of `source` among those of each cache.
fn source_places(topology: &Topology, source: &str) -> BTreeMap<String, u16> {
    let caches = topology.actors.iter().filter(|actor| matches!(actor.kind, Kind::RedisCache(_)));
    let place = |cache: &Actor| {
        let sources = redis_cache::sources_above(cache, topology);
        let place = sources.iter().position(|known| **known == *source).unwrap_or(0);
        (cache.name.value.clone(), u16::try_from(place).unwrap_or(u16::MAX))
    };
    caches.map(place).collect()
}

/// What became of the letters `ids`, in the replay that began with the claim `since`.
pub async fn fates(connection: &Connection, topology: &str, ids: &[i64], since: i64) -> Result<Fates, Error> {
    let row = connection.row("see what became of letters", FATES, &[&topology, &ids, &since]).await?;
    Ok(Fates { written: row.get(0), filtered: row.get(1), failed: row.get(2), left: row.get(3) })
}

/// How many letters sinks have kept of what they refused in the replay that began with the claim `since`, besides those replayed.
pub async fn moved(connection: &Connection, topology: &str, upto: i64, since: i64) -> Result<i64, Error> {
    let row = connection.row("see what sinks refused", MOVED, &[&topology, &upto, &since]).await?;
    Ok(row.get(0))
}

/// Keeps every other replay of `topology` away for as long as `connection` lives; `false` = one is at work.
pub async fn exclude_others(connection: &Connection, clock: &Clock, topology: &str) -> Result<bool, Error> {
    // Retention or a reset holds the lock for a moment now and then; a replay holds it as long as it lasts.
    let deadline = clock.now() + RETENTION_MAX;
    // The name by which retention and `offsets reset` look too.
    let name = format!("aqueduct replay {topology}");
    loop {
        let excluded = exclusive::try_own(connection, "exclude other replays", &name).await?;
        if excluded || clock.now() >= deadline {
            return Ok(excluded);
        }
        clock.sleep(RETENTION_MAX / 20).await;
    }
}

const FATES: &str = "\
    SELECT count(*) FILTER (WHERE l.replayed_at IS NOT NULL AND l.outcome = 'written'), \
           count(*) FILTER (WHERE l.replayed_at IS NOT NULL AND l.outcome IS DISTINCT FROM 'written'), \
           count(*) FILTER (WHERE l.replayed_at IS NULL AND l.attempted_epoch > $3), \
           count(*) FILTER (WHERE l.replayed_at IS NULL AND COALESCE(l.attempted_epoch, 0) <= $3) \
    FROM aqueduct.dead_letter AS l WHERE l.topology = $1 AND l.id = ANY ($2::int8[])";

const MOVED: &str = "\
    SELECT count(*) FROM aqueduct.dead_letter AS l \
    WHERE l.topology = $1 AND l.id > $2 AND l.attempted_epoch > $3";

/// Ends letters whose deciding sinks all have them: those that were waited for are not in the file any more.
pub async fn finish(
    connection: &Connection,
    topology: &str,
    ids: &[i64],
    deciding: &[String],
) -> Result<(), Error> {
    connection.hits("end letters", FINISH, &[&topology, &ids, &deciding]).await?;
    Ok(())
}

const FINISH: &str = "\
    UPDATE aqueduct.dead_letter AS l SET replayed_at = pg_catalog.clock_timestamp() \
    WHERE l.topology = $1 AND l.id = ANY ($2::int8[]) AND l.replayed_at IS NULL AND $3::text[] <@ l.replayed_to";
