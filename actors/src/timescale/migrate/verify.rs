//! The files against what the database remembers. Pure.

use super::file::{BREAKING, ENGINE, MigrationSet};
use super::report::{Finding, Problem, State, StatusLine};

/// A row of `aqueduct.migrations`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) set: String,
    pub(super) version: i32,
    pub(super) name: String,
    pub(super) checksum: String,
    pub(super) applied_at: String,
    pub(super) applied_by: String,
    pub(super) duration_ms: i64,
}

/// What is wrong with `set`, by number. `records` may hold other sets' too.
pub(super) fn findings(set: &MigrationSet, records: &[Record]) -> Vec<Finding> {
    let own = || records.iter().filter(|record| record.set == set.name);
    let newest = own().map(|record| record.version).max().unwrap_or(0);
    let mut found = Vec::new();
    let mut report = |version: i32, name: &str, problem: Problem, message: String| {
        found.push(Finding { set: set.name.clone(), file: set.path(name), version, problem, message });
    };
    let mut expected = 1;
    for file in &set.files {
        if file.version > expected && !own().any(|record| (expected..file.version).contains(&record.version))
        {
            let message = format!(
                "number {expected:04} is left out; numbers have no gap: rename this file, or bring the missing one back"
            );
            report(file.version, &file.name, Problem::Gap, message);
        }
        expected = file.version + 1;
        match own().find(|record| record.version == file.version) {
            Some(record) if record.checksum != file.checksum => {
                let message = format!(
                    "changed after it was applied on {} (SHA-256 {} then, {} now); restore the file, and put the change \
                     into a new one",
                    record.applied_at,
                    short(&record.checksum),
                    short(&file.checksum)
                );
                report(file.version, &file.name, Problem::Changed, message);
            }
            Some(record) if record.name != file.name => {
                let message = format!("was applied as `{}`; give it that name again", record.name);
                report(file.version, &file.name, Problem::Renamed, message);
            }
            None if file.version < newest => {
                let message = format!(
                    "is not applied, though {newest:04} is; give it a number after the last applied one"
                );
                report(file.version, &file.name, Problem::OutOfOrder, message);
            }
            Some(_) | None => {}
        }
    }
    for record in own().filter(|record| !set.files.iter().any(|file| file.version == record.version)) {
        let is_newer = record.version > set.highest() && !set.files.is_empty();
        let (problem, message) = if is_newer && set.name == ENGINE && record.name.ends_with(BREAKING) {
            let message = format!(
                "applied on {} by a newer version of Aqueduct, after which this one must not write: upgrade it",
                record.applied_at
            );
            (Problem::TooNew, message)
        } else if is_newer {
            (
                Problem::Ahead,
                format!(
                    "applied on {} by a newer version of these files: the database is ahead of them",
                    record.applied_at
                ),
            )
        } else {
            (
                Problem::Missing,
                format!("applied on {}, but the file is not there; bring it back", record.applied_at),
            )
        };
        report(record.version, &record.name, problem, message);
    }
    found.sort_by_key(|finding| finding.version);
    found
}

/// The numbers of the set's files that were applied.
pub(super) fn versions(set: &MigrationSet, records: &[Record]) -> Vec<i32> {
    records.iter().filter(|record| record.set == set.name).map(|record| record.version).collect()
}

fn short(checksum: &str) -> &str {
    checksum.get(..12).unwrap_or(checksum)
}

/// A line for every file and every record of `set`, by number.
pub(super) fn status(set: &MigrationSet, records: &[Record]) -> Vec<StatusLine> {
    let own = || records.iter().filter(|record| record.set == set.name);
    let mut lines: Vec<StatusLine> = set
        .files
        .iter()
        .map(|file| {
            let record = own().find(|record| record.version == file.version);
            let state = match record {
                None => State::Pending,
                Some(record) if record.checksum != file.checksum => State::Changed,
                Some(_) => State::Applied,
            };
            line(&set.name, file.version, &file.name, state, record)
        })
        .collect();
    let gone = own().filter(|record| !set.files.iter().any(|file| file.version == record.version));
    lines.extend(
        gone.map(|record| line(&set.name, record.version, &record.name, State::Missing, Some(record))),
    );
    lines.sort_by_key(|line| line.version);
    lines
}

