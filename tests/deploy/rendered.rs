//! An overlay as the cluster would get it.

use super::{root, tools};
use serde_json::Value;
use std::path::Path;
use std::sync::OnceLock;

/// The overlays.
const OVERLAYS: [&str; 2] = ["staging", "production"];

/// Every object of an overlay.
pub struct Rendered(pub Vec<Value>);

/// Both, each rendered once.
pub fn all() -> &'static [(&'static str, Rendered)] {
    static ALL: OnceLock<Vec<(&'static str, Rendered)>> = OnceLock::new();
    ALL.get_or_init(|| OVERLAYS.map(|overlay| (overlay, Rendered::of(overlay))).into())
}

impl Rendered {
    fn of(overlay: &str) -> Self {
        let folder = format!("config/deploy/kubernetes/overlays/{overlay}");
        assert!(root().join(&folder).is_dir(), "{folder} is gone");
        let text = tools::printed(tools::program("kubectl").args(["kustomize", &folder]));
        let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        Self(tools::read(&["--kubernetes", file.path().to_str().expect("a plain path")]))
    }

    pub fn all(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The only object of its kind whose name begins so.
    pub fn one(&self, kind: &str, name: &str) -> &Value {
        let named = |object: &&&Value| word(&object["metadata"]["name"]).starts_with(name);
        let all = self.all(kind);
        let found: Vec<_> = all.iter().filter(named).collect();
        assert_eq!(found.len(), 1, "{kind} {name}: {found:?}");
        found[0]
    }

    pub fn node(&self) -> &Value {
        self.one("StatefulSet", "aqueduct")
    }

    /// The pods that would run: of the nodes, and of whoever migrates.
    pub fn pods(&self) -> [&Value; 2] {
        [&self.node()["spec"]["template"], &self.one("Job", "aqueduct-migrate")["spec"]["template"]]
    }

    /// What a container has in its environment; fields of the pod under their path.
    pub fn environment(&self, pod: &Value) -> Vec<(String, String)> {
        let container = container(pod);
        let mut all = Vec::new();
        for source in items(&container["envFrom"]) {
            let map = self.one("ConfigMap", word(&source["configMapRef"]["name"]));
            let data = map["data"].as_object().expect("a map");
            all.extend(data.iter().map(|(name, value)| (name.clone(), word(value).to_owned())));
        }
        for variable in items(&container["env"]) {
            let value = variable.pointer("/valueFrom/fieldRef/fieldPath").unwrap_or(&variable["value"]);
            all.push((word(&variable["name"]).to_owned(), word(value).to_owned()));
        }
        all
    }

    /// Writes what the pod's volume of ConfigMaps holds, as it would be mounted.
    pub fn mount(&self, pod: &Value, folder: &Path) {
        for source in volume(pod, "configuration") {
            let map = &source["configMap"];
            let data = &self.one("ConfigMap", word(&map["name"]))["data"];
            let data = data.as_object().expect("a map");
            let keys: Vec<(String, String)> = match &map["items"] {
                Value::Null => data.keys().map(|key| (key.clone(), key.clone())).collect(),
                items_ => {
                    let pair = |item: &Value| (word(&item["key"]).to_owned(), word(&item["path"]).to_owned());
                    items(items_).iter().map(pair).collect()
                }
            };
            for (key, path) in keys {
                let to = folder.join(path);
                std::fs::create_dir_all(to.parent().expect("a folder")).expect("made");
                std::fs::write(to, word(&data[&key])).expect("written");
            }
        }
    }
}

/// The pod's only container.
pub fn container(pod: &Value) -> &Value {
    let containers = items(&pod["spec"]["containers"]);
    assert_eq!(containers.len(), 1, "{pod}");
    &containers[0]
}

/// The sources of a projected volume.
pub fn volume<'a>(pod: &'a Value, name: &str) -> &'a [Value] {
    let all = items(&pod["spec"]["volumes"]);
    let found =
        all.iter().find(|volume| volume["name"] == name).unwrap_or_else(|| panic!("no {name}: {pod}"));
    items(&found["projected"]["sources"])
}

pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A list; empty where there is none.
pub fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
