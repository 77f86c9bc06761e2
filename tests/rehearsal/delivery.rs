//! What the product promises of delivery, as topologies with tests of their own (`tests/delivery/`), each under several
//! seeds: the calm one, and others in which faults fall elsewhere and actors run in another order.

use super::{aqueduct, stderr, stdout};
use std::path::PathBuf;

/// The calm seed and those after it.
const SEEDS: &str = "6";

/// The topologies with tests.
fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn passes(name: &str) {
    let file = files().into_iter().find(|file| file.file_stem().is_some_and(|stem| stem == name));
    let file = file.unwrap_or_else(|| panic!("no file of that name: {name}"));
    let output = aqueduct(&["test", super::shown(&file), "--seed", "0", "--seeds", SEEDS], b"");
    assert_eq!(output.status.code(), Some(0), "{}\n{}", stdout(&output), stderr(&output));
}

#[test]
fn a_record_is_in_the_table_once_or_in_the_dead_letter_once() {
    passes("exactly_once");
}

#[test]
fn partitions_are_read_taken_and_given_back_each_alone() {
    passes("partitions");
}

#[test]
fn a_row_takes_the_place_of_another_of_its_key() {
    passes("replaced");
}

#[test]
fn refused_rows_are_found_among_their_neighbours() {
    passes("refused");
}

#[test]
fn required_branches_decide_and_others_do_not() {
    passes("branches");
}

#[test]
fn gates_speak_of_what_is_theirs_and_hold_up_nothing() {
    passes("gates");
}

#[test]
fn supervisors_restart_whom_they_say_and_give_up_when_they_say() {
    passes("supervision");
}

#[test]
fn a_record_that_kills_is_kept_and_its_neighbours_are_written() {
    passes("probation");
}

#[test]
fn a_record_that_kills_is_found_though_its_source_falls_with_its_victim() {
    passes("felled");
}

#[test]
fn without_a_table_a_row_is_there_at_least_once() {
    passes("at_least_once");
}

#[test]
fn every_file_is_run_and_every_fault_is_among_them() {
    let names: Vec<String> =
        files().iter().map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned()).collect();
    assert_eq!(
        names,
        [
            "at_least_once",
            "branches",
            "exactly_once",
            "felled",
            "gates",
            "partitions",
            "probation",
            "refused",
            "replaced",
            "supervision"
        ]
    );
    let all: String = files().iter().map(|file| std::fs::read_to_string(file).expect("a file")).collect();
    for fault in ["crash", "panic", "redis_down", "sink_timeout", "disk_full", "revoke", "takeover"] {
        assert!(all.contains(&format!("{{ {fault}: ")), "no test of {fault}");
    }
}
