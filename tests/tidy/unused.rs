//! What is declared and used by nobody: public items, settings, metrics. What is private the compiler finds.

use std::collections::{BTreeMap, BTreeSet};

/// Items without a caller here, each with what it is for.
const KEPT: [(&str, &str); 0] = [];

/// The code of a source, comments left out.
fn code(text: &str) -> String {
    text.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Every Rust source with its code.
fn sources() -> Vec<(String, String)> {
    let read = |path: &std::path::PathBuf| {
        (super::shown(path), code(&std::fs::read_to_string(path).expect("readable source")))
    };
    super::files(&[".rs"]).iter().map(read).collect()
}

/// The name that a line declares for others.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("pub")?;
    let line = match line.strip_prefix('(') {
        Some(rest) => rest.split_once(')')?.1,
        None => line,
    };
    let mut words =
        line.split_whitespace().skip_while(|word| ["const", "async", "unsafe"].contains(word)).peekable();
    let is_item = |word: &str| ["fn", "struct", "enum", "trait", "type", "static"].contains(&word);
    let name = match words.next()? {
        word if is_item(word) => words.next()?,
        // A constant: the word before its name was passed over.
        word if line.contains("const ") => word,
        _ => return None,
    };
    name.split(|c| !is_word(c)).next().filter(|name| !name.is_empty())
}

#[test]
fn what_is_public_is_named_somewhere_else() {
    let mut sources = sources();
    sources.retain(|(name, _)| name != "tests/tidy/unused.rs");
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, code) in &sources {
        for word in code.split(|c| !is_word(c)).filter(|word| !word.is_empty()) {
            *times.entry(word).or_default() += 1;
        }
    }
    let product = ["engine/", "actors/", "topology/", "config/"];
    let mut looked = 0;
    let mut unused = Vec::new();
    for (name, code) in
        sources.iter().filter(|(name, _)| product.iter().any(|folder| name.starts_with(folder)))
    {
        for item in code.lines().filter_map(declared) {
            looked += 1;
            if times[item] == 1 && KEPT.iter().all(|(kept, _)| *kept != item) {
                unused.push(format!("{name}: {item}"));
            }
        }
    }
    assert!(looked > 1000, "only {looked} items: the reading is broken");
    assert!(
        unused.is_empty(),
        "nobody uses these; delete them, or say in KEPT what they are for:\n{}",
        unused.join("\n")
    );
    for (kept, _) in KEPT {
        assert!(
            times.get(kept).is_some_and(|times| *times == 1),
            "`{kept}` is used, or gone: take it out of KEPT"
        );
    }
}

#[test]
fn every_setting_is_asked_for() {
    let reader = "topology/src/settings/resolve.rs";
    let sources = sources();
    let (_, resolve) = sources.iter().find(|(name, _)| name == reader).expect("the settings as they hold");
    let asked: BTreeSet<&str> = sources
        .iter()
        .filter(|(name, _)| name.starts_with("engine/cli/"))
        .flat_map(|(_, code)| code.split(|c| !is_word(c)))
        .collect();
    for setting in aqueduct_topology::settings::ALL {
        let quoted = format!("\"{}\"", setting.key);
        let accessors = resolve.split("pub fn ").skip(1).filter(|body| body.contains(&quoted));
        let names: Vec<&str> = accessors.filter_map(|body| body.split(|c| !is_word(c)).next()).collect();
        assert!(
            names.iter().any(|name| asked.contains(name)),
            "`{}` of engine.yaml changes nothing: no accessor of it ({names:?}) is called in engine/cli; use it, or take \
             the key away",
            setting.key
        );
    }
}

#[test]
fn every_metric_is_written_somewhere() {
    let table = "engine/src/telemetry/names.rs";
    let text = std::fs::read_to_string(super::root().join(table)).expect("the table");
    let declared =
        text.lines().filter_map(|line| line.trim().split_once(" = \"")).filter_map(|(constant, rest)| {
            let is_constant =
                constant.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
            is_constant.then(|| (constant.to_owned(), rest.split('"').next().unwrap_or_default().to_owned()))
        });
    let declared: Vec<(String, String)> = declared.collect();
    assert!(declared.len() >= 15, "only {} metrics: the reading is broken", declared.len());
    let sources = sources();
    let product = sources.iter().filter(|(name, _)| {
        (name.starts_with("engine/src/") || name.starts_with("actors/src/")) && name != table
    });
    let words: BTreeSet<&str> = product.flat_map(|(_, code)| code.split(|c| !is_word(c))).collect();
    let silent: Vec<&(String, String)> = declared
        .iter()
        .filter(|(constant, name)| ![constant, name].iter().any(|word| words.contains(word.as_str())))
        .collect();
    assert!(
        silent.is_empty(),
        "nobody writes these metrics; write them, or take them out of {table}: {silent:?}"
    );
}

#[test]
fn declared_names_are_read_as_rust_writes_them() {
    let cases = [
        ("pub fn one(a: u8)", Some("one")),
        ("    pub(crate) async fn two<T>()", Some("two")),
        ("pub const fn three()", Some("three")),
        ("pub const FOUR: u8 = 4;", Some("FOUR")),
        ("pub(in crate::a) struct Five;", Some("Five")),
        ("pub use six::Six;", None),
        ("pub mod seven;", None),
        ("pub eight: u8,", None),
        ("fn nine()", None),
    ];
    for (line, name) in cases {
        assert_eq!(declared(line), name, "{line}");
    }
}
