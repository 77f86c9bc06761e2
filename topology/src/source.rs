//! A file's name and text, and the way from byte offsets to lines and columns.

use crate::Span;
use crate::diagnostic::{Code, Diagnostic};
use crate::limits::SOURCE_BYTES_MAX;

/// What is read: a name for people, and the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Shown in diagnostics, usually the path.
    pub name: String,
    /// The whole file.
    pub text: String,
}

impl Source {
    /// A file of that name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// A file's bytes. What is not UTF-8 is refused; the source then has the text up to there. A file past the bound is
    /// refused unread, so that who reads it may stop there.
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> (Self, Option<Diagnostic>) {
        if bytes.len() > SOURCE_BYTES_MAX {
            return (Self::new(name, ""), Some(too_large()));
        }
        let error = match String::from_utf8(bytes) {
            Ok(text) => return (Self::new(name, text), None),
            Err(error) => error,
        };
        let valid = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let refusal = Diagnostic::error(Code::NotUtf8, Span::new(valid, valid), "the file is not UTF-8 text")
            .label(format!("byte {valid} begins no character"))
            .help("is this the right file? save it as UTF-8");
        (Self::new(name, text), Some(refusal))
    }
}

/// A file past the bound.
pub(crate) fn too_large() -> Diagnostic {
    let message = format!("the file has more than {SOURCE_BYTES_MAX} bytes");
    Diagnostic::error(Code::TooLarge, Span::default(), message)
        .help("is this the right file? a topology of a thousand actors has a tenth of that")
}

/// A place as people count: both from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character within the line.
    pub column: usize,
}

/// Finds lines and columns of a text.
#[derive(Clone, Debug)]
pub struct SourceMap<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> SourceMap<'a> {
    /// Reads where the lines of `text` start.
    pub fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, line_starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The position of a byte; the nearest one inside the text if it lies outside or within a character.
    pub fn position(&self, offset: usize) -> Position {
        let offset = floor_char_boundary(self.text, offset);
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let column = self.text[self.line_starts[line]..offset].chars().count();
        Position { line: line + 1, column: column + 1 }
    }

    /// The text of the line that holds a byte, and where it starts.
    pub fn line_at(&self, offset: usize) -> (&'a str, usize) {
        let offset = floor_char_boundary(self.text, offset);
        let line = self.line_starts.partition_point(|start| *start <= offset) - 1;
        let start = self.line_starts[line];
        let rest = &self.text[start..];
        (rest.split(['\n', '\r']).next().unwrap_or_default(), start)
    }
}

/// The largest character boundary not past `offset`.
pub(crate) fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let map = SourceMap::new("a: 1\nprix€: 2\n");
        assert_eq!(map.position(0), Position { line: 1, column: 1 });
        assert_eq!(map.position(12), Position { line: 2, column: 6 });
        assert_eq!(map.position(999), Position { line: 3, column: 1 });
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused_at_their_place() {
        let (source, refusal) = Source::from_bytes("x", b"ab\xff\xfe".to_vec());
        assert_eq!((source.name.as_str(), source.text.as_str()), ("x", "ab"));
        let refusal = refusal.expect("not UTF-8");
        assert_eq!((refusal.code, refusal.span), (Code::NotUtf8, Span::new(2, 2)));
        assert_eq!(Source::from_bytes("x", "é".into()).1, None);
    }

    #[test]
    fn a_file_past_the_bound_is_refused_unread() {
        let (source, refusal) = Source::from_bytes("x", vec![0xff; SOURCE_BYTES_MAX + 1]);
        assert_eq!((source.text.as_str(), refusal.map(|refusal| refusal.code)), ("", Some(Code::TooLarge)));
    }
}
