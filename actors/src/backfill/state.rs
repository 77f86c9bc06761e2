//! The record of backfills: begun, taken up again, counted, ended. Table `aqueduct.backfills`, and the offsets beside it.
//!
//! **A backfill begins in one snapshot** ([`begin`]): how many rows the range has, their deletion if that was asked for, and
//! where the live writer stands. Its rows and its offsets are committed together, so rows in that snapshot are just those of
//! records below these offsets; the backfill reads to there, and the live topology writes from there on. So a row that comes
//! late is neither deleted nor written twice, whatever runs beside it. ADR 0024 has the reasons.
//!
//! Invariant: of two commands for one table one works ([`exclude_others`]); one that was frozen is fenced by its offsets.

use super::lane::{Lane, Way, name};
use super::plan::Part;
use super::{Mode, SOURCE_PREFIX};
use crate::export::spans::{Range, time};
use crate::timescale::{Connection, Identifier, TableName, exclusive, limits, sql};
use aqueduct_engine::{Class, Error};
use serde_json::Value;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// What somebody wants.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The way to the table.
    pub way: Way<'a>,
    /// The table.
    pub table: TableName,
    /// The column that has the time of rows.
    pub time_column: Identifier,
    /// Which rows.
    pub range: Range,
    /// From where: `kafka`, or a file with its checksum.
    pub origin: String,
    /// What becomes of rows that are there.
    pub mode: Mode,
    /// The key by which they are known.
    pub key: Vec<String>,
    /// This node.
    pub node: &'a str,
}

/// A backfill, as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: i64,
    /// Which rows.
    pub range: Range,
    /// From where.
    pub origin: String,
    /// What becomes of rows that are there.
    pub mode: Mode,
    /// The key by which they are known.
    pub key: Vec<String>,
    /// What it reads.
    pub parts: Vec<Part>,
    /// Rows of the range when it began.
    pub before: i64,
    /// Rows that it deleted then.
    pub deleted: i64,
    /// Rows that it has added.
    pub added: i64,
    /// Rows that were there already.
    pub there: i64,
    /// How often somebody worked at it.
    pub attempts: i32,
}

/// Keeps every other backfill of the table away for as long as `connection` lives; `false` = one is at work.
pub async fn exclude_others(connection: &Connection, table: &TableName) -> Result<bool, Error> {
    exclusive::try_own(connection, "exclude other backfills", &format!("aqueduct backfill {table}")).await
}

/// Those of `topology` into `target` that are neither done nor given up.
pub async fn unfinished(connection: &Connection, topology: &str, target: &str) -> Result<Vec<Entry>, Error> {
    let rows = connection.rows("look for unfinished backfills", UNFINISHED, &[&topology, &target]).await?;
    rows.iter().map(entry).collect()
}

/// The one of that number.
pub async fn get(connection: &Connection, topology: &str, id: i64) -> Result<Entry, Error> {
    entry(&connection.row("read a backfill", ONE, &[&topology, &id]).await?)
}

macro_rules! columns {
    () => {
        "SELECT id, (EXTRACT(epoch FROM from_time) * 1000000)::int8, (EXTRACT(epoch FROM to_time) * 1000000)::int8, origin, \
                mode, key, plan, rows_before, rows_deleted, rows_added, rows_there, attempts \
         FROM aqueduct.backfills WHERE topology = $1 AND "
    };
}

const UNFINISHED: &str = concat!(columns!(), "target = $2 AND state = 'running' ORDER BY id");

const ONE: &str = concat!(columns!(), "id = $2");

fn entry(row: &Row) -> Result<Entry, Error> {
    let id: i64 = row.get(0);
    let unreadable = || {
        let message = format!(
            "backfill {id} was begun by another version of Aqueduct, whose plan this one cannot read: finish it with that one, \
             or give it up with --abandon {id}"
        );
        Error::new(Class::Config, message)
    };
    let plan: Value = row.get(6);
    Ok(Entry {
        id,
        range: Range { from_us: row.get(1), to_us: row.get(2) },
        origin: row.get(3),
        mode: Mode::of(row.get(4)).ok_or_else(unreadable)?,
        key: row.get(5),
        parts: serde_json::from_value(plan["parts"].clone()).map_err(|_| unreadable())?,
        before: row.get(7),
        deleted: row.get(8),
        added: row.get(9),
        there: row.get(10),
        attempts: row.get(11),
    })
}

