//! A conversation with a language server about one file.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(30);

pub struct Server {
    child: Child,
    stdin: ChildStdin,
    messages: mpsc::Receiver<Value>,
    uri: String,
    mark: Value,
    asked: i64,
    /// What it said about the file.
    findings: Vec<Value>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Starts `program` in `folder` with a file of that text open, less its mark `|`; comes back when it has judged it.
    pub fn start(program: &Path, folder: tempfile::TempDir, text: &str) -> Self {
        let (before, after) = text.rsplit_once('|').expect("a mark");
        let (line, character) =
            (before.matches('\n').count(), before.lines().next_back().map_or(0, str::len));
        let character = if before.ends_with('\n') { 0 } else { character };
        let mut child = Command::new("node")
            .arg(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("node starts");
        let messages = listen(child.stdout.take().expect("piped"));
        let stdin = child.stdin.take().expect("piped");
        let uri = format!("file://{}/topology.yaml", folder.path().display());
        let mark = json!({ "line": line, "character": character });
        let findings = Vec::new();
        let mut server = Self { child, stdin, messages, uri, mark, asked: 0, findings, _folder: folder };
        server.open(&format!("{before}{after}"));
        server
    }

    fn open(&mut self, text: &str) {
        let capabilities = json!({ "textDocument": {
            "hover": { "contentFormat": ["markdown"] },
            "completion": { "completionItem": { "documentationFormat": ["markdown"] } },
            "publishDiagnostics": {},
        } });
        let id = std::process::id();
        self.request("initialize", json!({ "processId": id, "rootUri": null, "capabilities": capabilities }));
        self.notify("initialized", json!({}));
        let document = json!({ "uri": self.uri, "languageId": "yaml", "version": 1, "text": text });
        self.notify("textDocument/didOpen", json!({ "textDocument": document }));
        self.findings = self.until(|message| {
            let judged = message["method"] == "textDocument/publishDiagnostics";
            judged.then(|| message["params"]["diagnostics"].as_array().expect("a list").clone())
        });
    }

    /// Where the mark stood.
    pub fn mark(&self) -> Value {
        self.mark.clone()
    }

    /// What it finds wrong with the file.
    pub fn findings(&self) -> Vec<Value> {
        self.findings.clone()
    }

    /// The answer to `textDocument/<what>` at the mark.
    pub fn ask(&mut self, what: &str) -> Value {
        let params = json!({ "textDocument": { "uri": self.uri }, "position": self.mark });
        self.request(&format!("textDocument/{what}"), params)
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.until(|message| {
            let answered = message["id"] == id && message.get("method").is_none();
            answered.then(|| {
                assert!(message.get("error").is_none(), "{method}: {message}");
                message["result"].clone()
            })
        })
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    /// Answers what it asks until `wanted` is among what it says.
    fn until<T>(&mut self, wanted: impl Fn(&Value) -> Option<T>) -> T {
        loop {
            let message = self.messages.recv_timeout(ANSWER_MAX).expect("the server goes on speaking");
            if let Some(found) = wanted(&message) {
                return found;
            }
            if message.get("method").is_some() && message.get("id").is_some() {
                let result = settings(&message);
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }));
            }
        }
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        write!(self.stdin, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("the server reads");
        self.stdin.flush().expect("the server reads");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The settings it asks for: those of an editor, without catalogues of schemas from elsewhere.
fn settings(request: &Value) -> Value {
    let yaml = json!({ "validate": true, "hover": true, "completion": true,
        "schemaStore": { "enable": false }, "kubernetesCRDStore": { "enable": false } });
    match request["params"]["items"].as_array() {
        Some(items) => items
            .iter()
            .map(|item| if item["section"] == "yaml" { yaml.clone() } else { Value::Null })
            .collect(),
        None => Value::Null,
    }
}

/// Reads messages on a thread of its own, so that waiting for one can end.
fn listen(stdout: impl Read + Send + 'static) -> mpsc::Receiver<Value> {
    let (sender, messages) = mpsc::sync_channel(1024);
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        while let Some(message) = read(&mut stdout) {
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    messages
}

fn read(from: &mut impl BufRead) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length?];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
