//! What no text may do: panic, hang, grow, or hide one mistake behind another.

use super::{library, read};
use crate::{Code, Severity, Source, SourceMap, to_json, to_sarif, to_text};
use proptest::prelude::*;

#[test]
fn a_billion_laughs_are_refused() {
    let mut text = "topology: x\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let items = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let (topology, diagnostics) = read(&text);
    assert!(topology.is_none());
    assert!(diagnostics.iter().any(|diagnostic| diagnostic.code == Code::TooLarge));
}

#[test]
fn a_file_of_fifty_megabytes_is_refused_unread() {
    let (topology, diagnostics) = read(&"a: b\n".repeat(10 << 20));
    assert!(topology.is_none());
    assert_eq!(diagnostics[0].code, Code::TooLarge);
}

#[test]
fn an_expression_of_any_depth_is_read_or_refused() {
    for count in [100, 240, 490, 8_000] {
        any_depth(count);
    }
}

fn any_depth(count: usize) {
    let deep = [
        format!("msg{}", ".a".repeat(count)),
        format!("1{} == 1", "+1".repeat(count)),
        format!("{}1", "(".repeat(count)),
        format!("{}1{}", "(".repeat(count), ")".repeat(count)),
        format!("{}true", "!".repeat(count)),
        format!("{}1", "-".repeat(count)),
        format!("{}1{}", "[".repeat(count), "]".repeat(count)),
        format!("{}1", "true?1:".repeat(count / 2)),
        format!("true{}", "&&true".repeat(count / 2)),
        format!("msg{}", "[0]".repeat(count / 2)),
        format!("msg{}", ".trim()".repeat(count / 2)),
    ];
    for text in deep {
        let file = format!(
            "topology: demo\nactors:\n  a: {{ kind: kafka_source, topic: t }}\n  n: {{ kind: normalizer, from: a, select: '{text}', fields: {{ ts: {{ type: timestamp, expr: record_time }} }} }}\n  s: {{ kind: kafka_sink, from: n, topic: o }}\n"
        );
        let (topology, diagnostics) = read(&file);
        assert_eq!(topology.is_none(), !diagnostics.is_empty());
    }
}

#[test]
fn anchors_and_merge_keys_give_one_part_to_two_actors() {
    let topology = super::clean(
        "topology: demo\nactors:\n  a: &source { kind: kafka_source, topic: one, linger: 7ms }\n  b: { <<: *source, topic: two }\n  rows: { kind: normalizer, from: [a, b], fields: { ts: { type: timestamp, expr: record_time } } }\n  sink: { kind: kafka_sink, from: rows, topic: out }\n",
    );
    let topic = |name: &str| match &topology.actor(name).expect("the actor").kind {
        crate::model::Kind::KafkaSource(source) => (source.topic.value.clone(), source.linger.as_millis()),
        other => panic!("{}", other.name()),
    };
    assert_eq!((topic("a"), topic("b")), (("one".to_owned(), 7), ("two".to_owned(), 7)));
}

