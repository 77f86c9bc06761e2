//! `aqueduct plan`, against saved forms and a running node. The node's Kafka is a closed port: it waits, and answers.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

pub const FILE: &str = r#"
topology: planned
connections: { kafka: { bootstrap: "127.0.0.1:1" } }
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  trades:
    kind: normalizer
    from: ticks
    fields: { ts: { type: timestamp, path: /T }, price: { type: "decimal(18,8)", path: /p } }
    require: { price_positive: price > 0 }
  out: { kind: kafka_sink, from: trades, topic: md.trades }
"#;

pub struct Folder(pub tempfile::TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }

    pub fn aqueduct(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
        command.env_clear().current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    fn plan(&self, file: &Path, arguments: &[&str]) -> Output {
        self.aqueduct().arg("plan").arg(file).args(arguments).output().expect("the binary starts")
    }
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// A running node; ended when it goes out of scope.
pub struct Node {
    child: Child,
    pub url: String,
}

impl Node {
    /// Comes back when its endpoint listens.
    fn start(folder: &Folder, file: &Path) -> Self {
        Self::start_with(folder, file, &[], &[])
    }

    /// The same with further arguments and environment.
    pub fn start_with(
        folder: &Folder,
        file: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut child = folder
            .aqueduct()
            .arg("run")
            .arg(file)
            .args(arguments)
            .env("AQUEDUCT_ADMIN_LISTEN", "127.0.0.1:0")
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let address =
                line.contains("admin endpoint").then(|| line.split("address=").nth(1).map(str::to_owned));
            address.flatten()
        });
        // It goes on talking; a full pipe would hold it up.
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{}", address.expect("it says where it listens").trim());
        Self { child, url }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_saved_form_is_compared_by_meaning() {
    let folder = Folder::new();
    let (file, form) = (folder.write("t.yaml", FILE), folder.0.path().join("form.json"));
    let form = form.to_str().expect("a plain path");
    assert_eq!(code(&folder.plan(&file, &["--save", form])), 0);
    let same =
        folder.write("same.yaml", &FILE.replace("actors:", "actors:   # moved, and said twice over\n"));
    let same = folder.plan(&same, &["--saved", form]);
    assert_eq!((code(&same), text(&same.stdout)), (0, "no changes: 4 actors untouched\n".into()));
    let other = folder.write("other.yaml", &FILE.replace("price > 0", "price >= 0"));
    let changed = folder.plan(&other, &["--saved", form]);
    assert_eq!(code(&changed), 2, "{changed:?}");
    let shown = text(&changed.stdout);
    assert!(shown.contains("~ actor trades (normalizer) restarts"), "{shown}");
    assert!(shown.contains("untouched: dead_letter, out, ticks"), "{shown}");
    let json = folder.plan(&other, &["--saved", form, "--format", "json"]);
    let plan: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((code(&json), &plan["summary"]["changed"], &plan["changes"]), (2, &1.into(), &true.into()));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = Folder::new();
    let broken = folder.write("broken.yaml", &FILE.replace("from: ticks", "from: tick"));
    let refused = folder.plan(&broken, &[]);
    assert_eq!(code(&refused), 78, "{refused:?}");
    assert!(text(&refused.stderr).contains("did you mean `ticks`"), "{refused:?}");
    let file = folder.write("t.yaml", FILE);
    for (name, form) in [("text", "not JSON"), ("old", "{\"version\": 0}"), ("other", "[]")] {
        let form = folder.write(name, form);
        let refused = folder.plan(&file, &["--saved", form.to_str().expect("a plain path")]);
        assert_eq!(code(&refused), 78, "{name}: {refused:?}");
    }
    assert_eq!(code(&folder.plan(&file, &["--saved", "none.json"])), 78);
}

#[test]
fn a_running_node_is_asked_what_it_runs() {
    let folder = Folder::new();
    let file = folder.write("t.yaml", FILE);
    let node = Node::start(&folder, &file);
    let same = folder.plan(&file, &["--node", &node.url]);
    assert_eq!(code(&same), 0, "{same:?}");
    let more = FILE.to_owned() + "  copy: { kind: kafka_sink, from: trades, topic: md.copy }\n";
    let more = folder.write("more.yaml", &more);
    let changed = folder.plan(&more, &["--node", &node.url]);
    assert_eq!(code(&changed), 2, "{changed:?}");
    let shown = text(&changed.stdout);
    assert!(shown.contains("+ actor copy (kafka_sink) is started"), "{shown}");
    assert!(shown.contains("joins at the smallest of out"), "{shown}");
    let url = node.url.clone();
    drop(node);
    let gone = folder.plan(&file, &["--node", &url]);
    assert_eq!(code(&gone), 69, "{gone:?}");
    assert!(text(&gone.stderr).contains(&url), "it says who did not answer: {gone:?}");
}
