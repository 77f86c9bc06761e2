//! Mappings and lists as YAML: mappings in lines, lists of texts in brackets, texts in quotes where they need them.

use serde_json::Value;
use std::path::Path;

/// A mapping in the making.
#[derive(Default)]
pub(super) struct Map(Vec<(String, Entry)>);

enum Entry {
    /// A value as JSON writes it, which YAML reads.
    Value(Value),
    /// As it is.
    Plain(String),
    Map(Map),
    List(Vec<Map>),
}

impl Map {
    /// A value that is no text.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.push((key.to_owned(), Entry::Value(value.into())));
    }

    /// A text; `${` in it is no variable.
    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.put(key, escaped(text));
    }

    /// A text that may be absent.
    pub(super) fn maybe(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    /// A path that may be absent.
    pub(super) fn file(&mut self, key: &str, path: Option<&Path>) {
        self.maybe(key, path.map(super::path).as_deref());
    }

    /// A variable of the environment.
    pub(super) fn variable(&mut self, key: &str, name: &str) {
        self.0.push((key.to_owned(), Entry::Plain(format!("\"${{{name}}}\""))));
    }

    /// A list of texts, left out where it is empty.
    pub(super) fn texts<'t>(&mut self, key: &str, texts: impl Iterator<Item = &'t str>) {
        let texts: Vec<Value> = texts.map(|text| Value::from(escaped(text))).collect();
        if !texts.is_empty() {
            self.put(key, texts);
        }
    }

    /// A mapping, left out where it is empty.
    pub(super) fn part(&mut self, key: &str, part: Map) {
        if !part.0.is_empty() {
            self.0.push((key.to_owned(), Entry::Map(part)));
        }
    }

    /// A mapping that says something by being there.
    pub(super) fn some(&mut self, key: &str, part: Option<Map>) {
        if let Some(part) = part {
            self.0.push((key.to_owned(), Entry::Map(part)));
        }
    }

    /// A list of mappings, left out where it is empty.
    pub(super) fn list(&mut self, key: &str, parts: Vec<Map>) {
        if !parts.is_empty() {
            self.0.push((key.to_owned(), Entry::List(parts)));
        }
    }

    /// The text.
    pub(super) fn print(&self) -> String {
        let mut text = String::new();
        self.print_at(0, &mut text);
        text
    }

    fn print_at(&self, depth: usize, text: &mut String) {
        for (key, entry) in &self.0 {
            text.push_str(&"  ".repeat(depth));
            text.push_str(&shown(key));
            text.push(':');
            match entry {
                Entry::Value(value) => text.push_str(&format!(" {}\n", in_line(value))),
                Entry::Plain(plain) => text.push_str(&format!(" {plain}\n")),
                Entry::Map(map) if map.0.is_empty() => text.push_str(" {}\n"),
                Entry::Map(map) => {
                    text.push('\n');
                    map.print_at(depth + 1, text);
                }
                Entry::List(maps) => {
                    text.push('\n');
                    for map in maps {
                        let start = text.len();
                        map.print_at(depth + 2, text);
                        let dash = start + 2 * (depth + 1);
                        text.replace_range(dash..=dash, "-");
                    }
                }
            }
        }
    }
}

fn in_line(value: &Value) -> String {
    match value {
        Value::String(text) => shown(text),
        Value::Array(items) => format!("[{}]", items.iter().map(in_line).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// A text without quotes if it means nothing else so.
fn shown(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte));
    let core = matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false");
    if word && !core { text.to_owned() } else { Value::from(text).to_string() }
}

fn escaped(text: &str) -> String {
    text.replace("${", "$${")
}
