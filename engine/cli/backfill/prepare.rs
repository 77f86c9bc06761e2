//! From what is asked for to what is done: the table as it is, what becomes of its rows, which records are read. Whatever
//! cannot be is refused here, before anything is touched.

use super::Arguments;
use super::input::{Input, Rows};
use crate::output::time;
use crate::stores::{self, wrong};
use anyhow::Result;
use aqueduct_actors::backfill::{self, Entry, Ground, KAFKA, Mode, Part, Records, Source, Way, Wish, plan};
use aqueduct_actors::export::spans::Range;
use aqueduct_actors::kafka::logs::Logs;
use aqueduct_actors::timescale::{Connection, Identifier, TableName};
use aqueduct_engine::Clock;
use aqueduct_topology::model::{Actor, FieldType, Kind, Topology};
use aqueduct_topology::{Span, Spanned};

/// Name of the normalizer that takes rows as they are.
const TABLE_ROWS: &str = "backfill:table_rows";

/// What will be done.
pub(super) struct Prepared<'t> {
    pub(super) wish: Wish<'t>,
    pub(super) parts: Vec<Part>,
    pub(super) records: Records,
    /// Rows of the range now.
    pub(super) rows_there: i64,
    /// One that was begun and is not finished.
    pub(super) begun: Option<Entry>,
    /// Chunks of the range.
    pub(super) chunks: usize,
}

/// The topology, or one in which rows go to the table as they are.
pub(super) fn as_asked(topology: &Topology, arguments: &Arguments) -> Result<Topology> {
    if !arguments.takes_rows() {
        return Ok(topology.clone());
    }
    let way = match Way::find(topology, arguments.table.as_deref()) {
        Ok(way) => way,
        Err(why) => return wrong(why),
    };
    let source = source(way, arguments.source())?;
    let columns = topology.input_columns(&way.writer.name.value);
    let name = Spanned::new(TABLE_ROWS.to_owned(), Span::default());
    let rows = Actor {
        name: name.clone(),
        id: name.clone(),
        from: vec![source.name.clone()],
        kind: Kind::Normalizer(backfill::normalizer_of_rows(&columns)?),
        ..way.writer.clone()
    };
    let mut changed = topology.clone();
    let writer = way.writer.name.value.clone();
    changed.actors.iter_mut().filter(|actor| actor.name.value == writer).for_each(|actor| {
        actor.from = vec![name.clone()];
    });
    changed.actors.push(rows);
    Ok(changed)
}

/// The source in whose place a file is read.
fn source<'t>(way: Way<'t>, named: Option<&str>) -> Result<&'t Actor> {
    let sources = match way.sources() {
        Ok(sources) => sources,
        Err(why) => return wrong(why),
    };
    let names =
        || sources.iter().map(|(source, _)| source.name.value.as_str()).collect::<Vec<_>>().join(", ");
    match (named, sources.as_slice()) {
        (None, [(only, _)]) => Ok(only),
        (None, _) => wrong(format!("say in whose place the file is read: --source {}", names())),
        (Some(name), _) => match sources.iter().find(|(source, _)| source.name.value == name) {
            Some((source, _)) => Ok(source),
            None => wrong(format!("no source `{name}` feeds `{}`; those that do: {}", way.table(), names())),
        },
    }
}

pub(super) async fn prepare<'t>(
    arguments: &Arguments,
    (way, range, input): (Way<'t>, Range, &Input<'_>),
    connection: &Connection,
    node: &'t str,
) -> Result<Prepared<'t>> {
    let table = TableName::parse(way.table())?;
    let times = (arguments.there.time_column.as_deref(), way.event_time());
    let ground = stores::answered(Ground::look(connection, &table, times, range).await)?;
    ground.refuse(range, Clock::system().wall_us(), arguments.there.into_dropped)?;
    let columns = way.topology().input_columns(&way.writer.name.value);
    let time_column = ground.shape.time_column.as_str();
    let is_time =
        |name: &str| columns.iter().any(|column| column.name == name && column.kind == FieldType::Timestamp);
    if !is_time(time_column) {
        return wrong(format!(
            "`{}` has the time of its rows in `{time_column}`, which no field of the file fills with a timestamp: it cannot be \
             told which rows lie in the range; name another column with --time-column",
            way.table()
        ));
    }
    let (mode, key) = mode(arguments, way, time_column)?;
    if let Some(strange) = key.iter().find(|name| columns.iter().all(|column| column.name != **name)) {
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        return wrong(format!(
            "--key names `{strange}`, which rows do not have; they have {}",
            names.join(", ")
        ));
    }
    let rows = Rows { table: &table, time_column, range, columns: &columns };
    let (parts, records, origin) = match input.file(&rows)? {
        Some((file, name)) => {
            let (lines, checksum) = file.look()?;
            let source = source(way, arguments.source())?;
            let parts = vec![Part::whole(&source.id.value, "file", 0, (0, lines))];
            (parts, Records::File(file), format!("{name} sha256:{checksum}"))
        }
        None => (from_kafka(arguments, way, range, &ground)?, Records::Kafka, KAFKA.to_owned()),
    };
    let rows_there =
        stores::answered(backfill::count(connection, &table, &Identifier::new(time_column)?, range).await)?;
    let time_column = Identifier::new(time_column)?;
    let wish = Wish { way, table, time_column, range, origin, mode, key, node };
    let begun = begun(connection, &wish).await?;
    Ok(Prepared { wish, parts, records, rows_there, begun, chunks: ground.edges.len() + 1 })
}

