//! Diagnostics as JSON, in the one form that scripts rely on.

use super::Diagnostic;
use crate::{Source, SourceMap};
use serde_json::{Value, json};

/// `{"diagnostics": [{code, severity, message, file, line, column, end_line, end_column, help}]}`.
pub fn to_json(source: &Source, diagnostics: &[Diagnostic]) -> Value {
    let map = SourceMap::new(&source.text);
    let entries: Vec<Value> = diagnostics.iter().map(|diagnostic| entry(&map, source, diagnostic)).collect();
    json!({ "diagnostics": entries })
}

fn entry(map: &SourceMap<'_>, source: &Source, diagnostic: &Diagnostic) -> Value {
    let (start, end) = (map.position(diagnostic.span.start), map.position(diagnostic.span.end));
    json!({
        "code": diagnostic.code.id(),
        "severity": diagnostic.severity.word(),
        "message": diagnostic.message,
        "file": source.name,
        "line": start.line,
        "column": start.column,
        "end_line": end.line,
        "end_column": end.column,
        "help": diagnostic.help,
    })
}
