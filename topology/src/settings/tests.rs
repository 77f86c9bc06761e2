//! The embedded file, the list of settings, the catalog and the defaults say the same.

use super::*;
use crate::catalog::Shape;
use crate::diagnostic::Diagnostic;
use crate::{Source, to_text};
use std::collections::BTreeSet;

/// What `aqueduct new --engine` writes.
const FILE: &str = include_str!("../../../config/engine.yaml");

fn read(text: &str) -> (Option<Layer>, Vec<Diagnostic>) {
    load_settings(&Source::new("engine.yaml", text), &|_| None)
}

fn clean(text: &str) -> Layer {
    let (layer, diagnostics) = read(text);
    let shown = to_text(&Source::new("engine.yaml", text), &diagnostics, false);
    assert!(diagnostics.is_empty(), "{shown}");
    layer.expect("settings")
}

fn machine() -> Machine {
    Machine { name: "host".to_owned(), cores: 3 }
}

fn alone(file: &Layer) -> NodeSettings {
    resolve(&Layer::default(), &Layer::default(), file, &machine())
}

/// The file with its `#key:` lines said.
fn everything() -> String {
    let line = |line: &str| {
        let bare = line.trim_start();
        let said = bare.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        match said {
            Some(said) => format!("{}{said}\n", &line[..line.len() - bare.len()]),
            None => format!("{line}\n"),
        }
    };
    FILE.lines().map(line).collect()
}

fn paths(keys: &[Key], path: &str) -> Vec<String> {
    let of = |key: &Key| match key.shape {
        Shape::Part(keys) => paths(keys, &format!("{path}{}.", key.name)),
        _ => vec![format!("{path}{}", key.name)],
    };
    keys.iter().flat_map(of).collect()
}

#[test]
fn the_written_defaults_are_the_defaults() {
    let (file, nothing) = (alone(&clean(FILE)), alone(&clean("")));
    for setting in ALL {
        assert_eq!(file.said(setting.key).value, nothing.said(setting.key).value, "{}", setting.key);
    }
    // What is left commented out is what has no fixed default, and nothing else.
    let silent: Vec<&str> =
        ALL.iter().map(|setting| setting.key).filter(|key| clean(FILE).get(key).is_none()).collect();
    assert_eq!(
        silent,
        ["node", "admin.token_file", "admin.redact", "arbiters", "memory_budget", "traces.endpoint"]
    );
}

#[test]
fn the_file_has_every_setting_with_its_variable_and_its_flag() {
    let layer = clean(&everything());
    for setting in ALL {
        assert!(layer.get(setting.key).is_some(), "{} is not in config/engine.yaml", setting.key);
        let line = FILE.lines().find(|line| line.contains(&format!(" {} ", setting.variable)));
        let line = line.unwrap_or_else(|| panic!("{} is not in config/engine.yaml", setting.variable));
        assert!(line.contains(&format!(" --{} ", setting.flag)), "{line} lacks --{}", setting.flag);
    }
}

#[test]
fn every_key_of_the_catalog_is_a_setting_and_every_name_is_its_own() {
    let keys: Vec<&str> = ALL.iter().map(|setting| setting.key).collect();
    assert_eq!(keys, paths(SETTINGS, ""));
    let variables: BTreeSet<&str> = ALL.iter().map(|setting| setting.variable).collect();
    let flags: BTreeSet<&str> = ALL.iter().map(|setting| setting.flag).collect();
    assert_eq!((variables.len(), flags.len()), (ALL.len(), ALL.len()));
}

#[test]
fn the_catalogs_fixed_defaults_are_the_ones_that_hold() {
    fn assert_defaults(keys: &[Key], path: &str, holds: &NodeSettings) {
        for key in keys {
            let path = format!("{path}{}", key.name);
            match (key.shape, key.default) {
                (Shape::Part(keys), _) => assert_defaults(keys, &format!("{path}."), holds),
                (_, Some(default)) if !default.contains(' ') => {
                    let value = setting_of(setting_named(&path).expect("a setting"), default);
                    assert_eq!(value.ok(), holds.said(&path).value, "{path}");
                }
                _ => {}
            }
        }
    }
    assert_defaults(SETTINGS, "", &alone(&Layer::default()));
}

#[test]
fn an_empty_file_means_the_defaults() {
    for text in ["", "# nothing\n", "---\n"] {
        let settings = alone(&clean(text));
        assert_eq!(settings.admin_listen().to_string(), "127.0.0.1:9464");
        assert_eq!((settings.node(), settings.arbiters()), ("host".to_owned(), 16));
        assert_eq!((settings.memory_budget_bytes(), settings.admin_token_file()), (None, None));
    }
}

