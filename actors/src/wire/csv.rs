//! CSV as RFC 4180 has it, line by line.
//!
//! A cell is text; one without quotes that is empty is absent, as PostgreSQL's `COPY` has it, and one in quotes may hold
//! delimiters, line ends and doubled quotes. Only cells that are asked for are written. Deliberately absent: types, which
//! are the fields' own, and headers: a message of Kafka is a piece of a stream, so its columns are named beforehand.

use super::{Fault, Wanted, broken};
use crate::json::{Draft, Name};
use memchr::{memchr, memchr2};

/// How lines are cut.
#[derive(Clone, Debug)]
pub struct Dialect {
    delimiter: u8,
    quote: Option<u8>,
    /// By column, whether it is written; the name where there are names.
    columns: Vec<Option<Name>>,
    /// How many cells every line has; `None` = as many as it has.
    width: Option<usize>,
    /// Whether a line is an object of the columns' names; else it is a list.
    named: bool,
}

/// The lines of one message.
#[derive(Debug)]
pub struct Lines<'m> {
    dialect: &'m Dialect,
    text: &'m str,
    at: usize,
}

impl Dialect {
    /// Lines of `columns`, of which `wanted` is asked for.
    pub fn new<'n>(
        columns: impl IntoIterator<Item = &'n str>,
        (delimiter, quote): (u8, Option<u8>),
        wanted: &Wanted,
    ) -> Self {
        let names: Vec<&str> = columns.into_iter().collect();
        let named = !names.is_empty();
        let columns = if named {
            names.iter().map(|name| wanted.member(name).map(|_| Name::new(name))).collect()
        } else {
            // A list is cut after the last cell that is asked for, and not at all where all of it is.
            let end = match wanted.each() {
                Some(_) => return Self { delimiter, quote, columns: Vec::new(), width: None, named },
                None => wanted.elements().last().map_or(0, |last| *last as usize + 1),
            };
            (0..end.min(COLUMNS_MAX))
                .map(|index| wanted.element(index as u32).map(|_| Name::new("")))
                .collect()
        };
        Self { delimiter, quote, width: named.then_some(names.len()), columns, named }
    }

    /// The lines of `text`; empty ones are none.
    pub fn lines<'m>(&'m self, text: &'m str) -> Lines<'m> {
        Lines { dialect: self, text, at: 0 }
    }

    /// Whether the cell of that column is written: unnamed lines of which all is asked for have no list of columns.
    fn takes(&self, column: usize) -> bool {
        match self.columns.get(column) {
            Some(column) => column.is_some(),
            None => !self.named && self.columns.is_empty(),
        }
    }
}

/// Most columns that a path may count to.
const COLUMNS_MAX: usize = 1 << 16;

