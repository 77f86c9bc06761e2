//! From a place within a scalar's text to the place in the file.
//!
//! YAML takes quotes and escapes out of a text, folds its lines and strips their indentation, but what is no white space
//! comes through in order. So the characters of the text are laid beside those of the file, white space left out on
//! both sides: plain, quoted and block scalars of any number of lines are mapped by the one walk.
//! Where the two differ (a part came from the environment, an alias stands elsewhere) the whole scalar is the place.

use crate::syntax::{Node, Style};
use crate::{Source, Span};
use std::ops::Range;

/// The span of `range` (bytes of the scalar's text).
pub(super) fn within(source: &Source, node: &Node, range: Range<usize>) -> Span {
    Places::of(source, node).span(range)
}

/// Where the characters of one scalar's text are.
pub(super) struct Places {
    whole: Span,
    way: Way,
}

enum Way {
    /// The text is nowhere in the file as such.
    None,
    /// It stands there as it is, from this byte on.
    Shifted(usize),
    /// Each character that is no white space: its bytes in the text, and in the file.
    Walked(Vec<(Range<usize>, Range<usize>)>),
}

impl Places {
    /// Lays the text of `node` beside the file.
    pub(super) fn of(source: &Source, node: &Node) -> Self {
        let way = way(source, node).unwrap_or(Way::None);
        Self { whole: node.span, way }
    }

    /// The span of `range`, in bytes of the text; the whole scalar where that is not known.
    pub(super) fn span(&self, range: Range<usize>) -> Span {
        match &self.way {
            Way::None => self.whole,
            Way::Shifted(start) => Span::new(start + range.start, start + range.end),
            Way::Walked(pairs) => {
                let first = pairs.partition_point(|(text, _)| text.start < range.start);
                let after = pairs.partition_point(|(text, _)| text.start < range.end);
                match (pairs.get(first), pairs[..after].last()) {
                    (Some((_, start)), Some((_, end))) if start.start < end.end => {
                        Span::new(start.start, end.end)
                    }
                    (Some((_, next)), _) => Span::new(next.start, next.start),
                    (None, Some((_, last))) => Span::new(last.end, last.end),
                    (None, None) => self.whole,
                }
            }
        }
    }
}

fn way(source: &Source, node: &Node) -> Option<Way> {
    let scalar = node.scalar().filter(|scalar| !scalar.interpolated)?;
    let whole = source.text.get(node.span.start..node.span.end)?;
    // Of a block the span is that of its lines, without the header.
    let written = if scalar.style == Style::Block { whole } else { without_properties(whole) };
    let place = node.span.start + whole.len() - written.len();
    if scalar.style == Style::Plain && written == scalar.text {
        return Some(Way::Shifted(place));
    }
    let (inner, start) = match scalar.style {
        Style::Plain | Style::Block => (written, 0),
        Style::SingleQuoted => (written.strip_prefix('\'')?.strip_suffix('\'')?, 1),
        Style::DoubleQuoted => (written.strip_prefix('"')?.strip_suffix('"')?, 1),
    };
    let mut characters = Characters { rest: inner, at: place + start, style: scalar.style };
    let mut pairs = Vec::with_capacity(scalar.text.len());
    for (at, wanted) in scalar.text.char_indices().filter(|(_, c)| !c.is_ascii_whitespace()) {
        let (found, at_file) = characters.find(|(c, _)| !c.is_ascii_whitespace())?;
        if found != wanted {
            return None;
        }
        pairs.push((at..at + wanted.len_utf8(), at_file));
    }
    Some(Way::Walked(pairs))
}

/// A value without the anchor and the tag before it.
fn without_properties(written: &str) -> &str {
    let mut rest = written;
    while rest.starts_with(['&', '!']) {
        rest = rest.split_once(|c: char| c.is_ascii_whitespace()).map_or("", |(_, after)| after.trim_start());
    }
    rest
}

/// The characters that a piece of the file stands for, and where.
struct Characters<'a> {
    rest: &'a str,
    at: usize,
    style: Style,
}

impl Iterator for Characters<'_> {
    type Item = (char, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let c = self.rest.chars().next()?;
        let (meant, width) = match (self.style, c) {
            (Style::SingleQuoted, '\'') => ('\'', 2),
            (Style::DoubleQuoted, '\\') => escape(self.rest)?,
            _ => (c, c.len_utf8()),
        };
        let start = self.at;
        self.rest = self.rest.get(width..)?;
        self.at += width;
        Some((meant, start..self.at))
    }
}

/// What an escape of a double-quoted text means, and how many bytes it has.
fn escape(rest: &str) -> Option<(char, usize)> {
    let hex = |digits: usize| {
        let code = u32::from_str_radix(rest.get(2..2 + digits)?, 16).ok()?;
        Some((char::from_u32(code)?, 2 + digits))
    };
    let letter = rest[1..].chars().next()?;
    Some(match letter {
        'x' => return hex(2),
        'u' => return hex(4),
        'U' => return hex(8),
        '0' => ('\0', 2),
        'a' => ('\u{7}', 2),
        'b' => ('\u{8}', 2),
        'v' => ('\u{b}', 2),
        'e' => ('\u{1b}', 2),
        'N' => ('\u{85}', 2),
        '_' => ('\u{a0}', 2),
        'L' => ('\u{2028}', 2),
        'P' => ('\u{2029}', 2),
        // White space, and a line that goes on: left out like any other.
        'n' | 't' | 'r' | ' ' | '\t' | '\n' | '\r' => (' ', 2),
        other => (other, 1 + other.len_utf8()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse;

    /// Where the word `here` of the first value of a file is, by way of its text.
    fn place(text: &str) -> Option<&str> {
        let source = Source::new("t.yaml", text);
        let root = parse(&source, &mut Vec::new()).expect("a mapping");
        let value = &root.mapping().expect("a mapping").entries[0].value;
        let at = value.scalar().expect("a scalar").text.find("here é").expect("the word");
        let span = within(&source, value, at..at + "here é".len());
        (span != value.span).then(|| &text[span.start..span.end])
    }

    #[test]
    fn every_style_of_scalar_is_mapped() {
        for (text, shown) in [
            ("a: x here é y\n", "here é"),
            ("a: 'it''s here é y'\n", "here é"),
            ("a: \"\\\"\\u00e9\\n here é y\"\n", "here é"),
            ("a: |\n  x >\n    here é\n  y\nb: 1\n", "here é"),
            ("a: >- # folded\n  x\n  here é\n\n  y\n# after\nb: 1\n", "here é"),
            ("a: x\n  here é y\n", "here é"),
            ("a: 'x\n  here\n   é y'\n", "here\n   é"),
            ("a: \"x \\\n  here é y\"\n", "here é"),
            ("b: &b here é y\nc: 1\n", "here é"),
        ] {
            assert_eq!(place(text), Some(shown), "{text}");
        }
    }

    #[test]
    fn a_range_that_holds_nothing_is_a_point() {
        let source = Source::new("t.yaml", "a: >\n  x +\n");
        let root = parse(&source, &mut Vec::new()).expect("a mapping");
        let value = &root.mapping().expect("a mapping").entries[0].value;
        assert_eq!(within(&source, value, 4..4), Span::new(10, 10));
    }
}
