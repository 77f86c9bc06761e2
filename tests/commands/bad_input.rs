//! Files that are no topology: `check` ends with 1 and says where, `run` with 78; what cannot be read at all is 78 for both.
//! Never a panic, and never more read than the bound.

use std::path::Path;
use std::process::{Command, Output, Stdio};

fn aqueduct(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command.env("TIMESCALE_URL", "postgres://me@127.0.0.1:1/db");
    command.args(arguments).output().expect("the program starts")
}

/// What both commands end with and say of `file`.
fn refused(folder: &Path, file: &str, check: i32, words: &[&str]) {
    for (command, expected) in [("check", check), ("run", 78)] {
        let output = aqueduct(&[command, file], folder);
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(expected), "{command} {file}: {said}");
        assert!(words.iter().all(|word| said.contains(word)), "{command} {file} says {words:?}: {said}");
        assert!(!said.contains("panicked") && said.len() < 64 << 10, "{command} {file}: {said}");
    }
}

#[test]
fn texts_that_are_no_topology() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts: &[(&str, Vec<u8>, &[&str])] = &[
        ("empty.yaml", Vec::new(), &["T004", "empty"]),
        ("binary.yaml", vec![0x7f, b'E', b'L', b'F', 0, 1, 0xff, 0xfe], &["T002"]),
        ("zeros.yaml", vec![0; 4096], &["zeros.yaml:1"]),
        (
            "tabs.yaml",
            b"topology: x\nactors:\n\ta: { kind: kafka_source, topic: t }\n".to_vec(),
            &["T001", "tabs.yaml:3", "spaces"],
        ),
        (
            "indent.yaml",
            b"topology: x\nactors:\n  a:\n    kind: kafka_source\n   topic: t\n".to_vec(),
            &["indent.yaml:5"],
        ),
        ("two.yaml", b"topology: x\nactors: {}\n---\ntopology: y\n".to_vec(), &["T004", "two.yaml:3"]),
        (
            "list.yaml",
            b"topology: x\nactors:\n  - { kind: kafka_source, topic: t }\n".to_vec(),
            &["T012", "list.yaml:3"],
        ),
        ("large.yaml", b"a: b\n".repeat(10 << 20), &["T003"]),
        (
            "long_key.yaml",
            format!("topology: x\nactors: {{}}\n{}: 1\n", "k".repeat(10 << 10)).into_bytes(),
            &["long_key.yaml:3"],
        ),
        ("alias.yaml", b"topology: x\nactors: &a\n  b: *a\n".to_vec(), &["T001", "alias.yaml:3"]),
        ("toml.yaml", b"[agent]\n  interval = \"10s\"\n".to_vec(), &["TOML"]),
    ];
    for (name, bytes, words) in texts {
        std::fs::write(folder.path().join(name), bytes).expect("written");
        refused(folder.path(), name, 1, words);
    }
}

#[test]
fn what_cannot_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "topology: x").expect("written");
    refused(folder.path(), "missing.yaml", 78, &["missing.yaml", "cannot read"]);
    refused(folder.path(), ".", 78, &["cannot read", "directory"]);
    refused(folder.path(), "file/topology.yaml", 78, &["cannot read"]);
    // Permissions do not stop root; what the kernel refuses to read stops everybody.
    refused(folder.path(), "/proc/self/mem", 78, &["cannot read"]);
}

#[test]
fn a_file_without_an_end_is_refused_at_the_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    refused(folder.path(), "/dev/zero", 1, &["T003"]);
}

#[test]
fn warnings_alone_are_no_failure() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "topology: x\nsupervisors: { s: { intensity: 0, children: [a] } }\nactors:\n  a: { kind: kafka_source, topic: t }\n  n: { kind: normalizer, from: a, fields: { t: { type: timestamp, expr: record_time } } }\n  o: { kind: kafka_sink, from: n, topic: o, restart: temporary }\n";
    std::fs::write(folder.path().join("t.yaml"), text).expect("written");
    let output = aqueduct(&["check", "t.yaml"], folder.path());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("warning[T039]") && said.contains("warning[T083]") && !said.contains("error"),
        "{said}"
    );
    let output = aqueduct(&["check", "t.yaml", "--format", "json"], folder.path());
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (output.status.code(), json["diagnostics"][0]["severity"].as_str()),
        (Some(0), Some("warning"))
    );
    let output = aqueduct(&["check", "t.yaml", "--format", "sarif"], folder.path());
    let sarif: serde_json::Value = serde_json::from_slice(&output.stdout).expect("SARIF");
    assert_eq!(sarif["runs"][0]["results"][0]["level"], "warning");
}
