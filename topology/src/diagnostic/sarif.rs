//! Diagnostics as SARIF 2.1.0, for code hosts that show findings beside the line.

use super::{Code, Diagnostic};
use crate::{Source, SourceMap, Span};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A SARIF log with one run. Columns count Unicode code points.
pub fn to_sarif(source: &Source, diagnostics: &[Diagnostic]) -> Value {
    let map = SourceMap::new(&source.text);
    let codes: BTreeSet<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = diagnostics.iter().map(|diagnostic| result(&map, source, diagnostic)).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "aqueduct",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({ "id": code.id(), "shortDescription": { "text": code.title() }, "help": { "text": code.page(), "markdown": code.page() } })
}

fn result(map: &SourceMap<'_>, source: &Source, diagnostic: &Diagnostic) -> Value {
    let text = match &diagnostic.help {
        Some(help) => format!("{}; {help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    let related: Vec<Value> = diagnostic
        .labels
        .iter()
        .map(|label| {
            let mut place = location(map, source, label.span);
            place["message"] = json!({ "text": label.text });
            place
        })
        .collect();
    json!({
        "ruleId": diagnostic.code.id(),
        "level": diagnostic.severity.word(),
        "message": { "text": text },
        "locations": [location(map, source, diagnostic.span)],
        "relatedLocations": related,
    })
}

fn location(map: &SourceMap<'_>, source: &Source, span: Span) -> Value {
    let (start, end) = (map.position(span.start), map.position(span.end));
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&source.name) },
        "region": {
            "startLine": start.line, "startColumn": start.column,
            "endLine": end.line, "endColumn": end.column,
        },
    } })
}

/// A path as a URI reference: everything but the unreserved characters is escaped.
fn uri(path: &str) -> String {
    path.bytes().fold(String::with_capacity(path.len()), |mut uri, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(byte.into())
            }
            b'\\' => uri.push('/'),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
        uri
    })
}