fn line(set: &str, version: i32, name: &str, state: State, record: Option<&Record>) -> StatusLine {
    StatusLine {
        set: set.into(),
        version,
        name: name.into(),
        state,
        applied_at: record.map(|record| record.applied_at.clone()),
        applied_by: record.map(|record| record.applied_by.clone()),
        duration_ms: record.map(|record| record.duration_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(versions: &[i32]) -> MigrationSet {
        let names: Vec<(String, String)> = versions
            .iter()
            .map(|version| (format!("{version:04}_x.sql"), format!("SELECT {version}")))
            .collect();
        MigrationSet::topology("t", "m", names.iter().map(|(name, sql)| (name.as_str(), sql.as_str())))
            .unwrap()
    }

    fn applied(set: &MigrationSet) -> Vec<Record> {
        let record = |file: &super::super::file::MigrationFile| Record {
            set: set.name.clone(),
            version: file.version,
            name: file.name.clone(),
            checksum: file.checksum.clone(),
            applied_at: "2026-01-02T03:04:05Z".into(),
            applied_by: "somebody".into(),
            duration_ms: 7,
        };
        set.files.iter().map(record).collect()
    }

    fn problems(set: &MigrationSet, records: &[Record]) -> Vec<(i32, Problem)> {
        findings(set, records).into_iter().map(|finding| (finding.version, finding.problem)).collect()
    }

    #[test]
    fn a_history_that_continues_the_records_is_right() {
        assert_eq!(problems(&set(&[1, 2, 3]), &applied(&set(&[1, 2]))), []);
        assert_eq!(problems(&set(&[1]), &[]), []);
        assert_eq!(problems(&set(&[]), &[]), []);
    }

    #[test]
    fn a_changed_file_is_named_with_both_checksums() {
        let files = set(&[1, 2]);
        let mut records = applied(&files);
        records[1].checksum = "0123456789abcdef".into();
        let found = findings(&files, &records);
        assert_eq!((found.len(), found[0].problem), (1, Problem::Changed));
        let line = found[0].to_string();
        assert!(
            line.starts_with("m/0002_x.sql: changed after it was applied")
                && line.contains("0123456789ab then"),
            "{line}"
        );
    }

    #[test]
    fn a_renamed_file_is_found_by_its_number() {
        let files = set(&[1]);
        let mut records = applied(&files);
        records[0].name = "0001_y.sql".into();
        assert_eq!(problems(&files, &records), [(1, Problem::Renamed)]);
    }

    #[test]
    fn gaps_and_late_files_are_found() {
        assert_eq!(problems(&set(&[1, 3]), &[]), [(3, Problem::Gap)]);
        assert_eq!(problems(&set(&[2]), &[]), [(2, Problem::Gap)]);
        assert_eq!(problems(&set(&[1, 2, 3]), &applied(&set(&[1, 3]))), [(2, Problem::OutOfOrder)]);
    }

    #[test]
    fn a_missing_file_is_no_gap_and_a_newer_release_does_not_block() {
        assert_eq!(problems(&set(&[1, 3]), &applied(&set(&[1, 2]))), [(2, Problem::Missing)]);
        assert_eq!(problems(&set(&[]), &applied(&set(&[1]))), [(1, Problem::Missing)]);
        assert_eq!(problems(&set(&[1]), &applied(&set(&[1, 2]))), [(2, Problem::Ahead)]);
        assert!(!Problem::Ahead.blocks() && Problem::Missing.blocks());
    }

    #[test]
    fn a_newer_release_that_breaks_with_this_one_blocks() {
        let engine = |versions: &[i32]| MigrationSet { name: ENGINE.into(), ..set(versions) };
        let mut records = applied(&engine(&[1, 2, 3]));
        records[1].name = "0002_other_tables_breaking.sql".into();
        assert_eq!(problems(&engine(&[1]), &records), [(2, Problem::TooNew), (3, Problem::Ahead)]);
        assert!(Problem::TooNew.blocks());
    }

    #[test]
    fn records_of_another_set_are_not_looked_at() {
        let other = MigrationSet { name: "topology/other".into(), ..set(&[1, 2, 3]) };
        assert_eq!(problems(&set(&[1]), &applied(&other)), []);
    }

    #[test]
    fn every_file_and_every_record_has_a_line() {
        let mut records = applied(&set(&[1, 2]));
        records[0].checksum = "other".into();
        let states: Vec<State> = status(&set(&[1, 3]), &records).iter().map(|line| line.state).collect();
        assert_eq!(states, [State::Changed, State::Missing, State::Pending]);
    }
}
