//! Records of a file as a source: lines of JSON, or envelopes, plain or gzip. The place of a line is its offset.

use super::source::{Item, Reader, Span};
use crate::replay_source::{Lines, Message};
use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{ReplayFormat, ReplaySource, TimeUnit};
use aqueduct_topology::{Span as Place, Spanned};
use futures::future::LocalBoxFuture;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Records of one look.
const RECORDS_MAX: usize = 1_000;

/// What a line of a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A record, as it was in the topic: a message, or an envelope around one.
    Records(ReplayFormat),
    /// A row of the table, as a JSON object by column.
    Rows,
}

/// A file to read from.
#[derive(Clone, Debug)]
pub struct FileRecords {
    /// Which.
    pub path: PathBuf,
    /// What its lines hold.
    pub form: Form,
}

impl FileRecords {
    /// How many lines it has, and what tells it from any other: its checksum. Reads it whole.
    pub fn look(&self) -> Result<(i64, String), Error> {
        let mut lines = Lines::open(&self.options())?;
        let mut line = Vec::new();
        while lines.next(&mut line)?.is_some() {}
        Ok((lines.read_so_far(), checksum(&self.path)?))
    }

    pub(super) fn open(&self) -> Result<FileReader, Error> {
        let options = self.options();
        Ok(FileReader { lines: Lines::open(&options)?, options, end: 0, done: false })
    }

    /// Its messages from `after` on, at most so many; for who looks at them without running anything.
    pub fn messages(&self, after: i64, most: usize) -> Result<Vec<Message>, Error> {
        let options = self.options();
        let (mut lines, mut line, mut messages) = (Lines::open(&options)?, Vec::new(), Vec::new());
        while messages.len() < most
            && let Some(number) = lines.next(&mut line)?
        {
            if number >= after {
                messages.push(Message::read(&options, &line));
            }
        }
        Ok(messages)
    }

    fn options(&self) -> ReplaySource {
        let format = match self.form {
            Form::Records(format) => format,
            Form::Rows => ReplayFormat::Jsonl,
        };
        ReplaySource {
            file: Spanned::new(self.path.clone(), Place::default()),
            format,
            topic: String::new(),
            time: None,
            time_unit: TimeUnit::Millis,
            key: None,
            speed: None,
            partitions: 1,
            repeat: Some(1),
        }
    }
}

fn checksum(path: &Path) -> Result<String, Error> {
    let unreadable =
        |error: std::io::Error| Error::new(Class::Config, format!("cannot read {}: {error}", path.display()));
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let (mut sum, mut piece) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece).map_err(unreadable)? {
            0 => break,
            read => sum.update(&piece[..read]),
        }
    }
    Ok(sum.finalize().iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("invariant: writing to a string succeeds");
        text
    }))
}

/// Reads a file once, from where it is told.
pub(super) struct FileReader {
    lines: Lines,
    options: ReplaySource,
    end: i64,
    done: bool,
}

impl Reader for FileReader {
    fn begin(&mut self, spans: &[Span]) -> Result<(), Error> {
        let from = spans.first().map_or(0, |span| span.from);
        self.end = spans.first().map_or(0, |span| span.to);
        self.lines = Lines::open(&self.options)?;
        self.done = false;
        let mut line = Vec::new();
        while self.lines.read_so_far() < from && self.lines.next(&mut line)?.is_some() {}
        Ok(())
    }

    fn read<'a>(&'a mut self) -> LocalBoxFuture<'a, Result<Vec<Item>, Error>> {
        Box::pin(async move {
            let (mut items, mut line) = (Vec::new(), Vec::new());
            while items.len() < RECORDS_MAX && !self.done {
                let number = self.lines.next(&mut line)?.filter(|number| *number < self.end);
                let Some(offset) = number else {
                    self.done = true;
                    break;
                };
                let Message { key, value, time_ms, headers, .. } = Message::read(&self.options, &line);
                items.push(Item::Record { partition: 0, offset, key, value, time_ms, headers });
            }
            if self.done {
                items.push(Item::End { partition: 0 });
            }
            tokio::task::yield_now().await;
            Ok(items)
        })
    }
}