/// A cell of a line.
enum Cell<'m> {
    Plain(&'m str),
    /// In quotes, of which those within are doubled if the flag says so.
    Quoted(&'m str, bool),
}

impl<'m> Lines<'m> {
    /// Writes the next line to `draft`; `None` = there is no more. After a fault the next line begins behind the one at
    /// fault, or nowhere if a quote was never closed: what follows cannot be told from what it holds.
    pub fn next(&mut self, draft: &mut Draft) -> Option<Result<(), Fault>> {
        self.skip_empty();
        if self.at == self.text.len() {
            return None;
        }
        draft.clear();
        let line = self.line(draft);
        if line.is_err() {
            self.skip_line();
        }
        Some(line)
    }

    /// Whether there is another line.
    pub fn is_done(&mut self) -> bool {
        self.skip_empty();
        self.at == self.text.len()
    }

    fn skip_empty(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    }

    fn skip_line(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn line(&mut self, draft: &mut Draft) -> Result<(), Fault> {
        let dialect = self.dialect;
        let at_start = |kind| Fault { at: 0, kind };
        if dialect.named { draft.begin_object() } else { draft.begin_array() }.map_err(at_start)?;
        let mut column = 0;
        loop {
            let begins = self.at;
            let cell = self.cell()?;
            if dialect.width.is_some_and(|width| column == width) {
                return Err(broken(begins, "the line has more cells than there are columns"));
            }
            if dialect.takes(column) {
                if let Some(Some(name)) = dialect.columns.get(column).filter(|_| dialect.named) {
                    draft.name(name);
                }
                write(draft, &cell, dialect.quote);
            } else if !dialect.named && column < dialect.columns.len() {
                // The elements before one that is asked for keep its place.
                draft.null();
            }
            column += 1;
            match self.text.as_bytes().get(self.at) {
                Some(byte) if *byte == dialect.delimiter => self.at += 1,
                _ => break,
            }
        }
        if dialect.width.is_some_and(|width| column < width) {
            return Err(broken(self.at, "the line has fewer cells than there are columns"));
        }
        draft.end();
        draft.check_size().map_err(at_start)
    }

    /// The next cell; afterwards a delimiter, a line end or nothing follows.
    fn cell(&mut self) -> Result<Cell<'m>, Fault> {
        let (text, bytes) = (self.text, self.text.as_bytes());
        let begins = self.at;
        let Some(quote) = self.dialect.quote.filter(|quote| bytes.get(begins) == Some(quote)) else {
            let rest = &bytes[begins..];
            let end = begins + memchr2(self.dialect.delimiter, b'\n', rest).unwrap_or(rest.len());
            self.at = end;
            let ends_line = bytes.get(end).is_none_or(|byte| *byte == b'\n');
            let cell = &text[begins..end];
            return Ok(Cell::Plain(cell.strip_suffix('\r').filter(|_| ends_line).unwrap_or(cell)));
        };
        let (mut at, mut doubled) = (begins + 1, false);
        loop {
            let Some(next) = memchr(quote, &bytes[at..]) else {
                self.at = bytes.len();
                return Err(broken(begins, "a quote is never closed"));
            };
            at += next + 1;
            if bytes.get(at) != Some(&quote) {
                break;
            }
            (at, doubled) = (at + 1, true);
        }
        // A line may end in CR LF.
        let end = at + usize::from(bytes[at..].starts_with(b"\r\n") || bytes[at..] == *b"\r");
        self.at = end;
        match bytes.get(end) {
            None | Some(b'\n') => {}
            Some(byte) if *byte == self.dialect.delimiter && end == at => {}
            Some(_) => return Err(broken(at, "something follows a closing quote")),
        }
        Ok(Cell::Quoted(&text[begins + 1..at - 1], doubled))
    }
}

fn write(draft: &mut Draft, cell: &Cell<'_>, quote: Option<u8>) {
    match (cell, quote) {
        (Cell::Plain(""), _) => draft.null(),
        (Cell::Quoted(text, true), Some(quote)) => {
            let quote = char::from(quote);
            let doubled: String = [quote, quote].iter().collect();
            draft.string(&text.replace(&doubled, quote.encode_utf8(&mut [0; 4])));
        }
        (Cell::Plain(text) | Cell::Quoted(text, _), _) => draft.string(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{FaultKind, Step};
    use proptest::prelude::*;

    fn everything(columns: &[&str]) -> Dialect {
        Dialect::new(columns.iter().copied(), (b',', Some(b'"')), &Wanted::everything())
    }

    /// Each line as JSON, or the fault.
    fn read(dialect: &Dialect, text: &str) -> Vec<String> {
        let (mut lines, mut draft, mut found) = (dialect.lines(text), Draft::default(), Vec::new());
        while let Some(line) = lines.next(&mut draft) {
            found.push(match line {
                Ok(()) => draft.text().to_owned(),
                Err(Fault { at, kind: FaultKind::Syntax(rule) }) => format!("{at}: {rule}"),
                Err(fault) => format!("{fault:?}"),
            });
        }
        found
    }

    #[test]
    fn lines_are_objects_of_the_columns_or_lists() {
        let named = everything(&["a", "b"]);
        assert_eq!(
            read(&named, "1,x\r\n2,\n\n3,\"\"\n"),
            [r#"{"a":"1","b":"x"}"#, r#"{"a":"2","b":null}"#, r#"{"a":"3","b":""}"#]
        );
        assert_eq!(read(&named, r#""a ""b"", c",é"#), [r#"{"a":"a \"b\", c","b":"é"}"#]);
        assert_eq!(read(&everything(&[]), "1,\"x\ny\"\r\n,"), [r#"["1","x\u000ay"]"#, "[null,null]"]);
    }

    #[test]
    fn a_line_at_fault_does_not_take_the_others_with_it() {
        let named = everything(&["a", "b"]);
        assert_eq!(
            read(&named, "1\n2,3\n4,5,6\n\"7\"8,9\n10,11"),
            [
                "1: the line has fewer cells than there are columns",
                r#"{"a":"2","b":"3"}"#,
                "10: the line has more cells than there are columns",
                "15: something follows a closing quote",
                r#"{"a":"10","b":"11"}"#,
            ]
        );
        assert_eq!(read(&named, "1,2\n3,\"4\n5,6\n"), [r#"{"a":"1","b":"2"}"#, "6: a quote is never closed"]);
    }

    #[test]
    fn only_what_is_asked_for_is_written() {
        let mut wanted = Wanted::default();
        wanted.add(&[Step::from_token("b")]);
        let named = Dialect::new(["a", "b", "c"], (b';', None), &wanted);
        assert_eq!(
            read(&named, "1;\"2;3\n4;5"),
            [r#"{"b":"\"2"}"#, "10: the line has fewer cells than there are columns"]
        );
        let mut wanted = Wanted::default();
        wanted.add(&[Step::from_token("1")]);
        let unnamed = Dialect::new([], (b'\t', Some(b'\'')), &wanted);
        assert_eq!(read(&unnamed, "1\t'2\t'\t3\n4"), [r#"[null,"2\u0009"]"#, "[null]"]);
    }

    proptest! {
        #[test]
        fn what_another_writer_writes_is_read_as_it_was(
            rows in prop::collection::vec(prop::collection::vec("[a-z,\"\r\n \u{e9}]{1,6}", 3..=3), 1..6),
        ) {
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("memory");
            }
            let text = String::from_utf8(writer.into_inner().expect("memory")).expect("text");
            let expected: Vec<String> =
                rows.iter().map(|row| serde_json::to_value(row).expect("JSON").to_string()).collect();
            let found: Vec<String> = read(&everything(&[]), &text)
                .iter()
                .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON").to_string())
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[a,\"\r\n\\\\\u{0}\u{e9}]{0,40}") {
            for dialect in [everything(&[]), everything(&["a", "b"])] {
                for line in read(&dialect, &text) {
                    let is_json = serde_json::from_str::<serde_json::Value>(&line).is_ok();
                    prop_assert!(is_json || line.contains(": "), "{}", line);
                }
            }
        }
    }
}
