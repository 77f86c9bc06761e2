//! The schema accepts what `check` accepts, refuses what is misspelt, and the committed copies are current.

use super::library;
use crate::syntax::{Core, Node, Value as Yaml};
use crate::{Code, Source, schema, syntax};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// A file as an editor sees it: merge keys and aliases resolved, variables left alone.
fn document(text: &str) -> Value {
    let mut diagnostics = Vec::new();
    let root = syntax::parse(&Source::new("topology.yaml", text), &mut diagnostics);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    value(&root.expect("a document"))
}

fn value(node: &Node) -> Value {
    match &node.value {
        Yaml::Sequence(nodes) => nodes.iter().map(value).collect(),
        Yaml::Mapping(mapping) => {
            let entries = mapping.entries.iter();
            Value::Object(entries.map(|entry| (entry.key.value.clone(), value(&entry.value))).collect())
        }
        Yaml::Scalar(scalar) => match scalar.core() {
            Core::Null => Value::Null,
            Core::Bool(value) => json!(value),
            Core::Int(value) => json!(value),
            Core::Float(value) => json!(value),
            Core::Text(text) => json!(text),
        },
    }
}

/// The part of JSON Schema that ours uses; a word it does not know fails the test. The first complaint, with its place.
fn complaint(root: &Value, schema: &Value, value: &Value, path: &str) -> Option<String> {
    let Some(words) = schema.as_object() else {
        return (schema == &json!(false)).then(|| format!("{path}: nothing may stand here"));
    };
    words.iter().find_map(|(word, wanted)| judge(root, (words, word, wanted), value, path))
}

fn judge(
    root: &Value,
    (words, word, wanted): (&Map<String, Value>, &str, &Value),
    value: &Value,
    path: &str,
) -> Option<String> {
    let all = || wanted.as_array().expect("a list").iter();
    let unless = |fits: bool| (!fits).then(|| format!("{path}: {value} against {word} {wanted}"));
    match word {
        "$ref" => {
            let name = wanted.as_str().and_then(|text| text.strip_prefix("#/definitions/")).expect("a ref");
            complaint(root, &root["definitions"][name], value, path)
        }
        "type" => match wanted.as_array() {
            Some(types) => unless(types.iter().any(|wanted| is(wanted, value))),
            None => unless(is(wanted, value)),
        },
        "enum" => unless(all().any(|word| word == value)),
        "const" => unless(wanted == value),
        "minimum" => unless(value.as_f64().is_none_or(|value| Some(value) >= wanted.as_f64())),
        "maximum" => unless(value.as_f64().is_none_or(|value| Some(value) <= wanted.as_f64())),
        "exclusiveMinimum" => unless(value.as_f64().is_none_or(|value| Some(value) > wanted.as_f64())),
        "pattern" => {
            let pattern = Regex::new(wanted.as_str().expect("a pattern")).expect("a regular expression");
            unless(value.as_str().is_none_or(|text| pattern.is_match(text)))
        }
        "required" => unless(all().all(|key| value.get(key.as_str().expect("a key")).is_some())),
        "items" => value.as_array()?.iter().find_map(|one| complaint(root, wanted, one, path)),
        "properties" => wanted
            .as_object()
            .expect("properties")
            .iter()
            .find_map(|(key, schema)| complaint(root, schema, value.get(key)?, &format!("{path}.{key}"))),
        "additionalProperties" => value.as_object()?.iter().find_map(|(key, value)| {
            let known = words.get("properties").and_then(|known| known.get(key)).is_some();
            (!known).then(|| complaint(root, wanted, value, &format!("{path}.{key}")))?
        }),
        "anyOf" => {
            let complaints: Vec<_> = all().map(|one| complaint(root, one, value, path)).collect();
            complaints
                .iter()
                .all(Option::is_some)
                .then(|| complaints.into_iter().flatten().collect::<Vec<_>>().join(" / "))
        }
        "allOf" => all().find_map(|one| complaint(root, one, value, path)),
        "if" if complaint(root, wanted, value, path).is_none() => {
            complaint(root, &words["then"], value, path)
        }
        "if" | "then" => None,
        "$schema"
        | "definitions"
        | "title"
        | "description"
        | "default"
        | "enumDescriptions"
        | "markdownEnumDescriptions" => None,
        other => panic!("the schema uses `{other}`, which this test does not know"),
    }
}

