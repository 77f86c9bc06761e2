//! `aqueduct tap` beside a demo in process: what it prints, and that it comes back when the node does.

use crate::harness::node::free_address;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Output, Stdio};

fn aqueduct(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    command.env_clear().args(arguments).stdin(Stdio::null());
    command
}

/// A node that makes trades until it is told to end.
struct Demo {
    child: Child,
    _folder: tempfile::TempDir,
    address: SocketAddr,
}

/// A test that fails leaves nobody behind.
impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Demo {
    fn start(address: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listen = address.to_string();
        let mut command =
            aqueduct(&["demo", "--in-process", "--rate", "500", "--json", "--admin-listen", &listen]);
        command
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .env("AQUEDUCT_ADMIN_REDACT", "trade_id");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let flowing = lines.any(|line| line.contains("read ") && !line.contains("written 0 "));
        assert!(flowing, "it ended before anything was written");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, _folder: folder, address }
    }

    fn end(mut self) -> SocketAddr {
        kill_process(Pid::from_raw(self.child.id() as i32).expect("a process id"), Signal::TERM)
            .expect("ours");
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
        self.address
    }

    fn tap(&self, arguments: &[&str]) -> Command {
        let mut command = aqueduct(&["tap"]);
        command.args(arguments).args(["--node", &format!("http://{}", self.address)]);
        command
    }

    fn tapped(&self, arguments: &[&str]) -> Output {
        self.tap(arguments).output().expect("it starts")
    }

    /// The name of the first actor of that kind.
    fn actor(&self, kind: &str) -> String {
        let (_, body) = crate::harness::node::get(self.address, "/api/actors").expect("an answer");
        let actors: Vec<Value> = serde_json::from_str(&body).expect("JSON");
        let found =
            actors.iter().find(|actor| actor["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {body}"));
        found["name"].as_str().expect("a name").to_owned()
    }
}

fn objects(lines: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(lines).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect()
}

#[test]
fn records_of_every_place_are_shown_as_asked() {
    let demo = Demo::start(free_address());
    let normalizer = demo.actor("normalizer");
    let rows = demo.tapped(&[&normalizer, "--limit", "20", "--rate", "50/s", "--format", "json"]);
    assert_eq!(rows.status.code(), Some(0), "{}", String::from_utf8_lossy(&rows.stderr));
    let rows = objects(&rows.stdout);
    assert_eq!(rows.len(), 20);
    let symbol = rows[0]["record"]["symbol"].as_str().expect("a symbol").to_owned();
    assert_eq!(rows[0]["record"]["trade_id"], "[redacted]", "the node's settings hide it");
    let condition = format!("symbol={symbol}");
    let some = demo.tapped(&[
        &normalizer,
        "--where",
        &condition,
        "--fields",
        "symbol,price",
        "--limit",
        "3",
        "--format",
        "json",
    ]);
    for row in objects(&some.stdout) {
        assert_eq!(row["record"]["symbol"], *symbol);
        assert_eq!(row["record"].as_object().expect("fields").len(), 2);
    }
    let sink = demo.tapped(&[&demo.actor("timescale_writer"), "--limit", "1", "--redact", "price"]);
    let table = String::from_utf8_lossy(&sink.stdout).into_owned();
    assert!(table.starts_with("actor ") && table.contains("[redacted]"), "{table}");
    let nobody = demo.tapped(&["nobody"]);
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(64), "{said}");
    assert!(said.contains("no actor named `nobody`; there are: ") && said.contains(&normalizer), "{said}");
    demo.end();
}

#[test]
fn a_tap_comes_back_with_its_node() {
    let demo = Demo::start(free_address());
    let normalizer = demo.actor("normalizer");
    let mut tap = demo.tap(&[&normalizer, "--format", "json"]);
    let mut tap = tap.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(tap.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let mut said = BufReader::new(tap.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(lines.next().is_some());
    let address = demo.end();
    assert!(said.any(|line| line.contains("is away")));
    let demo = Demo::start(address);
    assert!(said.any(|line| line.contains("is there again")));
    let first: Value = serde_json::from_str(&lines.next().expect("a record")).expect("JSON");
    assert_eq!(first["actor"], *normalizer);
    tap.kill().expect("it is ours");
    tap.wait().expect("it ends");
    demo.end();
}

#[test]
fn a_node_that_is_not_there_is_an_error_at_once() {
    let output = aqueduct(&["tap", "trades", "--node", &format!("http://{}", free_address())]).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("gave no answer"));
}
