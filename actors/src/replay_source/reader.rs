//! Lines of a file, numbered on through repeats.

use aqueduct_engine::{Class, Error};
use aqueduct_topology::model::{ReplayFormat, ReplaySource};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

/// A longer line is no record.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// Reads a file as often as asked.
pub(crate) struct Lines {
    path: PathBuf,
    csv: bool,
    from: Box<dyn BufRead>,
    header: Vec<String>,
    /// Times the file is still to be read after this; `None` = for ever.
    again: Option<u32>,
    next: i64,
    /// Records of the present reading.
    read: u64,
}

impl Lines {
    pub(crate) fn open(options: &ReplaySource) -> Result<Self, Error> {
        let path = options.file.value.clone();
        let mut lines = Self {
            from: open(&path)?,
            path,
            csv: options.format == ReplayFormat::Csv,
            header: Vec::new(),
            again: options.repeat.map(|times| times.saturating_sub(1)),
            next: 0,
            read: 0,
        };
        lines.read_header()?;
        Ok(lines)
    }

    /// The names of a CSV file's columns.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// How many records were read.
    pub(crate) fn read_so_far(&self) -> i64 {
        self.next
    }

    /// Puts the next record into `line`, without its line end, and gives its number. Blank lines are none.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> Result<Option<i64>, Error> {
        loop {
            if self.read_line(line)? {
                if line.is_empty() {
                    continue;
                }
                self.read += 1;
                self.next += 1;
                return Ok(Some(self.next - 1));
            }
            // A file without records would be read for ever.
            if self.again == Some(0) || self.read == 0 {
                return Ok(None);
            }
            self.again = self.again.map(|times| times - 1);
            self.read = 0;
            self.from = open(&self.path)?;
            self.read_header()?;
        }
    }

    fn read_header(&mut self) -> Result<(), Error> {
        if self.csv {
            let mut line = Vec::new();
            self.read_line(&mut line)?;
            let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&line);
            self.header = super::line::fields(line)
                .into_iter()
                .map(|field| String::from_utf8_lossy(&field).into_owned())
                .collect();
        }
        Ok(())
    }

    /// One line; of a CSV file, one record, which may hold line ends within quotes. `false` = the end.
    fn read_line(&mut self, line: &mut Vec<u8>) -> Result<bool, Error> {
        line.clear();
        loop {
            let room = LINE_BYTES_MAX.saturating_sub(line.len() as u64);
            let read = (&mut self.from)
                .take(room)
                .read_until(b'\n', line)
                .map_err(|error| self.unreadable(&error))?;
            if line.len() as u64 >= LINE_BYTES_MAX {
                return Err(self.error(format!("line {} is longer than {LINE_BYTES_MAX} bytes", self.next)));
            }
            if read == 0 && line.is_empty() {
                return Ok(false);
            }
            if read > 0 && self.csv && super::line::is_open(line) {
                continue;
            }
            break;
        }
        while line.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
            line.pop();
        }
        Ok(true)
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        self.error(format!("record {}: {error}", self.next))
    }

    fn error(&self, what: String) -> Error {
        Error::new(Class::Config, format!("cannot go on reading {}: {what}", self.path.display()))
    }
}

fn open(path: &PathBuf) -> Result<Box<dyn BufRead>, Error> {
    let file = File::open(path).map_err(|error| {
        Error::new(Class::Config, format!("cannot open {}: {error}; correct `file`", path.display()))
    })?;
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz")) {
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(file))))
    } else {
        Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, file)))
    }
}
