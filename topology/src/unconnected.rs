//! Addresses that lead nowhere, for a topology that is tried without its surroundings.
//!
//! Only what the environment should have said is filled in: a malformed address or an unknown key is still a finding.

use crate::Env;
use crate::interpolate::lacks_variable;
use crate::syntax::{Node, Value};

const BOOTSTRAP: &str = "127.0.0.1:9092";
const TIMESCALE: &str = "postgres://unconnected@127.0.0.1/unconnected";
const REDIS: &str = "redis://127.0.0.1";
const REGISTRY: &str = "http://127.0.0.1";

/// The variables that say where the parts are, if nobody set them.
pub(crate) fn variable(name: &str) -> Option<String> {
    let address = match name {
        "KAFKA_BOOTSTRAP" => BOOTSTRAP,
        "TIMESCALE_URL" => TIMESCALE,
        "REDIS_URL" => REDIS,
        "SCHEMA_REGISTRY_URL" => REGISTRY,
        _ => return None,
    };
    Some(address.to_owned())
}

/// Fills in what `connections` lacks.
pub(crate) fn fill(root: &mut Node, env: &Env<'_>) {
    let Value::Mapping(file) = &mut root.value else { return };
    let connections = file.entries.iter_mut().find(|entry| entry.key.value == "connections");
    let Some(Value::Mapping(parts)) = connections.map(|entry| &mut entry.value.value) else { return };
    for part in &mut parts.entries {
        let address = match part.key.value.as_str() {
            "kafka" => BOOTSTRAP,
            "timescale" => TIMESCALE,
            "registry" => REGISTRY,
            _ => REDIS,
        };
        fill_part(&mut part.value, address, env);
    }
}

/// Below one part: its address, or (a path, a user) any text.
fn fill_part(node: &mut Node, address: &str, env: &Env<'_>) {
    let Value::Mapping(mapping) = &mut node.value else { return };
    for entry in &mut mapping.entries {
        match &mut entry.value.value {
            Value::Scalar(scalar) if lacks_variable(&scalar.text, env) => {
                let is_address = matches!(entry.key.value.as_str(), "url" | "bootstrap");
                scalar.text = if is_address { address } else { "unconnected" }.to_owned();
                scalar.interpolated = true;
            }
            Value::Mapping(_) => fill_part(&mut entry.value, address, env),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Code, Source, load, load_unconnected};

    const ACTORS: &str = "actors:\n  ticks: { kind: kafka_source, topic: t }\n  rows: { kind: normalizer, from: ticks, \
                          fields: { ts: { type: timestamp, path: /t, unit: ms } } }\n  history: { kind: timescale_writer, \
                          from: rows, table: a.b }\n  last: { kind: redis_cache, from: rows, key: \"k\", value: [ts], \
                          order_by: ts }\n";

    #[test]
    fn nothing_need_be_set() {
        let connections = [
            "",
            "connections: { kafka: { bootstrap: \"${A}\", sasl: { mechanism: PLAIN, user: \"${B}\", password_file: \
             \"${C}\" } }, timescale: { url: \"${D:?where}\" }, redis: { url: \"redis://${E}:6379\" } }\n",
        ];
        for connections in connections {
            let source = Source::new("t", format!("topology: t\n{connections}{ACTORS}"));
            assert!(load(&source, &|_| None).0.is_none(), "it lacks what it needs");
            let (topology, found) = load_unconnected(&source, &|_| None);
            assert!(topology.is_some() && found.is_empty(), "{found:?}");
        }
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        let source =
            Source::new("t", format!("topology: t\nconnections: {{ redis: {{ uri: x }} }}\n{ACTORS}"));
        let codes: Vec<Code> =
            load_unconnected(&source, &|_| None).1.iter().map(|found| found.code).collect();
        assert!(codes.contains(&Code::UnknownKey) || codes.contains(&Code::ForeignWord), "{codes:?}");
        let source = Source::new("t", format!("topology: \"${{NAME}}\"\n{ACTORS}"));
        assert!(load_unconnected(&source, &|_| None).0.is_none(), "only addresses stand in");
    }
}
