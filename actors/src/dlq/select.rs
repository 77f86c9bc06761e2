//! Which letters a replay takes, and why it leaves the others.
//!
//! A letter is taken only once its record is settled: every required sink has the record behind it. Before that, a claim
//! of a node that runs would judge the record anew, and it would be written twice.

use super::filter::{Bound, Filter, matching};
use super::lane::{Lane, lane};
use super::run::Taken;
use crate::timescale::Connection;
use aqueduct_engine::Error;
use aqueduct_topology::model::{Policy, Topology};
use std::collections::BTreeMap;
use tokio_postgres::Row;

/// Letters of one run: what is known of them is held in memory.
pub const RUN_LETTERS_MAX: i64 = 50_000;

/// Letters that go the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Who rejected them.
    pub actor: String,
    /// The source of their records.
    pub source: String,
    /// Sinks that have what was replayed of them.
    pub done: Vec<String>,
    /// How many there are to take.
    pub ready: i64,
    /// Whose records some required sink has not behind it yet.
    pub unsettled: i64,
    /// That failed in a replay before.
    pub failed: i64,
    /// That speak of several rows whose places are not told, or do not tell of how many.
    pub unplaced: i64,
}

impl Group {
    /// Their way through `topology`.
    pub fn lane(&self, topology: &Topology, to: Option<&str>) -> Result<Lane, String> {
        lane(topology, (&self.actor, &self.source), to, &self.done)
    }
}

/// How letters are chosen beyond the filter.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Which are meant.
    pub filter: &'a Filter,
    /// Those too that a replay rejected before.
    pub again: bool,
    /// No letter stored after this one.
    pub upto: i64,
    /// None that was rejected under a later claim than this: it failed in this very replay.
    pub since: i64,
    /// Whether offsets lie beside the rows, so that it is known which records are settled.
    pub guarded: bool,
}

/// The conditions of a letter that is meant and not done; parameters 12 to 16 are those of [`Choice`] and the required
/// sinks.
macro_rules! open {
    () => {
        concat!(
            matching!(),
            " AND l.replayed_at IS NULL AND l.id <= $12 AND COALESCE(l.attempted_epoch, 0) <= $16"
        )
    };
}

macro_rules! settled {
    () => {
        "(NOT $13::bool OR (\
            EXISTS (SELECT FROM aqueduct.offsets AS o WHERE o.topology = l.topology AND o.input = l.source \
                       AND o.topic = l.topic AND o.partition = l.partition AND o.sink = ANY ($14::text[])) \
            AND NOT EXISTS (SELECT FROM aqueduct.offsets AS o WHERE o.topology = l.topology AND o.input = l.source \
                       AND o.topic = l.topic AND o.partition = l.partition \
                       AND (o.sink = ANY ($14::text[]) OR o.sink = l.actor) AND o.next_offset <= l.\"offset\")))"
    };
}

const GROUPS: &str = concat!(
    "SELECT g.actor, g.source, g.replayed_to, \
            count(*) FILTER (WHERE g.settled AND (g.attempts = 0 OR $15::bool)), \
            count(*) FILTER (WHERE NOT g.settled), \
            count(*) FILTER (WHERE g.settled AND g.attempts > 0 AND NOT $15::bool), \
            count(*) FILTER (WHERE g.settled AND (g.attempts = 0 OR $15::bool) \
                                   AND COALESCE(g.extent, 'several') = 'several') \
     FROM (SELECT l.actor, l.source, l.replayed_to, l.attempts, l.extent, ",
    settled!(),
    " AS settled FROM aqueduct.dead_letter AS l WHERE ",
    open!(),
    ") AS g GROUP BY 1, 2, 3 ORDER BY pg_catalog.cardinality(g.replayed_to) DESC, 1, 2, 3"
);

const TAKE: &str = concat!(
    "SELECT l.id, l.partition, l.\"offset\", l.row_index, l.extent FROM aqueduct.dead_letter AS l WHERE ",
    open!(),
    " AND ",
    settled!(),
    " AND (l.attempts = 0 OR $15::bool) AND ($17::bool OR COALESCE(l.extent, 'several') <> 'several') \
      AND l.actor = $18 AND l.source = $19 AND l.replayed_to = $20::text[] AND l.id > $21 \
      ORDER BY l.id LIMIT $22"
);

/// The greatest id there is; letters that come later are another replay's.
pub async fn newest(connection: &Connection, topology: &str) -> Result<i64, Error> {
    const NEWEST: &str = "SELECT COALESCE(max(id), 0) FROM aqueduct.dead_letter WHERE topology = $1";
    let row = connection.row("find the newest letter", NEWEST, &[&topology]).await?;
    Ok(row.get(0))
}

/// The sinks without which a record is not settled.
fn deciding(topology: &Topology) -> Vec<&str> {
    let sinks = || topology.actors.iter().filter(|actor| actor.kind.is_sink());
    let required: Vec<&str> =
        sinks().filter(|sink| sink.policy == Policy::Required).map(|sink| sink.id.value.as_str()).collect();
    if required.is_empty() { sinks().map(|sink| sink.id.value.as_str()).collect() } else { required }
}

/// What there is to do, by way: those first that a replay was interrupted at.
pub async fn groups(
    connection: &Connection,
    topology: &Topology,
    choice: Choice<'_>,
) -> Result<Vec<Group>, Error> {
    let bound = Bound::new(&topology.name.value, choice.filter);
    let sinks = deciding(topology);
    let params = bound.and(&[&choice.upto, &choice.guarded, &sinks, &choice.again, &choice.since]);
    let rows = connection.rows("see what is to replay", GROUPS, &params).await?;
    let group = |row: &Row| Group {
        actor: row.get(0),
        source: row.get(1),
        done: row.get(2),
        ready: row.get(3),
        unsettled: row.get(4),
        failed: row.get(5),
        unplaced: row.get(6),
    };
    Ok(rows.iter().map(group).collect())
}

/// The next letters of `group` after `after`, at most [`RUN_LETTERS_MAX`].
pub async fn take(
    connection: &Connection,
    topology: &Topology,
    choice: Choice<'_>,
    (group, lane): (&Group, &Lane),
    after: i64,
) -> Result<BTreeMap<i64, Taken>, Error> {
    let bound = Bound::new(&topology.name.value, choice.filter);
    let sinks = deciding(topology);
    let params = bound.and(&[
        &choice.upto,
        &choice.guarded,
        &sinks,
        &choice.again,
        &choice.since,
        &lane.single_row,
        &group.actor,
        &group.source,
        &group.done,
        &after,
        &RUN_LETTERS_MAX,
    ]);
    let rows = connection.rows("take letters", TAKE, &params).await?;
    let taken = |row: &Row| {
        let extent: Option<&str> = row.get(4);
        let whole = extent == Some("record") || (lane.single_row && extent != Some("row"));
        (row.get(0), Taken { partition: row.get(1), offset: row.get(2), row: row.get(3), whole })
    };
    Ok(rows.iter().map(taken).collect())
}
