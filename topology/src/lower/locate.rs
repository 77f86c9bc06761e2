//! From a place within a scalar's text to the place in the file.

use crate::syntax::{Node, Style};
use crate::{Source, Span};
use std::ops::Range;

/// The span of `range` (bytes of the scalar's text); the whole scalar where the text was folded or replaced.
pub(super) fn within(source: &Source, node: &Node, range: Range<usize>) -> Span {
    precise(source, node, range).unwrap_or(node.span)
}

fn precise(source: &Source, node: &Node, range: Range<usize>) -> Option<Span> {
    let scalar = node.scalar().filter(|scalar| !scalar.interpolated)?;
    let written = source.text.get(node.span.start..node.span.end)?;
    let shift = |offset: usize| node.span.start + offset;
    match scalar.style {
        Style::Plain => (written == scalar.text).then(|| Span::new(shift(range.start), shift(range.end))),
        Style::SingleQuoted => {
            quoted(written, '\'', &scalar.text, range).map(|(a, b)| Span::new(shift(a), shift(b)))
        }
        Style::DoubleQuoted => {
            quoted(written, '"', &scalar.text, range).map(|(a, b)| Span::new(shift(a), shift(b)))
        }
        Style::Block => None,
    }
}

/// Walks a quoted scalar of one line beside its text.
fn quoted(written: &str, quote: char, text: &str, range: Range<usize>) -> Option<(usize, usize)> {
    let inner = written.strip_prefix(quote)?.strip_suffix(quote)?;
    let (mut at, mut place, mut start) = (0, 1, None);
    for c in text.chars() {
        if at >= range.start && start.is_none() {
            start = Some(place);
        }
        if at >= range.end {
            break;
        }
        let rest = &inner[place - 1..];
        place += width(rest, quote, c)?;
        at += c.len_utf8();
    }
    Some((start.unwrap_or(place), place))
}

/// How many bytes stand for the character `c`; none for an escape we do not follow.
fn width(rest: &str, quote: char, c: char) -> Option<usize> {
    if quote == '\'' && c == '\'' {
        return rest.starts_with("''").then_some(2);
    }
    if quote == '"' && rest.starts_with('\\') {
        let escape = rest[1..].chars().next()?;
        return matches!(escape, '"' | '\\' | '/' | 'n' | 't' | 'r' | '0' | ' ').then_some(2);
    }
    rest.starts_with(c).then_some(c.len_utf8())
}
