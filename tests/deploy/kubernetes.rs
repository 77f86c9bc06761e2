//! The overlays, rendered: to the schemas of Kubernetes when read, to rules of ours here.

use super::rendered::{Rendered, all, container, items, volume, word};
use super::{ADDRESSES, is_known, root, settings, tools};
use aqueduct_engine::telemetry::names;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

fn each(check: impl Fn(&Rendered)) {
    for (overlay, rendered) in all() {
        eprintln!("overlay {overlay}");
        check(rendered);
    }
}

/// The text of a ConfigMap's only file of that name.
fn configured<'a>(rendered: &'a Rendered, map: &str, key: &str) -> &'a str {
    word(&rendered.one("ConfigMap", map)["data"][key])
}

/// Bytes of a quantity such as `768Mi`.
fn bytes(quantity: &Value) -> u64 {
    let text = word(quantity);
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).expect("a unit"));
    let shift = match unit {
        "Mi" => 20,
        "Gi" => 30,
        _ => panic!("{text}: write Mi or Gi"),
    };
    number.parse::<u64>().expect("a number") << shift
}

#[test]
fn the_schemas_refuse_what_no_cluster_would_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.yaml");
    for (wrong, place) in [("replicas: many", "spec.replicas"), ("replica: 1", "replica")] {
        let text = format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{ name: a }}\nspec: {{ {wrong}, serviceName: a, \
             selector: {{ matchLabels: {{ a: b }} }}, template: {{ spec: {{ containers: [] }} }} }}\n"
        );
        std::fs::write(&file, text).expect("written");
        let refused = tools::documents(&["--kubernetes", file.to_str().expect("a plain path")]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{wrong}: {said}");
        assert!(said.contains(place), "{wrong}: {said}");
    }
}

#[test]
fn pods_may_do_nothing_they_need_not() {
    each(|rendered| {
        for pod in rendered.pods() {
            let (spec, container) = (&pod["spec"], container(pod));
            assert_eq!(spec["automountServiceAccountToken"], false);
            let all = &spec["securityContext"];
            assert_eq!(
                (&all["runAsNonRoot"], &all["seccompProfile"]["type"]),
                (&json!(true), &json!("RuntimeDefault"))
            );
            let own = &container["securityContext"];
            assert_eq!(own["allowPrivilegeEscalation"], false);
            assert_eq!(own["readOnlyRootFilesystem"], true);
            assert_eq!(own["capabilities"]["drop"], json!(["ALL"]));
            assert!(own.get("privileged").is_none() && spec.get("hostNetwork").is_none());
            let image = word(&container["image"]);
            let tag = image.rsplit_once('/').map_or(image, |(_, last)| last).split_once([':', '@']);
            assert!(tag.is_some_and(|(_, tag)| tag != "latest"), "{image} names no version");
            for mount in items(&container["volumeMounts"]) {
                assert_eq!(mount["readOnly"], true, "{mount}");
                assert!(mount.get("subPath").is_none(), "{mount}: what is mounted so is never exchanged");
            }
            for (name, value) in rendered.environment(pod) {
                assert!(is_known(&name), "nobody reads {name}");
                assert!(!value.contains("password") && !name.contains("TOKEN"), "{name}: secrets are files");
            }
        }
    });
}