fn is(wanted: &Value, value: &Value) -> bool {
    match wanted.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        other => panic!("the type {other}"),
    }
}

fn judged(text: &str) -> Option<String> {
    let schema = schema::json();
    complaint(&schema, &schema, &document(text), "")
}

#[test]
fn every_topology_and_every_cure_fits_the_schema() {
    for text in
        library::ALL.iter().chain([&include_str!("../../tests/library/everything.yaml"), &library::NEW])
    {
        assert_eq!(judged(text), None);
    }
    for code in Code::ALL {
        let cure = code.page().split("## Cure").nth(1).and_then(|part| part.split("```yaml\n").nth(1));
        let Some(cure) = cure.and_then(|part| part.split("```").next()) else { continue };
        assert_eq!(judged(cure), None, "the cure of {}", code.id());
    }
}

#[test]
fn what_has_a_wrong_form_does_not_fit() {
    let with = |actor: &str| format!("topology: demo\nactors:\n  a: {actor}\n");
    assert_eq!(judged(&with("{ kind: kafka_source, topic: t }")), None);
    let wrong = [
        ("{ kind: kafka_source, topik: t }", ".actors.a.topik: nothing may stand here"),
        ("{ kind: kafka_source }", "required"),
        ("{ kind: kafka_source, topic: t, lingr: 5ms }", ".actors.a.lingr: nothing may stand here"),
        ("{ kind: kafka_source, topic: t, flush: { rows: 1 } }", ".actors.a.flush: nothing may stand here"),
        ("{ kind: kafka_sorce, topic: t }", ".actors.a.kind"),
        ("{ topic: t }", "required"),
        ("{ kind: kafka_source, topic: t, linger: 5 }", ".actors.a.linger"),
        ("{ kind: kafka_source, topic: t, linger: -5ms }", ".actors.a.linger"),
        ("{ kind: kafka_source, topic: t, batch_rows: 0 }", ".actors.a.batch_rows"),
        ("{ kind: kafka_source, topic: t, link: { bytes: 5mb } }", ".actors.a.link.bytes"),
        ("{ kind: kafka_source, topic: t, membership: statik }", ".actors.a.membership"),
        ("{ kind: kafka_source, topic: t, restart: [permanent] }", ".actors.a.restart"),
    ];
    for (actor, said) in wrong {
        let complaint = judged(&with(actor)).unwrap_or_else(|| panic!("{actor} fits"));
        assert!(complaint.contains(said), "{complaint}");
    }
    assert!(
        judged("topology: demo\nactor: {}\nactors: {}\n").is_some_and(|said| said.starts_with(".actor:"))
    );
}

#[test]
fn the_schema_offers_every_built_kind_with_its_sentence() {
    let schema = schema::json();
    let kind = &schema["definitions"]["actor"]["properties"]["kind"];
    for entry in crate::catalog::KINDS {
        let names = kind["enum"].as_array().expect("words");
        let at = names.iter().position(|name| name == entry.name);
        assert_eq!(at.is_some(), entry.built, "{}", entry.name);
        assert!(at.is_none_or(|at| kind["enumDescriptions"][at] == entry.doc));
    }
}

fn assert_current(file: &str, format: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs").join(file);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "topology/docs/{file} is not what the catalog says; refresh it:\n  cargo run --release -- schema --format {format} > topology/docs/{file}"
    );
}

#[test]
fn the_committed_schema_and_reference_are_current() {
    assert_current("topology.schema.json", "json", &format!("{:#}\n", schema::json()));
    assert_current("reference.md", "markdown", &schema::markdown());
}
