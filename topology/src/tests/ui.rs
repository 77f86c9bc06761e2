//! Every code: its page's example fails with it, exactly as the snapshot shows, and the page's cure is free of it.

use super::{env, library};
use crate::explain::over_budget;
use crate::{Code, Diagnostic, Source, load, to_text};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ui"))
}

fn files() -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder())
        .expect("the folder of examples")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let stem = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (stem, std::fs::read_to_string(&path).expect("a text"))
        })
        .collect();
    files.sort();
    files
}

/// What is wrong with an example on its node: one that lacks a variable, or has a memory budget, where a comment says so.
fn findings(source: &Source) -> Vec<Diagnostic> {
    let text = &source.text;
    let env = |name: &str| env(name).filter(|_| !text.contains(&format!("{name} is not set")));
    let (topology, mut diagnostics) = load(source, &env);
    let mebibytes = text.split("memory_budget: ").nth(1).and_then(|rest| rest.split("MiB").next());
    if let (Some(topology), Some(mebibytes)) = (topology, mebibytes) {
        let budget_bytes = mebibytes.parse::<u64>().expect("a number") << 20;
        diagnostics.extend(over_budget(&topology, budget_bytes));
    }
    diagnostics
}

fn codes_of(text: &str) -> BTreeSet<Code> {
    findings(&Source::new("topology.yaml", text)).iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn findings_match_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(folder().join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, text) in files() {
            let source = Source::new(format!("{name}.yaml"), text);
            insta::assert_snapshot!(name, to_text(&source, &findings(&source), false));
        }
    });
}

#[test]
fn every_broken_file_has_a_finding_of_the_code_in_its_name() {
    let files = files();
    assert!(files.len() >= 120, "{} broken files", files.len());
    for (name, text) in files.iter().filter(|(name, _)| name.starts_with('T')) {
        let found = codes_of(text);
        assert!(found.iter().any(|code| name.starts_with(code.id())), "{name} gives {found:?}");
    }
}

#[test]
fn every_code_has_an_example_that_fails_with_it_alone_and_a_cure() {
    let files = files();
    // Not UTF-8 cannot be written as text; `source` tests it. What only servers can give is tested with servers.
    for code in Code::ALL.iter().filter(|code| **code != Code::NotUtf8 && !code.needs_servers()) {
        let (_, text) = files
            .iter()
            .find(|(name, _)| name == code.id())
            .unwrap_or_else(|| panic!("no {}.yaml", code.id()));
        let found = codes_of(text);
        assert!(found.contains(code), "{} is not among {found:?}", code.id());
        let page = code.page();
        assert!(
            page.contains(&format!("```yaml\n{text}```")),
            "the page of {} shows another example",
            code.id()
        );
        let cure = page.split("## Cure").nth(1).and_then(|part| part.split("```yaml\n").nth(1));
        let cure = cure.and_then(|part| part.split("```").next()).expect("a cure");
        assert!(codes_of(cure).is_empty(), "the cure of {} gives {:?}", code.id(), codes_of(cure));
    }
}

#[test]
fn every_example_of_the_library_is_free_of_findings() {
    for text in library::ALL {
        assert!(codes_of(text).is_empty());
    }
}
