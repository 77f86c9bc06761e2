//! `aqueduct drill failover`: a region is lost and the other goes on, and the drill says so only where it is so.
//!
//! The figures of time are not judged here: the machine is shared with other tests. The region that is killed is always
//! drilled; the others where `AQUEDUCT_TEST_FAILOVER=long`.

use crate::harness::console::errors;
use serde_json::Value;
use std::process::{Command, Output};

/// The drill as an operator runs it, on a stack of its own.
fn drill(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aqueduct"));
    command.args(["drill", "failover", "--format", "json"]).args(arguments);
    for variable in ["KAFKA_BOOTSTRAP", "TIMESCALE_URL", "REDIS_URL"] {
        command.env_remove(variable);
    }
    command.output().expect("the binary starts")
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no report ({error}): {}", errors(output)))
}

fn figure<'a>(report: &'a Value, name: &str) -> &'a Value {
    let figures = report["figures"].as_array().expect("figures");
    let found = figures.iter().find(|figure| figure["name"] == name);
    found.unwrap_or_else(|| panic!("{name} in {report:#}"))
}

fn value(report: &Value, name: &str) -> f64 {
    figure(report, name)["value"].as_f64().expect("a number")
}

/// Nothing is lost, and the verdict is what the figures say.
fn assert_nothing_lost(output: &Output) -> Value {
    let report = report(output);
    assert!(report["failure"].is_null(), "{report:#}");
    let nothing = ["rpo_rows", "rows_lost", "rows_doubled", "old_region_rows_missing", "stale_cache_keys"];
    for name in nothing {
        assert_eq!(value(&report, name), 0.0, "{name} in {report:#}");
    }
    assert!(value(&report, "rows_total") > 5_000.0 && value(&report, "rto_seconds") > 0.0, "{report:#}");
    let held = report["figures"].as_array().expect("figures").iter().all(|figure| figure["held"] == true);
    assert_eq!((output.status.code(), &report["passed"]), (Some(i32::from(!held)), &Value::Bool(held)));
    report
}

#[test]
fn a_region_is_killed_and_the_other_has_every_row_once() {
    let report = assert_nothing_lost(&drill(&["--rate", "500"]));
    assert_eq!(value(&report, "old_primary_takes_writes"), 0.0, "{report:#}");
}

/// Whether to promote a standby that lacks rows is for people to say.
#[test]
fn a_standby_that_lacks_rows_is_not_promoted_unless_somebody_accepts_it() {
    let output = drill(&["--asynchronous"]);
    let report = report(&output);
    assert_eq!((output.status.code(), &report["passed"]), (Some(1), &Value::Bool(false)), "{report:#}");
    let failure = report["failure"].as_str().expect("why");
    assert!(failure.contains("region-b lacks") && failure.contains("--accept-loss"), "{failure}");
    let lacking = figure(&report, "rpo_rows");
    assert!(lacking["value"].as_i64().expect("rows") >= 500 && lacking["held"] == false, "{report:#}");
    assert!(value(&report, "replication_lag_bytes") > 0.0, "{report:#}");
}

#[test]
fn other_regions_and_other_losses() {
    if std::env::var("AQUEDUCT_TEST_FAILOVER").as_deref() != Ok("long") {
        return;
    }
    assert_nothing_lost(&drill(&["--kill", "region-b"]));
    let isolated = assert_nothing_lost(&drill(&["--isolate"]));
    assert_eq!(value(&isolated, "zombie_rows_acknowledged"), 0.0, "{isolated:#}");
    assert!(value(&isolated, "zombie_commits_waiting_max") > 0.0, "the zombie tried nothing: {isolated:#}");
    let accepted = drill(&["--asynchronous", "--accept-loss"]);
    let report = report(&accepted);
    assert!(report["failure"].is_null() && value(&report, "rpo_rows") >= 500.0, "{report:#}");
    assert_eq!((value(&report, "rows_lost"), value(&report, "rows_doubled")), (0.0, 0.0), "{report:#}");
    assert_eq!(accepted.status.code(), Some(1), "a loss is reported, whoever accepted it");
}

#[test]
fn a_drill_near_production_is_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_aqueduct"))
        .args(["drill", "failover"])
        .env("REDIS_URL", "redis://:geheim@cache.example:6379/0")
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(64));
    let said = errors(&output);
    assert!(
        said.contains("`cache.example`") && said.contains("--i-know") && !said.contains("geheim"),
        "{said}"
    );
}
