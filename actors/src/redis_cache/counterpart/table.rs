//! The table beside a cache: which one it is, and its newest rows, window by window.
//!
//! Invariant: a window that was begun is read whole or the rebuild ends with an error; so what is said to be done is.

use super::super::refused;
use super::cells::{Cell, cast, record_batch};
use crate::timescale::{Connection, Connector, Identifier, TableName, limits, sql};
use aqueduct_engine::{Batch, Clock, Error, Origin, PartitionKey, RawRecords};
use aqueduct_topology::model::{Actor, Column, Kind, Normalizer, RedisCache, TemplatePart, Topology};
use futures::stream::Fuse;
use futures::{StreamExt, TryStreamExt};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_postgres::types::ToSql;
use tokio_postgres::{RowStream, Statement};

/// Event time of one step. Small, so that a step is short and little is done twice; gaps are leapt over.
const WINDOW_US: i64 = 3_600 * 1_000_000;
/// Beyond all event times: the year 10000.
const END_US: i64 = 253_402_300_800 * 1_000_000;

/// What one step reads.
pub(crate) enum Window {
    /// Rows of these event times.
    Times { from_us: i64, before_us: i64 },
    /// The whole table: its rows have no event time.
    Everything,
}

/// What is asked of a table whose rows have an event time.
struct Times {
    newest_before: Statement,
    oldest: Statement,
    rows_before: Statement,
}

/// See the module.
pub(crate) struct Table {
    connection: Connection,
    table: TableName,
    columns: Vec<Column>,
    newest_rows: Statement,
    times: Option<Times>,
    ttl: Option<Duration>,
    key: PartitionKey,
}

impl Table {
    /// Connects, finds the table, prepares.
    pub(crate) async fn open(
        topology: &Topology,
        actor: &Actor,
        options: &RedisCache,
        source: Option<Arc<str>>,
        connector: &Connector,
    ) -> Result<Self, Error> {
        let normalizer = normalizer(topology, actor)
            .ok_or_else(|| refused(actor, "only a cache of a normalizer's rows can be rebuilt"))?;
        let table = TableName::parse(table(topology, actor)?)?;
        let columns = needed(normalizer, options);
        let identifier = |name: &str| Identifier::new(name);
        let key: Vec<Identifier> = fields_of_key(options).map(identifier).collect::<Result<_, _>>()?;
        let cells: Vec<(Identifier, &str)> = columns
            .iter()
            .map(|column| Ok((identifier(&column.name)?, cast(column.kind))))
            .collect::<Result<_, Error>>()?;
        let order = identifier(&options.order_by.value)?;
        let time = normalizer.event_time.as_ref().map(|time| identifier(&time.field.value)).transpose()?;
        let connection = connector.connect().await?;
        let doing = format!("read `{}`", table.plain());
        // A window of a dense table takes its time; each answer has its own bound here.
        let patient = connection.client().batch_execute("SET statement_timeout = 0");
        connection.within(&doing, limits::STATEMENT_WAIT_MAX, patient).await?;
        let prepare = async |text: String| {
            let prepared = connection.client().prepare(&text);
            connection.within(&doing, limits::STATEMENT_WAIT_MAX, prepared).await
        };
        let newest_rows = prepare(sql::newest_rows(&table, &cells, &key, (&order, time.as_ref()))).await?;
        let times = match &time {
            Some(time) => Some(Times {
                newest_before: prepare(sql::newest_time_before(&table, time)).await?,
                oldest: prepare(sql::oldest_time(&table, time)).await?,
                rows_before: prepare(sql::rows_before(&table, &cells, time)).await?,
            }),
            None => None,
        };
        let by_time = time.as_ref().is_some_and(|time| *time == order);
        Ok(Self {
            connection,
            table,
            columns,
            newest_rows,
            times,
            // Only where the event time is the order does it say when a key ends.
            ttl: options.ttl.filter(|_| by_time && options.delete_when.is_none()),
            key: PartitionKey { source: source.unwrap_or_default(), topic: "".into(), partition: 0 },
        })
    }

    pub(crate) fn name(&self) -> String {
        self.table.plain()
    }

