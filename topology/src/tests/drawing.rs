//! Pictures: as their snapshots show, and with nothing of the file but escaped labels.

use super::{clean, library};
use crate::drawing;

fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/drawing"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_topology_of_the_library_is_drawn_as_its_snapshots_show() {
    for text in library::ALL {
        let topology = clean(text);
        let name = &topology.name.value;
        golden(&format!("{name}.mmd"), &drawing::mermaid(&topology));
        golden(&format!("{name}.dot"), &drawing::dot(&topology));
        golden(&format!("{name}.svg"), &drawing::svg(&topology));
    }
}

#[test]
fn a_name_from_the_file_ends_no_label() {
    let evil = r#"a"]; <script>alert(1)</script> & \ `x` #quot; 'y'"#;
    let text = format!(
        "topology: demo\nactors:\n  a: {{ kind: replay_source, file: {} }}\n  n: {{ kind: normalizer, from: a, fields: {{ ts: {{ type: timestamp, expr: record_time }} }} }}\n  s: {{ kind: kafka_sink, from: n, topic: o }}\n",
        serde_json::Value::from(evil)
    );
    let topology = clean(&text);
    let (mermaid, dot, svg) = (drawing::mermaid(&topology), drawing::dot(&topology), drawing::svg(&topology));
    let label = mermaid.lines().find(|line| line.contains("replay_source")).expect("the source");
    assert_eq!(label.matches('"').count(), 2, "{label}");
    assert!(!label.replace("<br/>", "").contains('<'), "{label}");
    assert!(dot.contains(r#"file a\"]; <script>alert(1)</script> & \\ `x`"#), "{dot}");
    assert!(!svg.contains("<script") && svg.contains("a&quot;]; &lt;script&gt;"), "{svg}");
}

#[test]
fn boxes_of_one_column_do_not_touch_and_edges_lead_to_the_right() {
    let svg = drawing::svg(&clean(library::MD_TRADES));
    let number = |line: &str, name: &str| -> usize {
        let rest = line.split(&format!(" {name}=\"")).nth(1).expect("the attribute");
        rest.split('"').next().and_then(|digits| digits.parse().ok()).expect("a number")
    };
    let boxes: Vec<(usize, usize)> = svg
        .lines()
        .filter(|line| line.starts_with("<rect"))
        .map(|line| (number(line, "x"), number(line, "y")))
        .collect();
    assert_eq!(boxes.len(), 5);
    let mut apart = boxes.clone();
    apart.sort_unstable();
    apart.dedup();
    assert_eq!(apart.len(), boxes.len());
    assert!(apart.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[0].1 + 62 <= pair[1].1), "{apart:?}");
}
