//! Records one by one, as lines of JSON or of a table that is as wide as what it has held.

use anyhow::Result;
use serde_json::Value;
use std::io::Write;

/// Characters of a cell that a table shows.
const CELL_CHARS_MAX: usize = 60;

/// Prints on standard output, a line at once: somebody watches.
pub(super) struct Printer {
    json: bool,
    heads: Vec<String>,
    widths: Vec<usize>,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self { json, heads: Vec::new(), widths: Vec::new() }
    }

    pub(super) fn record(&mut self, data: &str) -> Result<()> {
        let text = if self.json { format!("{data}\n") } else { self.lines(&serde_json::from_str(data)?) };
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// A line; before it one of heads, where the columns are not those of the last record.
    fn lines(&mut self, shown: &Value) -> String {
        let place = ["actor", "partition", "offset"].map(|name| (name.to_owned(), cell(&shown[name])));
        let fields = shown["record"].as_object().into_iter().flatten();
        let cells: Vec<(String, String)> =
            place.into_iter().chain(fields.map(|(name, value)| (name.clone(), cell(value)))).collect();
        let heads: Vec<String> = cells.iter().map(|(head, _)| head.clone()).collect();
        let mut text = String::new();
        if heads != self.heads {
            self.widths = heads.iter().map(|head| head.chars().count()).collect();
            self.widen(cells.iter().map(|(_, cell)| cell));
            text = self.line(heads.iter());
            self.heads = heads;
        }
        self.widen(cells.iter().map(|(_, cell)| cell));
        text + &self.line(cells.iter().map(|(_, cell)| cell))
    }

    fn widen<'a>(&mut self, cells: impl Iterator<Item = &'a String>) {
        for (width, cell) in self.widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a String>) -> String {
        let padded: Vec<String> =
            cells.zip(&self.widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    }
}

/// Text without quotes, everything else as its JSON; nothing that would break the table, or the terminal.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let plain: String =
        text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
    crate::output::shortened(&plain, CELL_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_has_heads_once_and_grows_with_its_cells() {
        let mut printer = Printer::new(false);
        let shown = |price: &str| json!({ "actor": "trades", "partition": 0, "offset": 7, "record": { "price": price, "note": "a\u{1b}[2J" } });
        let first = printer.lines(&shown("1"));
        assert_eq!(
            first,
            "actor   partition  offset  price  note\ntrades  0          7       1      a\u{fffd}[2J\n"
        );
        let second = printer.lines(&shown("1.50000000"));
        assert_eq!(second, "trades  0          7       1.50000000  a\u{fffd}[2J\n");
        let other = json!({ "actor": "raw", "partition": 0, "offset": 7, "record": { "key": null } });
        assert!(printer.lines(&other).starts_with("actor  partition  offset  key\n"));
    }
}
