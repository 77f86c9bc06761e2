//! A topology written as a file and read again is the same topology.

use super::{accepted, env, library};
use crate::model::Topology;
use crate::plan::{Diff, Form};
use crate::{Source, load, to_text, to_yaml};
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("../../tests/library/everything.yaml");

fn form(topology: &Topology) -> Form {
    Form::of(topology, &|path: &std::path::Path| Some(path.display().to_string()))
}

/// What differs after a topology was written and read.
fn difference(topology: &Topology) -> Result<Diff, String> {
    let text = to_yaml(topology);
    let source = Source::new("written.yaml", text.as_str());
    let (again, findings) = load(&source, &env);
    let again = again.ok_or_else(|| format!("{}\n{text}", to_text(&source, &findings, false)))?;
    if to_yaml(&again) != text {
        return Err(format!("written otherwise the second time:\n{}", to_yaml(&again)));
    }
    let order = |topology: &Topology| -> Vec<String> {
        topology.actors.iter().map(|actor| actor.name.value.clone()).collect()
    };
    if order(topology) != order(&again) {
        return Err(format!("in another order:\n{text}"));
    }
    let mut diff = Diff::between(&form(topology), &form(&again));
    // Addresses that the file itself says are not written.
    for part in &mut diff.connections {
        part.changes.retain(|change| change.key != "url" && change.key != "secret");
    }
    diff.connections.retain(|part| !part.changes.is_empty());
    Ok(diff)
}

#[test]
fn the_library_and_a_file_with_everything_come_back() {
    for text in library::ALL.iter().copied().chain([EVERYTHING]) {
        let diff = difference(&accepted(text)).unwrap_or_else(|error| panic!("{error}"));
        assert!(diff.is_empty(), "{diff:#?}");
    }
}

#[test]
fn no_address_is_written() {
    assert!(!to_yaml(&accepted(EVERYTHING)).contains("hidden"));
}

#[test]
fn texts_that_look_like_something_else_come_back() {
    for text in [
        "true",
        "null",
        "12",
        "1e3",
        "- a",
        "a: b",
        "#x",
        "\\${HOME}",
        "a\\\"b",
        "é\\n\\t",
        "*x",
        "&x",
        "!x",
        "~",
        "",
        " x ",
        "{",
        "[",
        "\\u0007",
        "\\u2028",
        "$$",
        "$\\${x}",
    ] {
        let file = format!(
            "topology: demo\nactors:\n  a: {{ kind: kafka_source, topic: t, description: \"{}\" }}\n  n: {{ kind: normalizer, from: a, fields: {{ t: {{ type: timestamp, expr: record_time }}, m: {{ type: text, path: /m, optional: true, map: {{ \"{text}\": \"{}\" }} }} }} }}\n  s: {{ kind: kafka_sink, from: n, topic: o }}\n",
            text.replace("\\$", "$$"),
            text.replace("\\$", "$$")
        );
        let file = file.replace(&format!("{{ \"{text}\":"), &format!("{{ \"{}\":", text.replace("\\$", "$")));
        let diff = difference(&accepted(&file)).unwrap_or_else(|error| panic!("{error}"));
        assert!(diff.is_empty(), "{text}: {diff:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_read_comes_back(text in super::robust::mutated()) {
        let (topology, _) = load(&Source::new("t.yaml", text.as_str()), &env);
        if let Some(topology) = topology {
            let diff = difference(&topology).map_err(TestCaseError::fail)?;
            prop_assert!(diff.is_empty(), "{diff:#?}\n{text}");
        }
    }

    #[test]
    fn a_start_comes_back(micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000) {
        let file = "topology: demo\nactors:\n  a: { kind: kafka_source, topic: t, start: \"2026-01-01T00:00:00Z\" }\n  n: { kind: normalizer, from: a, fields: { t: { type: timestamp, expr: record_time } } }\n  s: { kind: kafka_sink, from: n, topic: o }\n";
        let mut topology = accepted(file);
        if let crate::model::Kind::KafkaSource(source) = &mut topology.actors[0].kind {
            source.start.value = crate::model::Start::At(micros);
        }
        let diff = difference(&topology).map_err(TestCaseError::fail)?;
        prop_assert!(diff.is_empty(), "{diff:#?}");
    }
}