/// As it would be recorded if it began now. Changes nothing.
pub async fn as_begun(
    connection: &Connection,
    wish: &Wish<'_>,
    mut parts: Vec<Part>,
    before: i64,
) -> Result<Entry, Error> {
    if wish.origin == super::KAFKA {
        clamp(connection, wish, &mut parts).await?;
    }
    let (range, origin, mode, key) = (wish.range, wish.origin.clone(), wish.mode, wish.key.clone());
    Ok(Entry { id: 0, range, origin, mode, key, parts, before, deleted: 0, added: 0, there: 0, attempts: 0 })
}

/// Begins: see the module. `parts` are what the logs have; those of Kafka are read only to where the live writer stands.
pub async fn begin(connection: &Connection, wish: &Wish<'_>, mut parts: Vec<Part>) -> Result<Entry, Error> {
    let begun: Result<i64, Error> = async {
        execute(connection, "begin a backfill", "BEGIN ISOLATION LEVEL REPEATABLE READ").await?;
        if wish.origin == super::KAFKA {
            clamp(connection, wish, &mut parts).await?;
        }
        let (before, deleted) = clear(connection, wish).await?;
        let id = store(connection, wish, &parts, (before, deleted)).await?;
        store_offsets(connection, wish, id, &parts).await?;
        let commit = connection.client().batch_execute("COMMIT");
        connection.within("begin a backfill", limits::COMMIT_WAIT_MAX, commit).await?;
        Ok(id)
    }
    .await;
    if begun.is_err() && !connection.is_broken() {
        // Its own failure shows as a broken connection.
        let _ = execute(connection, "roll a backfill back", "ROLLBACK").await;
    }
    get(connection, topology(wish), begun?).await
}

fn topology<'a>(wish: &Wish<'a>) -> &'a str {
    wish.way.topology_name()
}

async fn execute(connection: &Connection, doing: &str, statement: &str) -> Result<(), Error> {
    connection.within(doing, limits::STATEMENT_WAIT_MAX, connection.client().batch_execute(statement)).await
}

/// From where the live writer stands on, records are its own.
async fn clamp(connection: &Connection, wish: &Wish<'_>, parts: &mut [Part]) -> Result<(), Error> {
    let sink = wish.way.writer.id.value.as_str();
    let rows = connection.rows("see where the live writer stands", LIVE, &[&topology(wish), &sink]).await?;
    for part in parts {
        let of_topic = |row: &&Row| (row.get(0), row.get(1)) == (part.source.as_str(), part.topic.as_str());
        let mut known = rows.iter().filter(of_topic).peekable();
        if known.peek().is_none() {
            let message = format!(
                "topology `{}` has never read topic `{}` for `{}`: once it runs it will read and write these records itself, and \
                 they would be there twice; `aqueduct run` it, with `start:` where it shall begin, or `offsets reset` it to there",
                topology(wish),
                part.topic,
                wish.table.plain()
            );
            return Err(Error::new(Class::Config, message));
        }
        let live = known.find(|row| row.get::<_, i32>(2) == part.partition).map(|row| row.get(3));
        // A partition that came later is read from its beginning.
        part.clamp(live.unwrap_or(part.start));
    }
    Ok(())
}

const LIVE: &str =
    "SELECT input, topic, partition, next_offset FROM aqueduct.offsets WHERE topology = $1 AND sink = $2";

/// Counts the rows that are there, and sees to it that none stands in the way.
async fn clear(connection: &Connection, wish: &Wish<'_>) -> Result<(i64, i64), Error> {
    let before = count(connection, &wish.table, &wish.time_column, wish.range).await?;
    match wish.mode {
        Mode::IntoEmpty if before > 0 => {
            let message = format!(
                "`{}` has {before} rows in the range and no key by which to know them again, so filling it would double them: \
                 say --key COLUMN,.. if the rows have one, --replace to delete what is there first, or narrow the range to \
                 what is empty",
                wish.table.plain()
            );
            Err(Error::new(Class::Config, message))
        }
        Mode::Replace => {
            let statement = sql::delete_between(&wish.table, &wish.time_column);
            let (from, to) = (time(wish.range.from_us), time(wish.range.to_us));
            let params: [&(dyn ToSql + Sync); 2] = [&from, &to];
            let deleting = connection.client().execute(&statement, &params);
            let doing = format!("delete the range of `{}`", wish.table.plain());
            let deleted = connection.within(&doing, LONG, deleting).await?;
            Ok((before, deleted as i64))
        }
        _ => Ok((before, 0)),
    }
}