#[test]
fn every_setting_is_read() {
    let settings = alone(&clean(&everything()));
    assert_eq!((settings.node().as_str(), settings.arbiters()), ("node-1", 4));
    assert_eq!(settings.memory_budget_bytes(), Some(1 << 30));
    let other = alone(&clean(
        "log: { format: json, filter: debug }\nadmin: { listen: \"[::1]:0\", token_file: /run/t, redact: \"a, b\" }\n\
         drain_deadline: 2m\nwatchdog: { stalled_after: 5s, stuck_after: 6s }\n\
         traces: { endpoint: \"http://[::1]:4318\", ratio: 5% }\n",
    ));
    assert!(other.log_is_json());
    assert_eq!((other.log_filter().as_str(), other.admin_listen().port()), ("debug", 0));
    assert_eq!((other.admin_token_file(), other.admin_redact()), (Some("/run/t".into()), "a, b".to_owned()));
    let seconds = [other.drain_deadline(), other.stalled_after(), other.stuck_after()];
    assert_eq!(seconds.map(|duration| duration.as_secs()), [120, 5, 6]);
    assert_eq!(other.traces_endpoint().map(|to| to.to_string()).as_deref(), Some("http://[::1]:4318"));
    assert_eq!((other.traces_ratio(), settings.traces_ratio()), (0.05, 0.01));
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let arbiters = setting_named("arbiters").expect("a setting");
    let said = |count: u32| {
        let mut layer = Layer::default();
        layer.set(arbiters, Value::Count(count));
        layer
    };
    let (silent, file) = (Layer::default(), clean("arbiters: 7\n"));
    let holds = |flags: &Layer, environment: &Layer, file: &Layer| {
        let settings = resolve(flags, environment, file, &machine());
        (settings.arbiters(), settings.said("arbiters").origin.word())
    };
    assert_eq!(holds(&said(9), &said(8), &file), (9, "flag"));
    assert_eq!(holds(&silent, &said(8), &file), (8, "environment"));
    assert_eq!(holds(&silent, &silent, &file), (7, "file"));
    assert_eq!(holds(&silent, &silent, &silent), (16, "default"));
}

#[test]
fn every_mistake_is_named_in_one_run() {
    let (settings, diagnostics) = read(
        "nodes: x\nlog: { level: debug, format: xml }\nadmin: { listen: here }\narbiters: 0\n\
         drain_deadline: 30\nwatchdog: { stuck_after: 0s }\nshutdown_timeout: 5s\nnode: a b\n",
    );
    assert_eq!(settings, None);
    let codes: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code.id()).collect();
    assert_eq!(codes, ["T010", "T017", "T013", "T081", "T016", "T014", "T016", "T017", "T019"]);
}

#[test]
fn a_variable_is_read_as_the_file_is() {
    let read = |key: &str, text: &str| setting_of(setting_named(key).expect("a setting"), text);
    assert_eq!(read("arbiters", "4"), Ok(Value::Count(4)));
    assert_eq!(read("memory_budget", "256MiB"), Ok(Value::Bytes(256 << 20)));
    assert_eq!(read("node", "10-0-0-1.example"), Ok(Value::Text("10-0-0-1.example".to_owned())));
    for (key, text, said) in [
        ("arbiters", "0", "outside 1..=1024"),
        ("arbiters", "many", "a whole number"),
        ("drain_deadline", "30", "give it a unit"),
        ("log.format", "jsn", "did you mean `json`"),
        ("admin.listen", "here", "an IP address and a port"),
        ("node", "a/b", "cannot be a node's name"),
        ("memory_budget", "1 TiB", "KiB, MiB, GiB"),
    ] {
        let refused = read(key, text).expect_err(text);
        assert!(refused.contains(said), "{key}={text}: {refused}");
    }
}

#[test]
fn what_is_written_is_read_again() {
    let settings = alone(&clean(&everything()));
    for setting in ALL {
        let value = settings.said(setting.key).value.clone().expect("everything is said");
        assert_eq!(setting_of(setting, &value.to_string()), Ok(value), "{}", setting.key);
    }
}

#[test]
fn the_page_lists_every_setting() {
    let page = include_str!("../../../engine/docs/settings.md");
    for setting in ALL {
        let row = format!("| `{}` | `{}` | `--{}` |", setting.key, setting.variable, setting.flag);
        assert!(page.contains(&row), "engine/docs/settings.md lacks the row {row}");
    }
}
