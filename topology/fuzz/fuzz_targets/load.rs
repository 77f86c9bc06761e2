//! Any bytes are a topology or an error, and what is a topology can be written and read again.
#![no_main]

use aqueduct_topology::plan::{Diff, Form};
use aqueduct_topology::{Source, has_errors, load, to_json, to_sarif, to_text, to_yaml};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (source, refusal) = Source::from_bytes("fuzz.yaml", bytes.to_vec());
    if refusal.is_some() {
        return;
    }
    let (topology, findings) = load(&source, &environment);
    assert_eq!(topology.is_none(), has_errors(&findings), "a topology or an error");
    assert!(findings.iter().all(|finding| finding.span.end <= source.text.len()), "places lie in the text");
    to_text(&source, &findings, true);
    to_json(&source, &findings);
    to_sarif(&source, &findings);
    if let Some(topology) = topology {
        let written = to_yaml(&topology);
        let (again, findings) = load(&Source::new("again.yaml", written.as_str()), &environment);
        let again = again.unwrap_or_else(|| panic!("{findings:?}\n{written}"));
        let form = |topology| Form::of(topology, &|_: &std::path::Path| None);
        let diff = Diff::between(&form(&topology), &form(&again));
        assert!(diff.actors.is_empty() && diff.supervisors.is_empty(), "{diff:?}\n{written}");
    }
});

fn environment(name: &str) -> Option<String> {
    match name {
        "TIMESCALE_URL" => Some("postgres://me@127.0.0.1:5432/db".to_owned()),
        "REDIS_URL" => Some("redis://127.0.0.1:6379/0".to_owned()),
        _ => None,
    }
}
