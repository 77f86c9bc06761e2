//! What a deployment manifest gives a node: its variables, and its settings file.
//!
//! Two forms are read: a Compose file, and Kubernetes manifests as `kubectl kustomize` renders them, many documents in a
//! file. Of each only where a node is started: the service or container that runs `aqueduct run`, what it takes its
//! environment from, and the ConfigMap among its volumes that holds `engine.yaml`.
//!
//! Deliberately absent: everything else about either form, overlays that are not rendered yet, and values that only the
//! machine knows which carries it out; such a variable is there without a value.

use crate::diagnostic::{Diagnostic, sorted};
use crate::syntax::{self, Mapping, Node, Value};
use crate::{Source, Span};

/// What a manifest says about a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Its environment, in the order in which the last word wins.
    pub variables: Vec<Variable>,
    /// The text of its `engine.yaml`.
    pub settings: Option<String>,
}

/// A variable of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value; `None` where whoever carries the manifest out knows it: a field of the pod, a Secret, `${..}`.
    pub value: Option<String>,
    /// Where it stands.
    pub span: Span,
}

/// Reads a manifest; `None` if it starts no node.
///
/// # Errors
/// The file is no YAML.
pub fn load_manifest(source: &Source) -> Result<Option<Manifest>, Vec<Diagnostic>> {
    let mut diagnostics = Vec::new();
    let documents: Vec<Node> =
        documents(source).iter().filter_map(|one| syntax::parse(one, &mut diagnostics)).collect();
    if !diagnostics.is_empty() {
        return Err(sorted(diagnostics));
    }
    Ok(documents.iter().find_map(compose).or_else(|| kubernetes(&documents)))
}

/// A source for each document, in which everything stands where it stood.
fn documents(source: &Source) -> Vec<Source> {
    let mut found = Vec::new();
    let (mut blank, mut text) = (String::new(), String::new());
    for line in source.text.split_inclusive('\n') {
        let spaces: String = line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        if line.trim_end() == "---" {
            found.push(std::mem::replace(&mut text, format!("{blank}{spaces}")));
        } else {
            text.push_str(line);
        }
        blank.push_str(&spaces);
    }
    found.push(text);
    let says =
        |text: &String| text.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with('#'));
    found.into_iter().filter(says).map(|text| Source::new(source.name.clone(), text)).collect()
}

fn at<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, key| Some(&node.mapping()?.get(key)?.value))
}

fn word<'a>(node: &'a Node, path: &[&str]) -> Option<&'a str> {
    Some(&at(node, path)?.scalar()?.text)
}

fn list<'a>(node: &'a Node, path: &[&str]) -> &'a [Node] {
    match at(node, path).map(|node| &node.value) {
        Some(Value::Sequence(nodes)) => nodes,
        _ => &[],
    }
}

/// Whether a service or container runs a node: by its words, or by its image, whose words these are where it says none.
fn runs(node: &Node, words: &[&str]) -> bool {
    let said = words.iter().find_map(|key| at(node, &[key]));
    match said.map(|node| &node.value) {
        Some(Value::Sequence(words)) => {
            words.iter().any(|word| word.scalar().is_some_and(|word| word.text == "run"))
        }
        Some(Value::Scalar(line)) => line.text.split_whitespace().any(|word| word == "run"),
        _ => word(node, &["image"]).is_some_and(|image| image.contains("aqueduct")),
    }
}

fn variable(name: &str, value: &Node) -> Variable {
    let text = value.scalar().filter(|_| !value.is_null()).map(|scalar| scalar.text.clone());
    Variable { name: name.to_owned(), value: text.filter(|text| !text.contains("${")), span: value.span }
}

fn entries(mapping: &Mapping) -> impl Iterator<Item = Variable> {
    mapping.entries.iter().map(|entry| variable(&entry.key.value, &entry.value))
}

fn compose(document: &Node) -> Option<Manifest> {
    let services = at(document, &["services"])?.mapping()?;
    let node =
        services.entries.iter().map(|entry| &entry.value).find(|service| runs(service, &["command"]))?;
    let variables = match at(node, &["environment"]).map(|node| &node.value) {
        Some(Value::Mapping(mapping)) => entries(mapping).collect(),
        Some(Value::Sequence(lines)) => lines.iter().filter_map(pair).collect(),
        _ => Vec::new(),
    };
    Some(Manifest { variables, settings: None })
}

/// `NAME=value`; a name alone is taken over from whoever starts it.
fn pair(line: &Node) -> Option<Variable> {
    let text = &line.scalar()?.text;
    let (name, value) = text.split_once('=').map_or((&**text, None), |(name, value)| (name, Some(value)));
    let value = value.filter(|value| !value.contains("${")).map(str::to_owned);
    Some(Variable { name: name.to_owned(), value, span: line.span })
}