#[test]
fn ten_mistakes_are_named_in_one_run_in_the_order_of_the_file() {
    let text = include_str!("../../tests/ui/ten_mistakes.yaml");
    let (topology, diagnostics) = read(text);
    assert!(topology.is_none());
    let map = SourceMap::new(text);
    let found: Vec<(usize, &str)> = diagnostics
        .iter()
        .map(|diagnostic| (map.position(diagnostic.span.start).line, diagnostic.code.id()))
        .collect();
    let expected = [
        (2, "T017"),
        (4, "T013"),
        (4, "T035"),
        (6, "T014"),
        (8, "T021"),
        (10, "T044"),
        (11, "T040"),
        (12, "T061"),
        (13, "T020"),
        (14, "T050"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn no_password_reaches_a_finding() {
    let text = "topology: demo\nconnections: { timescale: { url: \"mysql://me:hunter2@db/x\", pool: 0 } }\nactors: {}\n";
    let source = Source::new("t.yaml", text);
    let (_, diagnostics) = read(text);
    assert!(diagnostics.len() >= 2);
    let shown = [
        to_text(&source, &diagnostics, true),
        to_json(&source, &diagnostics).to_string(),
        to_sarif(&source, &diagnostics).to_string(),
        format!("{diagnostics:?}"),
    ];
    assert!(shown.iter().all(|shown| !shown.contains("hunter2")), "{shown:?}");
    let interpolated = super::clean(
        "topology: demo\nconnections: { redis: { url: \"${REDIS_URL}\" } }\nactors:\n  a: { kind: kafka_source, topic: t }\n  n: { kind: normalizer, from: a, fields: { ts: { type: timestamp, expr: record_time } } }\n  c: { kind: redis_cache, from: n, key: k, value: [ts], order_by: ts }\n",
    );
    assert!(!format!("{interpolated:?}").contains("hidden"));
}

#[test]
fn a_value_from_the_environment_never_changes_the_structure() {
    let env =
        |name: &str| super::env(name).or_else(|| (name == "T").then(|| "a, kind: x } #: [\n- b".to_owned()));
    let text = "topology: demo\nactors:\n  a: { kind: kafka_source, topic: t, description: \"${T}\" }\n  n: { kind: normalizer, from: a, fields: { ts: { type: timestamp, expr: record_time } } }\n  s: { kind: kafka_sink, from: n, topic: o }\n";
    let (topology, diagnostics) = crate::load(&Source::new("t.yaml", text), &env);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let topology = topology.expect("a topology");
    assert_eq!(
        topology.actor("a").and_then(|actor| actor.description.as_deref()),
        Some("a, kind: x } #: [\n- b")
    );
}

#[test]
fn json_and_sarif_point_at_the_same_characters() {
    let text = "topology: demo\nactors:\n  a: { kind: kafka_sorce, topic: t }\n";
    let source = Source::new("a b.yaml", text);
    let (_, diagnostics) = read(text);
    let json = to_json(&source, &diagnostics);
    let entry = &json["diagnostics"][0];
    assert_eq!(entry["code"], "T020");
    assert_eq!(
        (entry["line"].as_u64(), entry["column"].as_u64(), entry["end_column"].as_u64()),
        (Some(3), Some(14), Some(25))
    );
    assert_eq!(entry["help"], "did you mean `kafka_source`?");
    let sarif = to_sarif(&source, &diagnostics);
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%20b.yaml");
    assert_eq!(place["region"]["startColumn"], 14);
}

pub(super) fn mutated() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ \\n\\t:#&*!|>'\"%@`{}\\[\\],?-]{1,4}",
        Just("${".to_owned()),
        Just("<<: *a".to_owned()),
        Just("&a ".to_owned()),
        Just("\u{feff}é\u{1f600}".to_owned()),
        "[a-z0-9_.()/]{1,6}",
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_usize..12, piece), 1..6);
    (0..library::ALL.len(), edits).prop_map(|(which, edits)| {
        let mut characters: Vec<char> = library::ALL[which].chars().take(2_500).collect();
        for (at, removed, inserted) in edits {
            let at = at.index(characters.len());
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, inserted.chars());
        }
        characters.into_iter().collect()
    })
}

fn reads_without_panic(text: &str) {
    let source = Source::new("t.yaml", text);
    let (topology, diagnostics) = read(text);
    let refused = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(topology.is_none(), refused, "a topology or an error, never both, never neither");
    assert!(diagnostics.iter().all(|diagnostic| diagnostic.span.end <= text.len()));
    assert!(diagnostics.windows(2).all(|pair| pair[0].span.start <= pair[1].span.start));
    to_text(&source, &diagnostics, true);
    to_sarif(&source, &diagnostics);
    to_json(&source, &diagnostics);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_mutation_of_a_topology_panics(text in mutated()) {
        reads_without_panic(&text);
    }

    #[test]
    fn no_text_at_all_panics(text in "[ -~\\n\\té]{0,80}") {
        reads_without_panic(&text);
    }
}
