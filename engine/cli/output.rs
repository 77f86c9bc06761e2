//! How answers are printed.

use aqueduct_engine::ledger::LedgerRow;
use aqueduct_topology::{Diagnostic, Source, to_text};
use std::io::{ErrorKind, IsTerminal, Write};

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// A line on standard error. Unlike `eprintln!` it does not panic where nobody reads that any more.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($argument)*);
    }};
}
pub(crate) use say;

/// What was found in a file, on standard error.
pub(crate) fn findings(source: &Source, diagnostics: &[Diagnostic]) {
    let _ = std::io::stderr().write_all(to_text(source, diagnostics, colours()).as_bytes());
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Whether the reader of our output went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
    };
    error.chain().any(io)
}

/// Whether standard error takes colours: a terminal, and `NO_COLOR` unset.
pub(crate) fn colours() -> bool {
    std::io::stderr().is_terminal() && crate::environment::variable("NO_COLOR").is_none()
}

/// The ledger as a table, with a line of sums.
pub(crate) fn ledger(rows: &[LedgerRow]) -> String {
    let heads = [
        "source",
        "topic",
        "partition",
        "epoch",
        "read",
        "written",
        "dead",
        "filtered",
        "skipped",
        "in flight",
        "unaccounted",
    ];
    let line = |row: &LedgerRow| {
        let LedgerRow { read, written, dead_lettered, filtered, skipped, in_flight, unaccounted, .. } = row;
        let mut cells = vec![
            row.source.to_string(),
            row.topic.to_string(),
            row.partition.to_string(),
            row.epoch.to_string(),
        ];
        cells.extend([read, written, dead_lettered, filtered, skipped, in_flight].map(ToString::to_string));
        cells.push(unaccounted.to_string());
        cells
    };
    let sum = |pick: fn(&LedgerRow) -> u64| rows.iter().map(pick).sum::<u64>().to_string();
    let mut table: Vec<Vec<String>> = vec![heads.map(str::to_owned).to_vec()];
    table.extend(rows.iter().map(line));
    table.push(vec![
        "all".into(),
        String::new(),
        String::new(),
        String::new(),
        sum(|row| row.read),
        sum(|row| row.written),
        sum(|row| row.dead_lettered),
        sum(|row| row.filtered),
        sum(|row| row.skipped),
        sum(|row| row.in_flight),
        rows.iter().map(|row| row.unaccounted).sum::<i64>().to_string(),
    ]);
    let widths: Vec<usize> =
        (0..heads.len()).map(|column| table.iter().map(|row| row[column].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &table {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Columns in the order in which rows first name them, as wide as their widest cell.
pub(crate) fn table(rows: &[Vec<(String, String)>], out: &mut impl Write) -> std::io::Result<()> {
    let mut heads: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flatten() {
        if !heads.contains(&name.as_str()) {
            heads.push(name);
        }
    }
    if heads.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<Vec<String>> = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    for row in rows {
        let cell = |head: &&str| {
            let found = row.iter().find(|(name, _)| name == head);
            // A control character would break the table, or the terminal.
            found.map_or_else(String::new, |(_, value)| {
                value.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
            })
        };
        lines.push(heads.iter().map(cell).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    for line in &lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "  {}", padded.join("  ").trim_end())?;
    }
    Ok(())
}

/// At most so many characters of `text`.
pub(crate) fn shortened(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        Some((cut, _)) => format!("{}..", &text[..cut]),
        None => text.to_owned(),
    }
}

/// RFC 3339 in UTC with six digits, as everywhere in JSON; empty for a time that no calendar has.
pub(crate) fn time(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map(|time| format!("{time:.6}")).unwrap_or_default()
}

/// The same to the second, for tables.
pub(crate) fn second(us: i64) -> String {
    jiff::Timestamp::from_microsecond(us).map(|time| format!("{time:.0}")).unwrap_or_default()
}
