//! Diagnostics as rustc prints them.
//!
//! Invariant: a password written in an address of the file is blotted out of every line shown.

use super::{Diagnostic, Severity};
use crate::source::floor_char_boundary;
use crate::{Source, SourceMap, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;

/// All findings, one after the other, each with the lines it speaks of.
pub fn to_text(source: &Source, diagnostics: &[Diagnostic], colours: bool) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    let shown = without_passwords(&source.text);
    let lines = SourceMap::new(&shown);
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(source, &shown, &lines, diagnostic)]));
        text.push_str("\n\n");
    }
    text
}

/// A failure that is no finding of the file: `message`, the place it is about, what is there, and what is to be known.
pub fn point_at(
    source: &Source,
    span: Span,
    message: &str,
    label: &str,
    notes: &[String],
    colours: bool,
) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    let shown = without_passwords(&source.text);
    let primary = AnnotationKind::Primary.span(range(&shown, span)).label(label);
    let snippet = Snippet::source(&shown).path(source.name.as_str()).annotation(primary);
    let mut group = Level::ERROR.primary_title(message).element(snippet);
    for note in notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    renderer.render(&[group]) + "\n"
}

fn group<'a>(
    source: &'a Source,
    shown: &'a str,
    lines: &SourceMap<'_>,
    diagnostic: &'a Diagnostic,
) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let window = Window::of(shown, lines, diagnostic);
    let primary = AnnotationKind::Primary.span(window.range(diagnostic.span));
    let mut snippet = Snippet::source(window.text)
        .line_start(window.line)
        .path(source.name.as_str())
        .annotation(primary.label(diagnostic.primary.as_deref()));
    for label in &diagnostic.labels {
        let annotation = AnnotationKind::Context.span(window.range(label.span));
        snippet = snippet.annotation(annotation.label(label.text.as_str()));
    }
    let group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code.id()).element(snippet);
    match &diagnostic.help {
        Some(help) => group.element(Level::HELP.message(help.as_str())),
        None => group,
    }
}

/// The lines of the file that one finding speaks of, so that a long file is not gone through for each.
struct Window<'a> {
    text: &'a str,
    start: usize,
    line: usize,
    whole: &'a str,
}

impl<'a> Window<'a> {
    fn of(whole: &'a str, lines: &SourceMap<'_>, diagnostic: &Diagnostic) -> Self {
        let spans = || diagnostic.labels.iter().map(|label| label.span).chain([diagnostic.span]);
        let first = spans().map(|span| span.start).min().unwrap_or_default();
        let last = spans().map(|span| range(whole, span).end).max().unwrap_or_default();
        let (_, start) = lines.line_at(first);
        let end = whole[last..].find('\n').map_or(whole.len(), |at| last + at + 1);
        Self { text: &whole[start..end], start, line: lines.position(first).line, whole }
    }

    fn range(&self, span: Span) -> Range<usize> {
        let range = range(self.whole, span);
        range.start - self.start..range.end - self.start
    }
}

/// A range that is safe to slice by. One of many lines is cut at the end of its first, or the picture would fill the screen.
fn range(text: &str, span: Span) -> Range<usize> {
    let start = floor_char_boundary(text, span.start);
    let end = floor_char_boundary(text, span.end.max(start));
    let line_end = text[start..end].find(['\n', '\r']).map_or(end, |at| start + at);
    start..line_end
}

/// The same text, byte for byte as long, with `*` for what stands between `://user:` and `@`, or after `password=`.
fn without_passwords(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, _) in text.match_indices("://") {
        let rest = &text[at + 3..];
        let authority = &rest[..rest.find([' ', '\t', '\n', '\r', '"', '\'', ',']).unwrap_or(rest.len())];
        if let (Some(colon), Some(host)) = (authority.find(':'), authority.rfind('@'))
            && colon < host
        {
            bytes[at + 3 + colon + 1..at + 3 + host].fill(b'*');
        }
    }
    for (at, key) in text.match_indices("password=") {
        let start = at + key.len();
        let rest = &text[start..];
        let length = rest.find([' ', '\t', '\n', '\r', '"', '\'', ',', '&', '}']).unwrap_or(rest.len());
        bytes[start..start + length].fill(b'*');
    }
    String::from_utf8(bytes).expect("invariant: whole characters are replaced by ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    #[test]
    fn a_password_in_the_file_is_not_shown() {
        let text = "connections: { redis: { url: \"redis://me:hünter2@h:1/0\" } } # postgres://h/d?password=s3cret&x=1\n";
        let source = Source::new("t.yaml", text);
        let finding = Diagnostic::error(Code::UnknownKey, Span::new(0, 11), "x");
        let shown = to_text(&source, &[finding], false);
        assert!(shown.contains("redis://me:********@h:1/0"), "{shown}");
        assert!(!shown.contains("nter2") && !shown.contains("s3cret"), "{shown}");
    }
}