    /// Nothing older than this is worth reading.
    pub(crate) async fn oldest_us(&self, since_us: Option<i64>, clock: &Clock) -> Result<Option<i64>, Error> {
        let Some(Times { oldest, .. }) = &self.times else { return Ok(None) };
        let expired = self
            .ttl
            .map(|ttl| clock.wall_us().saturating_sub(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)));
        let first = self.time(oldest, &[]).await?;
        Ok([since_us, expired, first].into_iter().flatten().max())
    }

    /// The next window below `before_us`; gaps are leapt over.
    pub(crate) async fn window(
        &self,
        before_us: Option<i64>,
        oldest_us: Option<i64>,
    ) -> Result<Option<Window>, Error> {
        let Some(Times { newest_before, .. }) = &self.times else { return Ok(Some(Window::Everything)) };
        let before = time_of(before_us.unwrap_or(END_US));
        let Some(newest) = self.time(newest_before, &[&before]).await? else { return Ok(None) };
        let oldest = oldest_us.unwrap_or(newest);
        if newest < oldest {
            return Ok(None);
        }
        let from_us = newest.saturating_sub(WINDOW_US).max(oldest);
        Ok(Some(Window::Times { from_us, before_us: newest + 1 }))
    }

    async fn time(
        &self,
        statement: &Statement,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<i64>, Error> {
        let answer = self.connection.client().query_one(statement, parameters);
        let row = self.connection.within("read event times", limits::REBUILD_WAIT_MAX, answer).await?;
        Ok(row.get::<_, Option<SystemTime>>(0).map(micros_of))
    }

    /// The newest row of each key in `window`.
    pub(crate) async fn rows(&self, window: &Window) -> Result<Rows<'_>, Error> {
        let times = match *window {
            Window::Times { from_us, before_us } => vec![time_of(from_us), time_of(before_us)],
            Window::Everything => Vec::new(),
        };
        let asked = self.connection.client().query_raw(&self.newest_rows, times);
        let stream = self.connection.within("read rows", limits::REBUILD_WAIT_MAX, asked).await?;
        Ok(Rows { table: self, stream: Box::pin(stream.fuse()) })
    }

    /// At most so many rows from before `before_us` backwards, found by the index of the event time. `None`: there are
    /// none, or they have no event time.
    pub(crate) async fn sample(&self, before_us: i64, rows_max: usize) -> Result<Option<Batch>, Error> {
        let Some(Times { rows_before, .. }) = &self.times else { return Ok(None) };
        let before = time_of(before_us.min(END_US));
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let parameters: [&(dyn ToSql + Sync); 2] = [&before, &limit];
        let parameters = parameters.into_iter().map(|parameter| parameter as &dyn ToSql);
        let asked = self.connection.client().query_raw(rows_before, parameters.collect::<Vec<_>>());
        let stream = self.connection.within("read rows", limits::STATEMENT_WAIT_MAX, asked).await?;
        Rows { table: self, stream: Box::pin(stream.fuse()) }.next(rows_max).await
    }

    /// The event times from which rows are worth comparing to the newest, if there are any.
    pub(crate) async fn span_us(&self, clock: &Clock) -> Result<Option<(i64, i64)>, Error> {
        let Some(Times { newest_before, .. }) = &self.times else { return Ok(None) };
        let newest = self.time(newest_before, &[&time_of(END_US)]).await?;
        let oldest = self.oldest_us(None, clock).await?;
        Ok(oldest.zip(newest).filter(|(oldest, newest)| oldest <= newest))
    }
}

/// Rows on their way.
pub(crate) struct Rows<'a> {
    table: &'a Table,
    /// Asked once more after its end, it would take the connection for closed.
    stream: Pin<Box<Fuse<RowStream>>>,
}

impl Rows<'_> {
    /// At most so many rows, as a batch of the normalizer's.
    pub(crate) async fn next(&mut self, rows_max: usize) -> Result<Option<Batch>, Error> {
        let table = self.table;
        let mut cells: Vec<Vec<Cell>> = table.columns.iter().map(|_| Vec::new()).collect();
        let mut rows = 0;
        while rows < rows_max {
            let next = self.stream.try_next();
            let next = table.connection.within("read rows", limits::REBUILD_WAIT_MAX, next).await?;
            let Some(row) = next else { break };
            for (index, column) in table.columns.iter().enumerate() {
                cells[index].push(Cell::of(&row, index, column.kind)?);
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let origin = Origin { key: table.key.clone(), epoch: 0, first: 0, next: 1 };
        let rows = record_batch(&table.columns, cells, rows)?;
        Ok(Some(Batch::raw(origin, RawRecords::empty()).with_rows(rows)))
    }
}

/// Microseconds since 1970 UTC.
pub(super) fn micros_of(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i64,
        Err(before) => -(before.duration().as_micros() as i64),
    }
}

fn time_of(micros: i64) -> SystemTime {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn normalizer<'a>(topology: &'a Topology, actor: &Actor) -> Option<&'a Normalizer> {
    match &topology.actor(&actor.from.first()?.value)?.kind {
        Kind::Normalizer(normalizer) if actor.from.len() == 1 => Some(normalizer),
        _ => None,
    }
}

/// Whether there is a table with the values of `cache`.
pub(crate) fn has_table(topology: &Topology, cache: &Actor) -> bool {
    normalizer(topology, cache).is_some() && table(topology, cache).is_ok()
}

/// The table that takes the rows the cache takes.
fn table<'a>(topology: &'a Topology, cache: &Actor) -> Result<&'a str, Error> {
    let from = |actor: &Actor| -> Vec<String> { actor.from.iter().map(|from| from.value.clone()).collect() };
    let beside = topology.actors.iter().find_map(|actor| match &actor.kind {
        Kind::TimescaleWriter(writer) if from(actor) == from(cache) => Some(writer.table.value.as_str()),
        _ => None,
    });
    beside.ok_or_else(|| {
        let from = from(cache).join(", ");
        refused(cache, &format!("no timescale_writer takes the rows of `{from}`, so no table has its values"))
    })
}

fn fields_of_key(options: &RedisCache) -> impl Iterator<Item = &str> {
    options.key.value.iter().filter_map(|part| match part {
        TemplatePart::Field(name) => Some(name.value.as_str()),
        TemplatePart::Text(_) => None,
    })
}

/// The columns that the cache reads; all of them where a condition may name any.
fn needed(normalizer: &Normalizer, options: &RedisCache) -> Vec<Column> {
    let named = |column: &&Column| {
        options.delete_when.is_some()
            || fields_of_key(options).any(|name| name == column.name)
            || options.value.iter().chain([&options.order_by]).any(|name| name.value == column.name)
    };
    normalizer.columns.iter().filter(named).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_times_keep_their_microseconds_on_both_sides_of_1970() {
        for micros in [0, 1, -1, 1_723_118_400_123_456, -5_000_000_000_001] {
            assert_eq!(micros_of(time_of(micros)), micros);
        }
    }
}
