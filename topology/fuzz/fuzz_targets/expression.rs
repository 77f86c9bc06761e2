//! Any text as an expression, in each style of scalar.
#![no_main]

use aqueduct_topology::{Source, load, to_text};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|expression: &str| {
    let block = expression.lines().map(|line| format!("      {line}\n")).collect::<String>();
    let escaped = expression.replace('\\', "\\\\").replace('"', "\\\"");
    for scalar in [
        format!("|\n{block}"),
        format!(">-\n{block}"),
        format!("'{}'", expression.replace('\'', "''")),
        format!("\"{escaped}\""),
        expression.to_owned(),
    ] {
        let text = format!(
            "topology: fuzz\nactors:\n  a: {{ kind: kafka_source, topic: t }}\n  n:\n    kind: normalizer\n    from: a\n    \
             explode: /x\n    select: {scalar}\n    fields: {{ ts: {{ type: timestamp, path: /t }}, p: {{ type: float64, \
             path: /p }} }}\n  s: {{ kind: kafka_sink, from: n, topic: o }}\n"
        );
        let source = Source::new("fuzz.yaml", text);
        let (_, findings) = load(&source, &|_| None);
        assert!(findings.iter().all(|finding| finding.span.end <= source.text.len()));
        to_text(&source, &findings, false);
    }
});