#[test]
fn a_node_has_its_probes_its_name_and_time_to_drain() {
    each(|rendered| {
        let node = rendered.node();
        let (pod, engine) =
            (&node["spec"]["template"], configured(rendered, "aqueduct-settings", "engine.yaml"));
        let (engine, container) = (settings(engine), container(pod));
        let probe = |name: &str| {
            (word(&container[name]["httpGet"]["path"]), word(&container[name]["httpGet"]["port"]))
        };
        assert_eq!(probe("startupProbe"), ("/livez", "admin"));
        assert_eq!(probe("livenessProbe"), ("/livez", "admin"));
        assert_eq!(probe("readinessProbe"), ("/readyz", "admin"));
        let environment = rendered.environment(pod);
        assert!(environment.contains(&("AQUEDUCT_NODE".to_owned(), "metadata.name".to_owned())));
        let grace = pod["spec"]["terminationGracePeriodSeconds"].as_u64().expect("a number");
        let needed = engine.drain_deadline() + Duration::from_secs(10);
        assert!(
            Duration::from_secs(grace) >= needed,
            "{grace} s of grace, {needed:?} needed to drain and end"
        );
        let budget = engine.memory_budget_bytes().expect("a bound, as there is one of the container");
        let (asked, most) =
            (&container["resources"]["requests"]["memory"], &container["resources"]["limits"]["memory"]);
        assert!(
            budget <= bytes(asked) * 3 / 4,
            "{asked} leave too little beside the budget of {budget} bytes"
        );
        assert!(bytes(asked) <= bytes(most));
        assert!(node["spec"]["updateStrategy"]["type"] == "RollingUpdate");
        assert_eq!(node["spec"]["podManagementPolicy"], "Parallel");
    });
}

#[test]
fn names_ports_and_labels_agree() {
    each(|rendered| {
        let node = rendered.node();
        let pod = &node["spec"]["template"];
        let labels = &pod["metadata"]["labels"];
        let selects = |selector: &Value| {
            let wanted = selector.as_object().expect("labels");
            wanted.iter().all(|(name, value)| labels[name] == *value) && !wanted.is_empty()
        };
        let service = rendered.one("Service", word(&node["spec"]["serviceName"]));
        assert!(service["spec"]["clusterIP"] == "None" && selects(&service["spec"]["selector"]));
        assert!(selects(&node["spec"]["selector"]["matchLabels"]));
        let budget = rendered.one("PodDisruptionBudget", "aqueduct");
        assert!(selects(&budget["spec"]["selector"]["matchLabels"]));
        for spread in items(&pod["spec"]["topologySpreadConstraints"]) {
            assert!(selects(&spread["labelSelector"]["matchLabels"]));
        }
        let monitor = rendered.one("PodMonitor", "aqueduct");
        assert!(selects(&monitor["spec"]["selector"]["matchLabels"]));
        assert_eq!(labels[word(&monitor["spec"]["jobLabel"])], "aqueduct", "rules go by job=\"aqueduct\"");
        let policy = rendered.one("NetworkPolicy", "aqueduct-node");
        assert!(selects(&policy["spec"]["podSelector"]["matchLabels"]));

        let port = settings(configured(rendered, "aqueduct-settings", "engine.yaml")).admin_listen().port();
        assert_eq!(container(pod)["ports"], json!([{ "name": "admin", "containerPort": port }]));
        assert_eq!(service["spec"]["ports"][0]["targetPort"], "admin");
        assert_eq!(service["spec"]["ports"][0]["port"], port);
        assert_eq!(monitor["spec"]["podMetricsEndpoints"][0]["port"], "admin");
        assert_eq!(policy["spec"]["ingress"][0]["ports"], json!([{ "protocol": "TCP", "port": port }]));
        // Secrets are made by whoever deploys: the page says which.
        let page = std::fs::read_to_string(root().join("engine/docs/deploy.md")).expect("the page");
        for pod in rendered.pods() {
            for source in volume(pod, "secrets") {
                let secret = &source["secret"];
                let name = word(&secret["name"]);
                assert!(page.contains(&format!("`{name}`")), "deploy.md does not say what {name} is");
                for item in items(&secret["items"]) {
                    let key = word(&item["key"]);
                    assert!(page.contains(&format!("`{key}`")), "deploy.md does not say {key} of {name}");
                }
            }
        }
    });
}

/// Ports of an address or several: `a:1,b:2`, `scheme://user@a:1,b:2/name?x`.
fn ports(address: &str) -> BTreeSet<u64> {
    let hosts = address.split_once("://").map_or(address, |(_, rest)| rest);
    let hosts = hosts.split(['/', '?']).next().unwrap_or_default();
    let port = |host: &str| host.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    hosts.split(',').map(port).collect()
}