fn kubernetes(documents: &[Node]) -> Option<Manifest> {
    let workloads = documents.iter().filter(|document| {
        word(document, &["kind"])
            .is_some_and(|kind| ["StatefulSet", "Deployment", "DaemonSet"].contains(&kind))
    });
    workloads.filter_map(|workload| at(workload, &["spec", "template", "spec"])).find_map(|pod| {
        let container =
            list(pod, &["containers"]).iter().find(|container| runs(container, &["args", "command"]))?;
        Some(Manifest { variables: environment(documents, container), settings: settings(documents, pod) })
    })
}

fn config_map<'a>(documents: &'a [Node], name: &str) -> Option<&'a Mapping> {
    let map = documents.iter().find(|document| {
        word(document, &["kind"]) == Some("ConfigMap") && word(document, &["metadata", "name"]) == Some(name)
    })?;
    at(map, &["data"])?.mapping()
}

/// What `envFrom` brings, and over it what `env` says.
fn environment(documents: &[Node], container: &Node) -> Vec<Variable> {
    let maps =
        list(container, &["envFrom"]).iter().filter_map(|source| word(source, &["configMapRef", "name"]));
    let brought = maps.filter_map(|name| config_map(documents, name)).flat_map(entries);
    let said = list(container, &["env"]).iter().filter_map(|one| {
        let name = word(one, &["name"])?;
        let unknown = Variable { name: name.to_owned(), value: None, span: one.span };
        Some(at(one, &["value"]).map_or(unknown, |value| variable(name, value)))
    });
    brought.chain(said).collect()
}

fn settings(documents: &[Node], pod: &Node) -> Option<String> {
    let volumes = list(pod, &["volumes"]).iter();
    let sources = volumes.flat_map(|volume| {
        let projected = list(volume, &["projected", "sources"])
            .iter()
            .filter_map(|source| word(source, &["configMap", "name"]));
        word(volume, &["configMap", "name"]).into_iter().chain(projected)
    });
    let mut texts =
        sources.filter_map(|name| config_map(documents, name)?.get("engine.yaml")?.value.scalar());
    texts.next().map(|scalar| scalar.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> Option<Manifest> {
        load_manifest(&Source::new("m.yaml", text)).expect("YAML")
    }

    fn said(manifest: &Manifest) -> Vec<(&str, Option<&str>)> {
        manifest.variables.iter().map(|one| (one.name.as_str(), one.value.as_deref())).collect()
    }

    const RENDERED: &str = "\
kind: ConfigMap
metadata: { name: addresses-1 }
data: { REDIS_URL: 'redis://r' }
---
kind: ConfigMap
metadata: { name: settings-2 }
data:
  engine.yaml: |
    arbiters: 2
---
# Whoever migrates comes first, and is no node.
kind: Job
spec: { template: { spec: { containers: [{ image: aqueduct, args: [migrate, up, f] }] } } }
---
kind: StatefulSet
spec:
  template:
    spec:
      containers:
        - image: aqueduct
          args: [run, f]
          envFrom: [{ configMapRef: { name: addresses-1 } }]
          env:
            - { name: AQUEDUCT_LOG, value: warn }
            - { name: AQUEDUCT_NODE, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
      volumes:
        - projected: { sources: [{ configMap: { name: settings-2 } }] }
";

    #[test]
    fn rendered_manifests_give_a_node_its_environment_and_its_settings() {
        let found = manifest(RENDERED).expect("a node");
        let expected =
            [("REDIS_URL", Some("redis://r")), ("AQUEDUCT_LOG", Some("warn")), ("AQUEDUCT_NODE", None)];
        assert_eq!(said(&found), expected);
        assert_eq!(found.settings.as_deref(), Some("arbiters: 2\n"));
        let start = found.variables[1].span.start;
        assert_eq!(&RENDERED[start..start + 4], "warn", "places are those of the whole file");
    }

    #[test]
    fn a_compose_service_says_its_environment_as_a_mapping_or_as_lines() {
        let lines = "services:\n  db: { image: postgres }\n  node:\n    image: x\n    command: [run, f]\n    environment:\n";
        let mapping = manifest(&format!("{lines}      AQUEDUCT_LOG: warn\n      TOKEN: '${{T:?say}}'\n"))
            .expect("a node");
        assert_eq!(said(&mapping), [("AQUEDUCT_LOG", Some("warn")), ("TOKEN", None)]);
        let lines = manifest(&format!("{lines}      - AQUEDUCT_LOG=a=b\n      - HOME\n")).expect("a node");
        assert_eq!(said(&lines), [("AQUEDUCT_LOG", Some("a=b")), ("HOME", None)]);
    }

    #[test]
    fn what_starts_no_node_is_told_from_what_is_no_yaml() {
        assert_eq!(manifest("services: { db: { image: postgres } }\n"), None);
        assert_eq!(manifest(""), None);
        assert!(load_manifest(&Source::new("m", "a: [")).is_err());
    }
}
