//! `aqueduct audit retention FILE`: how long rows are said to be kept, beside what is there. Changes nothing.

use crate::exit::Exit;
use crate::file;
use crate::output::counted;
use crate::stores::{answered, block_on, database};
use anyhow::Result;
use aqueduct_actors::timescale::TableName;
use aqueduct_actors::timescale::retention::{Report, TableReport, audit, look};
use aqueduct_engine::Clock;
use aqueduct_topology::model::{Kind, Topology};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Lines of evidence that people are shown; programs get all that were read.
const DROPS_SHOWN: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The topology file.
    file: PathBuf,
    /// The form of the report.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: everything.
    Json,
    /// For spreadsheets: a line a table.
    Csv,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Exit> {
    let topology = file::read(&arguments.file)?.accepted()?;
    let declared = tables(&topology)?;
    let live = block_on(async {
        let connection = database(&topology, "tables and the retention log").await?;
        answered(look(&connection, &declared).await)
    })?;
    let report = audit(&topology, live, Clock::system().wall_us());
    let mut out = std::io::stdout().lock();
    match arguments.format {
        Format::Text => write!(out, "{}", text(&report))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
        Format::Csv => write!(out, "{}", csv(&report))?,
    }
    Ok(if report.breach { Exit::Failed } else { Exit::Ok })
}

/// The tables that the topology writes, plain and quoted.
fn tables(topology: &Topology) -> Result<Vec<(String, String)>> {
    let writers = topology.actors.iter().filter_map(|actor| match &actor.kind {
        Kind::TimescaleWriter(writer) => Some(&writer.table.value),
        _ => None,
    });
    let names = writers.map(|name| Ok((name.clone(), TableName::parse(name)?.to_string())));
    names.collect()
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let word = if finding.breach { "breach" } else { "note" };
        let _ = writeln!(text, "{word}: {}: {}\n        {}", finding.table, finding.message, finding.help);
    }
    for table in &report.tables {
        let _ = writeln!(text, "\n{}{}", table.table, whose(table));
        let _ = writeln!(text, "  {}", policy(table));
        let _ = writeln!(text, "  {}", size(table));
    }
    let standing = report.holds.iter().filter(|hold| hold.released_at.is_none());
    for hold in standing {
        let what = hold.table.as_deref().unwrap_or("every table");
        let from = hold.from.as_deref().unwrap_or("the beginning");
        let to = hold.to.as_deref().unwrap_or("for ever");
        let _ = writeln!(
            text,
            "\nlegal hold {}: {what}, {from} to {to}\n  {}; by {}, since {}",
            hold.id, hold.reason, hold.by, hold.since
        );
    }
    if !report.drops.is_empty() {
        let _ = writeln!(text, "\nlast drops, of {} in aqueduct.retention_log", report.drops.len());
    }
    for drop in report.drops.iter().take(DROPS_SHOWN) {
        let (from, to) = (drop.from.as_deref().unwrap_or("-"), drop.to.as_deref().unwrap_or("-"));
        let _ = writeln!(
            text,
            "  {}  {}  {from} to {to}: {}, {}, {} by {} on {}",
            drop.at,
            drop.table,
            counted(drop.chunks.len(), "chunk"),
            counted(usize::try_from(drop.rows).unwrap_or(0), "row"),
            bytes(drop.bytes),
            drop.who,
            drop.node
        );
    }
    let breaches = report.findings.iter().filter(|finding| finding.breach).count();
    let verdict = match breaches {
        0 => "no breach".to_owned(),
        1 => "1 breach".to_owned(),
        count => format!("{count} breaches"),
    };
    let _ = writeln!(text, "\n{verdict}");
    text
}

fn whose(table: &TableReport) -> String {
    match &table.declared {
        Some(declared) => format!(" ({}, of {})", table.kind, declared.actor),
        None => format!(" ({}, not of this topology)", table.kind),
    }
}