/// How long a look at a whole range may take.
const LONG: std::time::Duration = std::time::Duration::from_secs(600);

/// How many rows of `table` lie in `range`.
pub async fn count(
    connection: &Connection,
    table: &TableName,
    column: &Identifier,
    range: Range,
) -> Result<i64, Error> {
    let statement = sql::count_between(table, column);
    let (from, to) = (time(range.from_us), time(range.to_us));
    let params: [&(dyn ToSql + Sync); 2] = [&from, &to];
    let doing = format!("count the rows of `{}`", table.plain());
    let counted = connection.within(&doing, LONG, connection.client().query_one(&statement, &params)).await?;
    Ok(counted.get(0))
}

async fn store(
    connection: &Connection,
    wish: &Wish<'_>,
    parts: &[Part],
    (before, deleted): (i64, i64),
) -> Result<i64, Error> {
    let plan = serde_json::json!({ "parts": parts });
    let (from, to) = (time(wish.range.from_us), time(wish.range.to_us));
    let (sink, target, mode) = (&wish.way.writer.id.value, wish.way.table(), wish.mode.as_str());
    let params: [&(dyn ToSql + Sync); 12] = [
        &topology(wish),
        sink,
        &target,
        &from,
        &to,
        &wish.origin,
        &mode,
        &wish.key,
        &plan,
        &before,
        &deleted,
        &wish.node,
    ];
    Ok(connection.row("record a backfill", STORE, &params).await?.get(0))
}

const STORE: &str = "\
    INSERT INTO aqueduct.backfills \
        (topology, sink, target, from_time, to_time, origin, mode, key, plan, rows_before, rows_deleted, node) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id";

/// In the same transaction, so that offsets which are gone later were taken away, and are no beginning.
async fn store_offsets(
    connection: &Connection,
    wish: &Wish<'_>,
    id: i64,
    parts: &[Part],
) -> Result<(), Error> {
    let inputs: Vec<String> = parts.iter().map(|part| name(id, &part.source)).collect();
    let from_file = wish.origin != super::KAFKA;
    let topic = |part: &Part| if from_file { format!("{SOURCE_PREFIX}{id}") } else { part.topic.clone() };
    let topics: Vec<String> = parts.iter().map(topic).collect();
    let partitions: Vec<i32> = parts.iter().map(|part| part.partition).collect();
    let starts: Vec<i64> = parts.iter().map(|part| part.start).collect();
    let (sink, target) = (&wish.way.writer.id.value, wish.way.table());
    let params: [&(dyn ToSql + Sync); 8] =
        [&topology(wish), sink, &target, &wish.node, &inputs, &topics, &partitions, &starts];
    connection.hits("begin a backfill's offsets", STORE_OFFSETS, &params).await?;
    Ok(())
}

/// Nobody's yet: no session has this name, and no claim this owner.
const STORE_OFFSETS: &str = "\
    INSERT INTO aqueduct.offsets \
        (topology, sink, input, topic, partition, epoch, owner, next_offset, target, required, node, session) \
    SELECT $1, $2, p.input, p.topic, p.partition, 1, pg_catalog.gen_random_uuid(), p.next_offset, $3, true, $4, 'unclaimed' \
    FROM ROWS FROM (pg_catalog.unnest($5::text[]), pg_catalog.unnest($6::text[]), pg_catalog.unnest($7::int4[]), \
                    pg_catalog.unnest($8::int8[])) AS p(input, topic, partition, next_offset)";

