//! `aqueduct demo` without a stack: asked for, and where the machine cannot have one.

use crate::harness::node::get;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};

/// The binary with an empty environment but a folder of its own, which is first on its search path.
struct Bare(tempfile::TempDir);

impl Bare {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    /// On a machine whose Java is too old for Kafka.
    fn with_old_java() -> Self {
        let bare = Self::new();
        let java = bare.0.path().join("java");
        std::fs::write(&java, "#!/bin/sh\necho 'java version \"1.8.0_402\"' >&2\n").expect("written");
        std::fs::set_permissions(&java, Permissions::from_mode(0o755)).expect("executable");
        bare
    }

    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
        command
            .env_clear()
            .current_dir(self.0.path())
            .env("HOME", self.0.path())
            .env("PATH", self.0.path())
            .env("AQUEDUCT_ADMIN_LISTEN", "127.0.0.1:0")
            .arg("demo")
            .args(arguments)
            .stdin(Stdio::null());
        command
    }
}

/// Sums of the ledger on standard output, having checked that it is whole.
fn written(ledger: &[u8]) -> u64 {
    let lines: Vec<Value> = serde_json::from_slice(ledger).expect("a ledger");
    let sum = |member: &str| lines.iter().map(|line| line[member].as_u64().expect("a count")).sum::<u64>();
    assert_eq!(lines.len(), 4, "a line for each partition");
    assert_eq!((sum("unaccounted"), sum("in_flight"), sum("skipped"), sum("dead_lettered")), (0, 0, 0, 0));
    assert_eq!(sum("read"), sum("written") + sum("filtered"));
    assert_eq!(sum("filtered"), 418, "what is no trade in the recorded sample");
    sum("written")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const SHORT: [&str; 5] = ["--seconds", "1", "--rate", "500", "--json"];

#[test]
fn in_process_it_needs_nothing_and_accounts_for_every_record() {
    let bare = Bare::new();
    let nobody = [("KAFKA_BOOTSTRAP", "127.0.0.1:1"), ("REDIS_URL", "redis://127.0.0.1:1/0")];
    let mut demo = bare.demo(&SHORT);
    let output = demo.arg("--in-process").envs(nobody).output().expect("it starts");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(written(&output.stdout) > 85, "the recorded trades, and some of the market");
    assert!(said.contains("demo in process") && said.contains("not real  Kafka"), "{said}");
    assert!(!said.contains("lacks"), "{said}");
    let left: Vec<_> = bare.0.path().read_dir().expect("the folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn in_process_it_serves_page_and_metrics_until_it_is_told_to_end() {
    let bare = Bare::new();
    let mut demo = bare.demo(&["--in-process", "--rate", "500", "--json"]);
    let mut child = demo.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    let page = lines.find_map(|line| line.strip_prefix("page http://").map(str::to_owned));
    let address: SocketAddr =
        page.expect("it says where the page is").trim_end_matches('/').parse().expect("an address");
    // Its own display, a line every other second, says when trades flow.
    let flowing = lines.any(|line| line.contains("read ") && !line.contains("written 0 "));
    assert!(flowing, "it ended before anything was written");
    let body = |path: &str| {
        let (status, body) = get(address, path).unwrap_or_else(|| panic!("{path} gave no answer"));
        assert_eq!(status, 200, "{path}: {body}");
        body
    };
    assert!(body("/").contains("page.js") && body("/page.js").contains("Ledger"));
    let metrics = body("/metrics");
    let shown = |line: &str| line.starts_with("aqueduct_records_total") && line.contains("fate=\"written\"");
    assert!(metrics.lines().any(shown), "{metrics}");
    let actors: Value = serde_json::from_str(&body("/api/actors")).expect("JSON");
    let kinds: Vec<_> = actors.as_array().expect("a list").iter().map(|actor| &actor["kind"]).collect();
    assert!(kinds.contains(&&"timescale_writer".into()), "{kinds:?}");
    kill_process(Pid::from_raw(child.id() as i32).expect("a process id"), Signal::TERM).expect("it is ours");
    lines.for_each(drop);
    let mut ledger = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut ledger).expect("readable");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    assert!(written(&ledger) > 0);
}

#[test]
fn where_the_stack_cannot_be_had_memory_takes_its_place_and_says_why() {
    let output = Bare::with_old_java().demo(&SHORT).output().expect("it starts");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for part in [
        "which lacks",
        "`java` 17 or later, for Kafka (the one here is version 8)",
        "apt-get install openjdk-17",
        "not real  Kafka",
    ] {
        assert!(said.contains(part), "`{part}` is not in: {said}");
    }
    assert!(written(&output.stdout) > 0);
}

#[test]
fn without_a_home_memory_takes_the_stacks_place() {
    let output = Bare::new().demo(&SHORT).env_remove("HOME").output().expect("it starts");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("export AQUEDUCT_STACK_DIR=<folder>"), "{said}");
    assert!(written(&output.stdout) > 0);
}

#[test]
fn whoever_names_servers_gets_those_or_an_error() {
    let redis = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("redis://{}/0", redis.local_addr().expect("bound"));
    let answering = std::thread::spawn(move || {
        let (mut asked, _) = redis.accept().expect("a connection");
        let mut ping = [0; 64];
        let read = asked.read(&mut ping).expect("a question");
        assert!(ping[..read].ends_with(b"PING\r\n"));
        asked.write_all(b"+PONG\r\n").expect("an answer");
    });
    let output = Bare::with_old_java().demo(&SHORT).env("REDIS_URL", url).output().expect("it starts");
    answering.join().expect("asked");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("`java`") && said.contains("aqueduct demo --in-process"), "{said}");
    assert!(!said.contains("not real"), "{said}");
    assert!(output.stdout.is_empty());
}
