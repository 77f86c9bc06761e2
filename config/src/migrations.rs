//! The engine's own migrations: schema `aqueduct`.

use include_dir::{Dir, include_dir};

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/migrations");

/// One file of `config/migrations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    /// `0001_offsets.sql`.
    pub name: &'static str,
    /// What it says.
    pub sql: &'static str,
}

/// Every migration, in the order of their names.
pub fn all() -> Vec<File> {
    let mut files: Vec<File> = FOLDER
        .files()
        .filter_map(|file| {
            let name = file.path().file_name()?.to_str()?;
            let sql = file.contents_utf8()?;
            name.ends_with(".sql").then_some(File { name, sql })
        })
        .collect();
    files.sort_by_key(|file| file.name);
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_upwards_and_say_what_they_are_for() {
        let files = all();
        assert!(files.len() >= 3);
        let mut last = 0;
        for file in &files {
            let number = file.name.split('_').next().filter(|number| number.len() == 4);
            let number: u32 = number.and_then(|number| number.parse().ok()).expect(file.name);
            assert!(number > last, "{} has a number of its own", file.name);
            assert!(file.sql.starts_with("-- "), "{} begins with what it is for", file.name);
            last = number;
        }
    }

    #[test]
    fn what_earlier_versions_must_not_outlive_ends_their_claims() {
        let ends = ["LOCK TABLE aqueduct.migrations;", "UPDATE aqueduct.offsets SET epoch = epoch + 1"];
        for file in all().iter().filter(|file| file.name.ends_with("_breaking.sql")) {
            for word in ends {
                assert!(
                    file.sql.contains(word),
                    "{}: nodes of earlier versions go on without `{word}`",
                    file.name
                );
            }
        }
    }
}