/// What becomes of rows that are there, and by what they are known.
fn mode(arguments: &Arguments, way: Way<'_>, time_column: &str) -> Result<(Mode, Vec<String>)> {
    let declared: Vec<String> = way.options.unique.iter().map(|column| column.value.clone()).collect();
    let key = &arguments.there.key;
    if !key.is_empty() && !key.iter().any(|column| column == time_column) {
        return wrong(format!(
            "--key {} lacks the time `{time_column}`, by which chunks are found",
            key.join(",")
        ));
    }
    let sorted = |columns: &[String]| {
        let mut columns = columns.to_vec();
        columns.sort();
        columns
    };
    Ok(match (arguments.there.replace, key.is_empty(), declared.is_empty()) {
        (true, ..) => (Mode::Replace, declared),
        (false, false, false) if sorted(key) == sorted(&declared) => (Mode::Unique, declared),
        // The table refuses what its own key doubles, whatever else is looked for.
        (false, false, false) => {
            return wrong(format!(
                "the file declares `unique: [{}]` for `{}`, and --key says another: leave it out",
                declared.join(", "),
                way.table()
            ));
        }
        (false, false, true) => (Mode::LookedUp, key.clone()),
        (false, true, false) => (Mode::Unique, declared),
        (false, true, true) => (Mode::IntoEmpty, Vec::new()),
    })
}

fn from_kafka(arguments: &Arguments, way: Way<'_>, range: Range, ground: &Ground) -> Result<Vec<Part>> {
    let found = match way.sources() {
        Ok(sources) => sources,
        Err(why) => return wrong(why),
    };
    let mut sources = Vec::new();
    for (source, topic) in found {
        if !matches!(source.kind, Kind::KafkaSource(_)) {
            return wrong(format!(
                "`{}` reads no topic but a file: fill from that file, --input FILE",
                source.name.value
            ));
        }
        let of = source.id.value.clone();
        sources.push(Source { name: "".into(), of, topic: topic.to_owned() });
    }
    let Some(kafka) = &way.topology().connections.kafka else {
        return wrong("the topology has no `connections.kafka`: fill from a file, --input FILE".into());
    };
    let logs = stores::answered(Logs::new(kafka, way.topology_name()))?;
    let slack = arguments.slack();
    stores::answered(plan(&logs, &sources, (range, slack), (&ground.edges, arguments.partial())))
}

/// The one that this command began and did not finish; refuses where another stands in its way.
async fn begun(connection: &Connection, wish: &Wish<'_>) -> Result<Option<Entry>> {
    let name = wish.way.topology_name();
    let unfinished = stores::answered(backfill::unfinished(connection, name, wish.way.table()).await)?;
    let same = |entry: &&Entry| {
        entry.range == wish.range
            && entry.origin == wish.origin
            && (entry.mode, &entry.key) == (wish.mode, &wish.key)
    };
    if let Some(entry) = unfinished.iter().find(same) {
        return Ok(Some(entry.clone()));
    }
    let overlaps =
        |entry: &&Entry| entry.range.from_us < wish.range.to_us && wish.range.from_us < entry.range.to_us;
    match unfinished.iter().find(overlaps) {
        None => Ok(None),
        Some(entry) => wrong(format!(
            "backfill {} of `{}` from {} to {} ({}, {}) is not finished, and has rows in common with this one: finish it by \
             the command that began it, or give it up with --abandon {}",
            entry.id,
            wish.way.table(),
            time(entry.range.from_us),
            time(entry.range.to_us),
            entry.mode.as_str(),
            entry.origin,
            entry.id
        )),
    }
}

/// Begins, or goes on; `true` = goes on.
pub(super) async fn begin_or_take_up(
    connection: &Connection,
    wish: &Wish<'_>,
    parts: Vec<Part>,
) -> Result<(Entry, bool)> {
    match begun(connection, wish).await? {
        Some(entry) => {
            let name = wish.way.topology_name();
            stores::answered(backfill::take_up(connection, name, &entry, wish.node).await)?;
            Ok((entry, true))
        }
        None => Ok((stores::answered(backfill::begin(connection, wish, parts).await)?, false)),
    }
}