/// Takes one up again that was interrupted; gives how many offsets it has left to pass. Refuses one whose offsets were taken
/// away: what it has added is there, and would be added again.
pub async fn take_up(
    connection: &Connection,
    topology: &str,
    entry: &Entry,
    node: &str,
) -> Result<i64, Error> {
    let Some(left) = left(connection, topology, entry).await? else {
        let message = format!(
            "the offsets of backfill {} were taken away (`offsets reset`?), so it is not known what it has written: give it up \
             with --abandon {}, and begin anew",
            entry.id, entry.id
        );
        return Err(Error::new(Class::Config, message));
    };
    connection.hits("take a backfill up again", TAKE_UP, &[&topology, &entry.id, &node]).await?;
    Ok(left)
}

/// How many offsets it has left to pass; `None`: some of its offsets are gone.
pub async fn left(connection: &Connection, topology: &str, entry: &Entry) -> Result<Option<i64>, Error> {
    let inputs: Vec<String> = entry.parts.iter().map(|part| name(entry.id, &part.source)).collect();
    let partitions: Vec<i32> = entry.parts.iter().map(|part| part.partition).collect();
    let ends: Vec<i64> = entry.parts.iter().map(|part| part.end).collect();
    let params: [&(dyn ToSql + Sync); 4] = [&topology, &inputs, &partitions, &ends];
    let row = connection.row("see how far a backfill has come", LEFT, &params).await?;
    let (found, left): (i64, i64) = (row.get(0), row.get(1));
    Ok((found == entry.parts.len() as i64).then_some(left))
}

const LEFT: &str = "\
    SELECT count(*), COALESCE(sum(GREATEST(p.ends - o.next_offset, 0)), 0)::int8 \
    FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::int4[]), pg_catalog.unnest($4::int8[])) \
         AS p(input, partition, ends) \
    JOIN aqueduct.offsets AS o ON o.topology = $1 AND o.input = p.input AND o.partition = p.partition";

const TAKE_UP: &str = "\
    UPDATE aqueduct.backfills SET attempts = attempts + 1, node = $3, updated_at = pg_catalog.clock_timestamp() \
    WHERE topology = $1 AND id = $2";

/// It is done, with so many rows in its range. Its offsets go, unless letters of it wait, which are known to be settled by them.
pub async fn finish(connection: &Connection, topology: &str, entry: &Entry, after: i64) -> Result<(), Error> {
    let params: [&(dyn ToSql + Sync); 3] = [&topology, &entry.id, &after];
    connection.hits("end a backfill", FINISH, &params).await?;
    forget_offsets(connection, topology, entry).await
}

/// It is given up: what it has written stays, and nobody goes on. `false` = there is none of that number at work.
pub async fn abandon(connection: &Connection, topology: &str, entry: &Entry) -> Result<bool, Error> {
    let given_up = connection.hits("give a backfill up", ABANDON, &[&topology, &entry.id]).await?;
    forget_offsets(connection, topology, entry).await?;
    Ok(given_up > 0)
}

async fn forget_offsets(connection: &Connection, topology: &str, entry: &Entry) -> Result<(), Error> {
    connection.row("forget a backfill's offsets", FORGET, &[&topology, &entry.id]).await?;
    Ok(())
}

/// How many dead letters it has left, by actor and reason.
pub async fn letters(
    connection: &Connection,
    topology: &str,
    lane: &Lane,
) -> Result<Vec<(String, String, i64)>, Error> {
    let inputs: Vec<&str> = lane.sources.iter().map(|source| &*source.name).collect();
    let rows = connection.rows("count a backfill's letters", LETTERS, &[&topology, &inputs]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect())
}

const LETTERS: &str = "\
    SELECT actor, reason, count(*) FROM aqueduct.dead_letter WHERE topology = $1 AND source = ANY ($2::text[]) \
    GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2";

const FINISH: &str = "\
    UPDATE aqueduct.backfills \
    SET state = 'done', rows_after = $3, ended_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.clock_timestamp() \
    WHERE topology = $1 AND id = $2 AND state = 'running'";

const ABANDON: &str = "\
    UPDATE aqueduct.backfills \
    SET state = 'abandoned', ended_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.clock_timestamp() \
    WHERE topology = $1 AND id = $2 AND state = 'running'";

const FORGET: &str = "SELECT aqueduct.forget_backfill($1, $2)";