#[test]
fn pods_reach_the_servers_of_their_addresses_and_nobody_else() {
    each(|rendered| {
        for (pod, policy) in rendered.pods().into_iter().zip(["aqueduct-node", "aqueduct-migrate"]) {
            let policy = rendered.one("NetworkPolicy", policy);
            assert_eq!(policy["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
            let labels = &policy["spec"]["podSelector"]["matchLabels"];
            assert_eq!(labels, &pod["metadata"]["labels"], "it is this pod's");
            let mut open = BTreeSet::new();
            for rule in items(&policy["spec"]["egress"]) {
                assert!(
                    !items(&rule["to"]).is_empty() && !items(&rule["ports"]).is_empty(),
                    "open to all: {rule}"
                );
                open.extend(items(&rule["ports"]).iter().filter_map(|port| port["port"].as_u64()));
            }
            let asks: Vec<&str> = match word(&pod["metadata"]["labels"]["app.kubernetes.io/component"]) {
                "node" => ADDRESSES.to_vec(),
                _ => vec!["TIMESCALE_URL"],
            };
            let environment = rendered.environment(pod);
            let mut needed = BTreeSet::from([53]);
            for (_, address) in environment.iter().filter(|(name, _)| asks.contains(&name.as_str())) {
                needed.extend(ports(address));
            }
            assert_eq!(open, needed, "ports that are let out, and ports of the addresses");
        }
    });
}

#[test]
fn what_is_mounted_is_a_configuration_that_the_binary_takes() {
    each(|rendered| {
        for pod in rendered.pods() {
            let folder = tempfile::tempdir().expect("a folder");
            rendered.mount(pod, folder.path());
            let arguments: Vec<&str> = items(&container(pod)["args"]).iter().map(word).collect();
            let file = arguments
                .last()
                .expect("a file")
                .strip_prefix("/etc/aqueduct/")
                .expect("where it is mounted");
            let run = |arguments: &[&str]| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
                command
                    .args(arguments)
                    .env_clear()
                    .current_dir(folder.path())
                    .envs(rendered.environment(pod));
                tools::printed(&mut command)
            };
            assert!(run(&["check", file]).contains("nothing wrong"));
            assert!(run(&["test", file]).contains(" 0 failed"));
            if arguments[0] == "migrate" {
                // Every table of the topology has its migration there, so there is nothing to draft.
                let drafted = run(&["migrate", "new", file]);
                let count = std::fs::read_dir(folder.path().join("migrations")).expect("a folder").count();
                let given =
                    rendered.one("ConfigMap", "aqueduct-topology")["data"].as_object().expect("a map").len()
                        - 1;
                assert_eq!(count, given, "mounted and given migrations, and none that is missing: {drafted}");
            } else {
                assert!(folder.path().join("engine.yaml").exists(), "a node has its settings");
            }
        }
    });
}

#[test]
fn scaling_asks_for_the_lag_of_what_runs_here() {
    let (_, rendered) = all().iter().find(|(overlay, _)| *overlay == "production").expect("an overlay");
    let scaled = &rendered.one("ScaledObject", "aqueduct")["spec"];
    let node = rendered.node();
    assert_eq!(scaled["scaleTargetRef"]["kind"], "StatefulSet");
    assert_eq!(scaled["scaleTargetRef"]["name"], node["metadata"]["name"]);
    assert!(node["spec"].get("replicas").is_none(), "an apply would undo what the lag asked for");
    let query = word(&scaled["triggers"][0]["metadata"]["query"]);
    assert!(query.contains(names::LAG_RECORDS.name), "{query}");
    let topology = configured(rendered, "aqueduct-topology", "topology.yaml");
    let name = topology.lines().find_map(|line| line.strip_prefix("topology: ")).expect("a name");
    assert!(query.contains(&format!("topology=\"{name}\"")), "{query}");
    let space = word(&node["metadata"]["namespace"]);
    assert!(query.contains(&format!("namespace=\"{space}\"")), "{query}");
}
