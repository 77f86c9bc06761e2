//! Pairs of files in, plans out; and the laws of differences.

mod consequences;
mod laws;

use super::{Form, Plan};
use crate::{Source, load};
use std::path::Path;

const MARKET_DATA: &str = include_str!("../../../tests/library/market-data.yaml");

fn digest(path: &Path) -> Option<String> {
    Some(format!("digest of {}", path.display()))
}

fn form_with(text: &str, password: &str) -> Form {
    let env = |name: &str| match name {
        "KAFKA_BOOTSTRAP" => Some("127.0.0.1:19092".to_owned()),
        "TIMESCALE_URL" => Some(format!("postgres://aqueduct:{password}@127.0.0.1:15432/aqueduct")),
        "REDIS_URL" => Some(format!("redis://:{password}@127.0.0.1:16379/0")),
        "SCHEMA_REGISTRY_URL" => Some(format!("http://reader:{password}@127.0.0.1:18081")),
        file if file.ends_with("_FILE") => Some(format!("/run/secrets/{file}")),
        _ => None,
    };
    let (topology, diagnostics) = load(&Source::new("topology.yaml", text), &env);
    let topology = topology.unwrap_or_else(|| panic!("refused: {diagnostics:?}"));
    Form::of(&topology, &digest)
}

fn form(text: &str) -> Form {
    form_with(text, "hidden")
}

/// The file without its tests, which name actors that the changes rename; a plan is of what runs.
fn without_tests() -> &'static str {
    MARKET_DATA.split("\ntests:").next().expect("a text has a first part")
}

/// The market data file with some of its text replaced; every replacement must find its text.
fn changed(replacements: &[(&str, &str)]) -> Form {
    let mut text = without_tests().to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "`{from}` is in the file");
        text = text.replace(from, to);
    }
    form(&text)
}

fn plan(replacements: &[(&str, &str)]) -> Plan {
    Plan::between(&form(without_tests()), &changed(replacements))
}
