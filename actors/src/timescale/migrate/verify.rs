//! Where the files and the table of applied ones disagree.

use super::{Folder, Log};
use std::collections::BTreeSet;
use std::fmt;

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The file was changed after it was applied.
    Changed {
        /// Whose.
        scope: String,
        /// Which.
        name: String,
    },
    /// The file that was applied is not there any more.
    Missing {
        /// Whose.
        scope: String,
        /// Which.
        name: String,
    },
    /// A file that was not applied comes before one that was.
    Gap {
        /// Whose.
        scope: String,
        /// Which.
        name: String,
        /// What was applied without it.
        applied: String,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::Changed { scope, name } => write!(
                formatter,
                "migration `{name}` of `{scope}` was changed after it was applied: restore it, and say what changes in a new file"
            ),
            Drift::Missing { scope, name } => {
                write!(
                    formatter,
                    "migration `{name}` of `{scope}` was applied, but its file is gone: restore it"
                )
            }
            Drift::Gap { scope, name, applied } => write!(
                formatter,
                "migration `{name}` of `{scope}` was never applied, but the later `{applied}` was: give it the next number"
            ),
        }
    }
}

/// Every disagreement between `folders` and `log`.
pub(super) fn drifts(folders: &[Folder], log: &Log) -> Vec<Drift> {
    let mut drifts = Vec::new();
    for folder in folders {
        let scope = &folder.scope;
        let applied = log.iter().filter(|((of, _), _)| of == scope);
        let last = applied.clone().next_back();
        let present: BTreeSet<i32> = folder.files.iter().map(|file| file.version).collect();
        for ((_, version), applied) in applied {
            if !present.contains(version) {
                drifts.push(Drift::Missing { scope: scope.clone(), name: applied.name.clone() });
            }
        }
        for file in &folder.files {
            let name = file.name.clone();
            match (log.get(&(scope.clone(), file.version)), last) {
                (Some(applied), _) if applied.checksum != file.checksum() => {
                    drifts.push(Drift::Changed { scope: scope.clone(), name });
                }
                (None, Some(((_, version), applied))) if *version > file.version => {
                    drifts.push(Drift::Gap { scope: scope.clone(), name, applied: applied.name.clone() });
                }
                _ => {}
            }
        }
    }
    drifts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timescale::migrate::{Applied, File};
    use std::time::Duration;

    fn file(name: &str, sql: &str) -> File {
        File::new(name, sql).unwrap()
    }

    fn log(files: &[File]) -> Log {
        let applied = |file: &File| Applied {
            name: file.name.clone(),
            checksum: file.checksum(),
            at: String::new(),
            took: Duration::ZERO,
        };
        files.iter().map(|file| (("t".to_owned(), file.version), applied(file))).collect()
    }

    #[test]
    fn each_disagreement_is_named() {
        let applied = [file("1_a.sql", "a"), file("2_b.sql", "b"), file("4_d.sql", "d")];
        let folder =
            Folder::new("t", [file("1_a.sql", "changed"), file("3_c.sql", "c"), file("4_d.sql", "d")])
                .unwrap();
        let scope = || "t".to_owned();
        assert_eq!(
            drifts(&[folder], &log(&applied)),
            [
                Drift::Missing { scope: scope(), name: "2_b.sql".into() },
                Drift::Changed { scope: scope(), name: "1_a.sql".into() },
                Drift::Gap { scope: scope(), name: "3_c.sql".into(), applied: "4_d.sql".into() },
            ]
        );
    }

    #[test]
    fn pending_files_at_the_end_are_no_drift() {
        let folder = Folder::new("t", [file("1_a.sql", "a"), file("2_b.sql", "b")]).unwrap();
        assert_eq!(drifts(&[folder], &log(&[file("1_a.sql", "a")])), []);
    }
}
