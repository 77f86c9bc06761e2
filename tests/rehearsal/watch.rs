//! `aqueduct test --watch`: it runs again when a file has changed, however the editor writes it, until interrupted.

use super::{Scratch, shown};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far longer than a round takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

const TOPOLOGY: &str = r#"
topology: watched
actors:
  ticks: { kind: kafka_source, topic: md.raw }
  rows: { kind: normalizer, from: ticks, fields: { ts: { type: timestamp, expr: record_time }, id: { type: int64, path: /id } } }
  table: { kind: timescale_writer, from: rows, table: market.rows }
tests:
  - name: the rows of a file
    send: { to: ticks, records: [{ file: records.jsonl }] }
    expect: { table: { count: 1 } }
"#;

/// The running command and what it says, line by line.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(file: &Path) -> Self {
        // One pipe, so that what it says keeps its order.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let child = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
            .args(["test", shown(file), "--watch", "--seed", "0"])
            .env_clear()
            .stdout(writer.try_clone().expect("a pipe"))
            .stderr(writer)
            .spawn()
            .expect("the binary starts");
        let (heard, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(reader).lines().map_while(Result::ok) {
                if heard.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that contains `text`; what came before it.
    fn hear(&self, text: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return before,
                Ok(line) => before.push(line),
                Err(_) => panic!("`{text}` was not said; said was {before:#?}"),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_runs_again_after_each_change_and_ends_when_interrupted() {
    let scratch = Scratch::new();
    let file = scratch.write("watched.yaml", TOPOLOGY);
    let records = scratch.write("records.jsonl", "{\"id\":1}\n");
    let mut watch = Watch::start(&file);
    watch.hear("1 passed, 0 failed");
    watch.hear("watching 2 files");

    // A file that a test names, written in place.
    std::fs::write(&records, "{\"id\":1}\n{\"id\":2}\n").expect("written");
    watch.hear("`table`: count is 2, not 1");
    watch.hear("watching 2 files");

    // The topology, replaced by another file, as many editors do.
    let other = scratch.write("watched.yaml.new", &TOPOLOGY.replace("count: 1", "count: 2"));
    std::fs::rename(other, &file).expect("replaced");
    watch.hear("1 passed, 0 failed");
    watch.hear("watching 2 files");

    // What is refused is said, and the next attempt is read.
    std::fs::write(&file, TOPOLOGY.replace("from: rows", "from: row")).expect("written");
    watch.hear("did you mean `rows`?");
    watch.hear("watching 1 file");
    std::fs::remove_file(&file).expect("removed");
    watch.hear("cannot read");
    watch.hear("watching 1 file");
    std::fs::write(&file, TOPOLOGY.replace("count: 1", "count: 2")).expect("written");
    watch.hear("1 passed, 0 failed");
    watch.hear("watching 2 files");

    let pid = rustix::process::Pid::from_child(&watch.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("interrupted");
    let status = watch.child.wait().expect("it ends");
    assert_eq!(status.signal(), Some(2), "{status}");
    // Nothing was run that nothing had asked for.
    assert!(watch.lines.try_iter().all(|line| line.is_empty()), "a change that was none");
}
