//! The JSON Schema of a topology file, draft 7: the one that YAML language servers know best.
//!
//! `kind` decides which keys an actor has. It is one closed list of words with a sentence each, from which editors make
//! completion and hover, and an `if` per kind that brings the kind's own closed list of keys: a misspelt key is then
//! marked where it stands, instead of "matches none of seven schemas".

use super::sentence;
use super::shape::{default_value, schema};
use crate::catalog::{COMMON, FILE, KINDS, Key, KindEntry, Shape};
use crate::settings::SETTINGS;
use serde_json::{Map, Value, json};

/// The whole schema.
pub fn json() -> Value {
    let kinds: Vec<&KindEntry> = KINDS.iter().filter(|kind| kind.built).collect();
    let mut root = object(&[FILE]);
    root["properties"]["actors"]["additionalProperties"] = json!({ "$ref": "#/definitions/actor" });
    let mut definitions = Map::new();
    definitions.insert("actor".to_owned(), actor(&kinds));
    for kind in &kinds {
        definitions.insert(kind.name.to_owned(), of_kind(kind));
    }
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    whole.insert("title".to_owned(), json!("Aqueduct topology"));
    whole.extend(root.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    whole.insert("definitions".to_owned(), Value::Object(definitions));
    Value::Object(whole)
}

/// The schema of a node's settings.
pub fn settings_json() -> Value {
    let mut whole = Map::new();
    whole.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    whole.insert("title".to_owned(), json!("Aqueduct node settings"));
    let root = object(&[SETTINGS]);
    whole.extend(root.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    Value::Object(whole)
}

/// Any actor: its kind, then what the kind brings.
fn actor(kinds: &[&KindEntry]) -> Value {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
    let docs: Vec<&str> = kinds.iter().map(|kind| kind.doc).collect();
    let branch = |kind: &&KindEntry| {
        json!({
            "if": { "properties": { "kind": { "const": kind.name } }, "required": ["kind"] },
            "then": { "$ref": format!("#/definitions/{}", kind.name) },
        })
    };
    json!({
        "type": "object",
        "description": "An actor: what its `kind` says, with the keys of that kind.",
        "properties": {
            "kind": {
                "type": "string",
                "description": "What the actor does.",
                "enum": names,
                "enumDescriptions": docs,
                "markdownEnumDescriptions": docs,
            },
        },
        "required": ["kind"],
        "allOf": kinds.iter().map(branch).collect::<Vec<Value>>(),
    })
}

/// The keys of one kind, the common ones among them; nothing else may be written.
fn of_kind(kind: &KindEntry) -> Value {
    let mut whole = object(&[COMMON, kind.keys]);
    whole["description"] = json!(kind.doc);
    whole["properties"]["kind"] = json!({ "const": kind.name, "description": kind.doc });
    whole
}

/// A mapping with closed lists of keys.
pub(super) fn object(lists: &[&[Key]]) -> Value {
    let keys = || lists.iter().copied().flatten();
    let properties: Map<String, Value> = keys().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<&str> = keys().filter(|key| key.required).map(|key| key.name).collect();
    let mut whole = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        whole["required"] = json!(required);
    }
    whole
}

fn property(key: &Key) -> Value {
    let mut value = match key.shape {
        Shape::Opaque => json!({}),
        shape => schema(shape),
    };
    value["description"] = json!(sentence(key));
    if let Some(default) = key.default.and_then(|default| default_value(key.shape, default)) {
        value["default"] = default;
    }
    value
}
