//! How answers are printed.

use aqueduct_engine::ledger::LedgerRow;
use aqueduct_topology::{Diagnostic, Source, to_text};
use std::io::{ErrorKind, IsTerminal};

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
    use std::io::Write as _;
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