fn policy(table: &TableReport) -> String {
    let declared = table.declared.clone().unwrap_or_default();
    let kept = declared.retention_seconds.map_or("kept for ever".to_owned(), |seconds| {
        format!("kept {}, dropped by {}", span(seconds as f64), table.dropped_by)
    });
    let compressed = declared.compress_after_seconds.map_or(String::new(), |seconds| {
        format!("; compressed after {} by {}", span(seconds as f64), table.compressed_by)
    });
    let chunk = table
        .chunk_interval_seconds
        .map_or(String::new(), |seconds| format!("; a chunk spans {}", span(seconds)));
    format!("{kept}{compressed}{chunk}")
}

fn size(table: &TableReport) -> String {
    let mut line = format!("{} in {}", bytes(table.bytes), counted(table.chunks, "chunk"));
    if table.past.chunks > 0 {
        let (chunks, held, late) = (table.past.chunks, table.past.held, table.past.late);
        let _ = write!(line, "; {chunks} past their retention ({held} held, {late} late)");
    }
    if let Some(growth) = table.growth_bytes_per_day {
        let _ = write!(line, "; grows by {} a day", bytes(growth as i64));
    }
    if let Some(forecast) = table.forecast {
        let _ = write!(line, ", {} in 30 days", bytes(forecast.bytes_30d as i64));
        if let Some(steady) = forecast.bytes_steady {
            let _ = write!(line, ", {} at most", bytes(steady as i64));
        }
    }
    line
}

/// `90d`, `36h`, `90s`.
fn span(seconds: f64) -> String {
    const UNITS: [(f64, &str); 3] = [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")];
    let unit = UNITS.iter().find(|(unit, _)| seconds >= *unit && seconds % unit == 0.0);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, word)| format!("{}{word}", seconds / unit))
}

/// In the largest binary unit.
fn bytes(value: i64) -> String {
    const UNITS: [(i64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(unit, _)| value >= *unit);
    unit.map_or_else(
        || format!("{value} B"),
        |(unit, word)| format!("{:.1} {word}", value as f64 / *unit as f64),
    )
}

fn csv(report: &Report) -> String {
    let mut text = String::from(
        "table,kind,actor,retention_seconds,compress_after_seconds,chunk_interval_declared_seconds,chunk_interval_seconds,\
         chunks,bytes,past_chunks,past_bytes,held_chunks,late_chunks,growth_bytes_per_day,growth_declared_bytes_per_day,\
         bytes_30d,bytes_90d,bytes_steady,dropped_by,compressed_by,breaches,notes\n",
    );
    for table in &report.tables {
        let declared = table.declared.clone().unwrap_or_default();
        let of = |breach: bool| {
            let own = report.findings.iter().filter(|finding| finding.table == table.table);
            let words: Vec<String> = own
                .filter(|finding| finding.breach == breach)
                .filter_map(|finding| serde_json::to_value(finding.kind).ok()?.as_str().map(str::to_owned))
                .collect();
            words.join(" ")
        };
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            table.table.clone(),
            table.kind.to_owned(),
            declared.actor,
            number(declared.retention_seconds),
            number(declared.compress_after_seconds),
            number(declared.chunk_interval_seconds),
            table.chunk_interval_seconds.map(|seconds| seconds.to_string()).unwrap_or_default(),
            table.chunks.to_string(),
            table.bytes.to_string(),
            table.past.chunks.to_string(),
            table.past.bytes.to_string(),
            table.past.held.to_string(),
            table.past.late.to_string(),
            number(table.growth_bytes_per_day),
            number(declared.growth_bytes_per_day),
            number(table.forecast.map(|forecast| forecast.bytes_30d)),
            number(table.forecast.map(|forecast| forecast.bytes_90d)),
            number(table.forecast.and_then(|forecast| forecast.bytes_steady)),
            table.dropped_by.to_owned(),
            table.compressed_by.to_owned(),
            of(true),
            of(false),
        ];
        let _ = writeln!(text, "{}", cells.map(|cell| quoted(&cell)).join(","));
    }
    text
}

/// A cell of RFC 4180.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_said_for_people() {
        assert_eq!([span(7_776_000.0), span(5400.0), span(0.5)], ["90d", "90m", "0.5s"]);
        assert_eq!([bytes(17), bytes(1536), bytes(5 << 30)], ["17 B", "1.5 KiB", "5.0 GiB"]);
        assert_eq!([quoted("a"), quoted("a,\"b\"")], ["a", "\"a,\"\"b\"\"\""]);
    }
}
