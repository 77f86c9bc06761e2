//! Drills that are carried out for real, each on a stack of its own: what they find, what they leave, and what becomes of one
//! that fails or is cut.

use crate::harness::console::{errors, path};
use crate::harness::wait::until;
use crate::harness::world::World;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(120);

/// The product without anybody's servers in its environment.
fn aqueduct(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    for variable in
        ["KAFKA_BOOTSTRAP", "TIMESCALE_URL", "REDIS_URL", "AQUEDUCT_CONFIG", "AQUEDUCT_ADMIN_TOKEN"]
    {
        command.env_remove(variable);
    }
    command.args(arguments);
    command
}

fn run(mut command: Command) -> Output {
    command.output().expect("the binary starts")
}

fn read(folder: &Path, name: &str) -> Value {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A figure of a drill's report: what was measured, and whether it held.
fn figure(report: &Value, name: &str) -> (f64, bool) {
    let figures = report["figures"].as_array().expect("figures");
    let found = figures.iter().find(|figure| figure["name"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {report:#}"));
    (found["value"].as_f64().expect("a number"), found["held"] == true)
}

/// No server comes back within no time: nothing else is wrong, and that alone decides.
#[test]
fn a_lost_database_comes_back_whole_and_a_bound_that_does_not_hold_fails_the_drill() {
    let sizes = ["--rows", "4000", "--after", "2", "--rto", "0", "--leave-node"];
    let output = run(aqueduct(&[&["drill", "restore", "--format", "json"], sizes.as_slice()].concat()));
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {}", errors(&output)));
    assert!(report["failure"].is_null(), "{report:#}");
    for name in ["rows_lost", "rows_doubled", "rpo_rows"] {
        assert_eq!(figure(&report, name), (0.0, true), "{report:#}");
    }
    assert_eq!(figure(&report, "checksum_equal"), (1.0, true), "{report:#}");
    assert!(figure(&report, "rows_total").0 > 4000.0, "the load went on: {report:#}");
    let (seconds, is_held) = figure(&report, "rto_seconds");
    assert!(seconds > 0.0 && !is_held, "{report:#}");
    assert_eq!((output.status.code(), &report["passed"]), (Some(1), &Value::Bool(false)));
}

#[test]
fn all_leaves_a_report_with_the_evidence_of_each_claim_and_fills_the_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let (report, page) = (folder.path().join("report"), folder.path().join("page.md"));
    fs::write(
        &page,
        "a\n<!-- drill all -->\n<!-- /drill -->\nb\n<!-- drill restore -->\nold\n<!-- /drill -->\n",
    )
    .expect("written");
    let words =
        ["drill", "all", "--only", "restore", "--short", "--report", path(&report), "--into", path(&page)];
    let output = run(aqueduct(&words));
    let said = errors(&output);
    let drills = read(&report, "drills.json");
    assert_eq!(output.status.code(), Some(0), "{said}{drills:#}");
    assert_eq!((&drills["passed"], drills["drills"].as_array().map(Vec::len)), (&Value::Bool(true), Some(1)));
    let command = &drills["drills"][0]["command"];
    assert!(command.as_str().is_some_and(|text| text.starts_with("aqueduct drill restore ")), "{command}");
    assert!(figure(&drills["drills"][0], "rows_replayed").0 >= 1.0, "the backup lacked rows: {drills:#}");

    let evidence = read(&report, "evidence.json");
    let lines = evidence.as_array().expect("lines");
    let of = |what: &dyn Fn(&Value) -> bool| lines.iter().filter(|line| what(line)).count();
    assert_eq!(of(&|line| line["result"] == "did_not_hold"), 0, "{evidence:#}");
    let is_restore = |line: &Value| &line["command"] == command;
    assert!(of(&|line| is_restore(line) && line["result"] == "shown" && line["at"].is_string()) >= 2);
    let is_export = |line: &Value| line["command"] == "aqueduct drill export";
    assert!(of(&|line| is_export(line) && line["result"] == "not_run" && line["at"].is_null()) >= 1);
    for topic in
        ["TimescaleDB", "Redis", "Kafka", "supervised runtime", "migrations", "pooling", "probes", "audits"]
    {
        let shown = of(&|line| line["topic"] == topic && line["result"] == "shown");
        assert!(shown >= 1, "{topic}: {evidence:#}");
    }
    for (name, words) in [("drills.md", "## restore"), ("evidence.md", "| sweeps |")] {
        let text = fs::read_to_string(report.join(name)).expect("it is there");
        assert!(text.contains(words), "{name}: {text}");
    }
    let page = fs::read_to_string(page).expect("it is there");
    assert!(
        page.starts_with("a\n<!-- drill all -->\nMade on ") && page.contains("\n| restore | passed | "),
        "{page}"
    );
    assert!(page.contains("<!-- drill restore -->\nLast drill: 20") && !page.contains("old"), "{page}");
}

/// No stack can be had in a folder that Java could not name: every drill fails before it begins.
#[test]
fn one_that_fails_keeps_no_other_from_its_turn_and_nothing_is_told_that_was_not_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = ["drill", "all", "--only", "restore,backfill", "--report", "there"];
    let mut command = aqueduct(&words);
    command.env("AQUEDUCT_STACK_DIR", "/no:where").current_dir(folder.path());
    let output = run(command);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{table}{}", errors(&output));
    assert_eq!(table.matches("did not pass").count(), 2, "{table}");
    let report = folder.path().join("there");
    let drills = read(&report, "drills.json");
    assert_eq!(drills["passed"], false);
    for drill in drills["drills"].as_array().expect("drills") {
        assert!(drill["failure"].as_str().is_some_and(|why| why.contains("/no:where")), "{drill:#}");
    }
    let evidence = read(&report, "evidence.json");
    for line in evidence.as_array().expect("lines") {
        assert_ne!(line["result"], "shown", "{line:#}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.md");
    fs::write(&page, "no section\n").expect("written");
    for (words, expected) in [
        (vec!["drill", "all", "--into", path(&page)], "<!-- drill all -->"),
        (vec!["drill", "restore", "--into", path(&page)], "<!-- drill restore -->"),
        (vec!["drill", "all", "--only", "nothing"], "nothing"),
        (vec!["drill", "export", "--rows", "3"], "3"),
    ] {
        let output = run(aqueduct(&words));
        assert_eq!(output.status.code(), Some(64), "{words:?}: {}", errors(&output));
        assert!(errors(&output).contains(expected), "{words:?}: {}", errors(&output));
    }
    for drill in ["restore", "export", "rotation", "all"] {
        let mut command = aqueduct(&["drill", drill]);
        command.env("TIMESCALE_URL", "postgres://u:geheim@db.example/prod");
        let output = run(command);
        let said = errors(&output);
        assert_eq!(output.status.code(), Some(64), "{drill}: {said}");
        assert!(
            said.contains("`db.example`") && said.contains("--i-know") && !said.contains("geheim"),
            "{said}"
        );
    }
}

/// Killed if the test ends before it does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_interrupted_drill_ends_and_deletes_what_it_started() {
    let mut command = aqueduct(&["drill", "all", "--only", "restore"]);
    let mut drill =
        Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the binary starts"));
    let lines = BufReader::new(drill.0.stderr.take().expect("piped")).lines();
    let mut folder = None;
    for line in lines.map_while(Result::ok) {
        if let Some(place) = line.strip_prefix("the drill's servers: ") {
            folder = Some(PathBuf::from(place));
        }
        if line.contains("more keep coming") {
            break;
        }
    }
    let folder = folder.expect("it says where its servers lie");
    assert!(folder.join("timescale").is_dir(), "{} has no database", folder.display());
    let pid = rustix::process::Pid::from_raw(drill.0.id() as i32).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("interrupted");
    let status = until("the drill ends", BOUND, || drill.0.try_wait().expect("it can be asked"));
    assert_eq!(status.code(), Some(130));
    // It is deleted only once no process of it is left.
    assert!(!folder.exists(), "{} is still there", folder.display());
}

/// The long form alone: Spark is started three times.
#[test]
fn an_export_that_is_killed_goes_on_and_has_one_copy_of_each_row() {
    if std::env::var("AQUEDUCT_TEST_SPARK").is_ok_and(|text| text == "long") {
        let world = World::shared();
        let output = world.run(&["drill", "export", "--rows", "20000", "--format", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("no report ({error}): {}", errors(&output)));
        assert_eq!((output.status.code(), &report["passed"]), (Some(0), &Value::Bool(true)), "{report:#}");
        assert_eq!(figure(&report, "rows_exported"), (20_000.0, true));
    }
}
