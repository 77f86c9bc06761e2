//! `compose.yaml`: to the schema of Compose, and to what lies in the repository.

use super::rendered::{items, word};
use super::{ADDRESSES, file, is_known, root, settings, tools};
use serde_json::Value;

fn services() -> serde_json::Map<String, Value> {
    let (schema, compose) = (tools::compose_schema(), file("docker/compose.yaml"));
    let path = |path: &std::path::Path| path.to_str().expect("a plain path").to_owned();
    let mut documents = tools::read(&["--schema", &path(&schema), &path(&compose)]);
    assert_eq!(documents.len(), 1);
    documents[0]["services"].take().as_object().expect("services").clone()
}

#[test]
fn the_file_is_as_compose_wants_it_and_every_image_has_a_version() {
    let services = services();
    for part in ["kafka", "timescale", "redis", "migrate", "aqueduct", "prometheus", "grafana"] {
        assert!(services.contains_key(part), "no {part}");
    }
    for (name, service) in &services {
        let (_, tag) =
            word(&service["image"]).rsplit_once(':').unwrap_or_else(|| panic!("{name}: no version"));
        assert_ne!(tag, "latest", "{name}");
        for port in items(&service["ports"]) {
            assert!(word(port).starts_with("127.0.0.1:"), "{name}: {port} is open to the network");
        }
        let waits = service["depends_on"].as_object().into_iter().flatten();
        for (other, how) in waits {
            assert!(services.contains_key(other), "{name} waits for {other}");
            let healthy = how["condition"] == "service_healthy";
            assert!(
                !healthy || services[other]["healthcheck"].is_object(),
                "{other} has no health to wait for"
            );
        }
    }
}

#[test]
fn what_is_mounted_is_there() {
    let mut looked = 0;
    for (name, service) in services() {
        for mount in items(&service["volumes"]) {
            let source = word(mount).rsplit_once(":/").expect("two sides").0;
            // `${VARIABLE:-default}`: what holds when nobody says anything.
            let source = source
                .strip_prefix("${")
                .map_or(source, |inner| inner.split_once(":-").expect("a default").1.trim_end_matches('}'));
            if !source.starts_with('.') {
                continue;
            }
            let path = root().join("config/deploy/docker").join(source);
            assert!(path.exists(), "{name} mounts {source}, which is not there");
            assert!(word(mount).ends_with(":ro"), "{name} may write to {source}");
            looked += 1;
        }
    }
    assert!(looked >= 6, "{looked} mounts: the reading is broken");
}

#[test]
fn the_node_gets_variables_it_knows_and_time_to_drain() {
    let services = services();
    for name in ["aqueduct", "migrate"] {
        let service = &services[name];
        let environment = service["environment"].as_object().expect("a map");
        for variable in environment.keys() {
            assert!(is_known(variable), "{name}: nobody reads {variable}");
        }
        for address in ADDRESSES {
            assert!(environment.contains_key(address), "{name}: {address}");
        }
        assert_eq!(service["read_only"], true);
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]));
    }
    let node = &services["aqueduct"];
    let drain = word(&node["environment"]["AQUEDUCT_DRAIN_DEADLINE"]).to_owned();
    let drain = settings(&format!("drain_deadline: {drain}\n")).drain_deadline().as_secs();
    let grace: u64 = word(&node["stop_grace_period"]).trim_end_matches('s').parse().expect("seconds");
    assert!(grace >= drain + 10, "{grace} s to stop, {drain} s to drain");
}
