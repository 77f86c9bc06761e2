//! Versioned SQL files, applied once, in order.
//!
//! The engine's own files and a topology's are two scopes of one table, `aqueduct.migrations`. An advisory lock lets
//! one node at a time migrate; the others wait and find nothing left to do. A file is one transaction together with
//! its entry in the table, unless its first line is `-- no-transaction`: then its statements run one by one, and it
//! must bear being run again.
//!
//! Deliberately absent: migrations backwards. A mistake is corrected by the next file.

mod draft;
mod split;
mod verify;

pub use draft::draft;
pub use verify::Drift;

use super::connect::Connection;
use super::limits;
use super::pool::Timescale;
use aqueduct_engine::{Class, Error};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio_postgres::types::ToSql;

/// The scope of the engine's own migrations.
pub const ENGINE_SCOPE: &str = "aqueduct";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// `1` of `0001_trades.sql`.
    pub version: i32,
    /// `0001_trades.sql`.
    pub name: String,
    /// What it says.
    pub sql: String,
}

impl File {
    /// A file called `name`, which must begin with its number.
    pub fn new(name: &str, sql: &str) -> Result<Self, Error> {
        let digits = name.split('_').next().unwrap_or_default();
        let version = digits.parse::<i32>().ok().filter(|version| *version > 0);
        let Some(version) = version.filter(|_| name.ends_with(".sql") && name.len() > digits.len() + 5)
        else {
            let message = format!("migration `{name}`: call it like `0001_what_it_does.sql`");
            return Err(Error::new(Class::Config, message));
        };
        Ok(Self { version, name: name.to_owned(), sql: sql.to_owned() })
    }

    /// SHA-256 of its text, line ends as on Unix.
    pub fn checksum(&self) -> String {
        let text = self.sql.replace("\r\n", "\n");
        Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn outside_transaction(&self) -> bool {
        self.sql.lines().next().is_some_and(|line| line.trim() == "-- no-transaction")
    }
}

/// The files of one scope, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    scope: String,
    files: Vec<File>,
}

impl Folder {
    /// `files` of `scope`: [`ENGINE_SCOPE`], or a topology's name.
    pub fn new(scope: &str, files: impl IntoIterator<Item = File>) -> Result<Self, Error> {
        let mut files: Vec<File> = files.into_iter().collect();
        files.sort_by_key(|file| file.version);
        if let Some([one, other]) =
            files.windows(2).find(|pair| pair[0].version == pair[1].version).map(|pair| [&pair[0], &pair[1]])
        {
            let message =
                format!("migrations `{}` and `{}` have one number: renumber the newer", one.name, other.name);
            return Err(Error::new(Class::Config, message));
        }
        Ok(Self { scope: scope.to_owned(), files })
    }

    /// The `.sql` files of a folder; a folder that is not there has none.
    pub fn read(scope: &str, folder: &Path) -> Result<Self, Error> {
        let wrong = |path: &Path, error: &std::io::Error| {
            Error::new(Class::Config, format!("migrations in {}: {error}", path.display()))
        };
        let mut files = Vec::new();
        match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(folder, &error)),
            Ok(entries) => {
                for entry in entries {
                    let path = entry.map_err(|error| wrong(folder, &error))?.path();
                    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
                    if name.ends_with(".sql") {
                        let sql = std::fs::read_to_string(&path).map_err(|error| wrong(&path, &error))?;
                        files.push(File::new(name, &sql)?);
                    }
                }
            }
        }
        Self::new(scope, files)
    }

    /// The number of the next file.
    pub fn next_version(&self) -> i32 {
        self.files.last().map_or(1, |file| file.version + 1)
    }

    /// Whose.
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// In order.
    pub fn files(&self) -> &[File] {
        &self.files
    }
}

/// Whether a file was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not yet.
    Pending,
    /// When (as text, UTC) and how long it took.
    Applied {
        /// `2026-11-23 18:00:00+00`.
        at: String,
        /// How long it took.
        took: Duration,
    },
}

/// One line of `migrate status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whose file.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub state: State,
}

/// What the table says about one applied file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    name: String,
    checksum: String,
    at: String,
    took: Duration,
}

type Log = BTreeMap<(String, i32), Applied>;

/// Applies folders to a database.
#[derive(Clone, Debug)]
pub struct Migrator {
    timescale: Timescale,
    folders: Vec<Folder>,
    node: String,
}

impl Migrator {
    /// Applies `folders` in their order: the engine's first.
    pub fn new(timescale: Timescale, folders: Vec<Folder>, node: &str) -> Self {
        Self { timescale, folders, node: node.to_owned() }
    }

    /// The files `up` would apply.
    pub async fn plan(&self) -> Result<Vec<File>, Error> {
        let connection = self.timescale.connect().await?;
        let log = read_log(&connection).await?;
        Ok(self.pending(&log).map(|(_, file)| file.clone()).collect())
    }

    /// Every file and whether it was applied.
    pub async fn status(&self) -> Result<Vec<Status>, Error> {
        let connection = self.timescale.connect().await?;
        let log = read_log(&connection).await?;
        let line = |folder: &Folder, file: &File| Status {
            scope: folder.scope.clone(),
            name: file.name.clone(),
            state: match log.get(&(folder.scope.clone(), file.version)) {
                Some(applied) => State::Applied { at: applied.at.clone(), took: applied.took },
                None => State::Pending,
            },
        };
        Ok(self
            .folders
            .iter()
            .flat_map(|folder| folder.files.iter().map(move |file| line(folder, file)))
            .collect())
    }

    /// Where files and table disagree; empty = all is well.
    pub async fn verify(&self) -> Result<Vec<Drift>, Error> {
        let connection = self.timescale.connect().await?;
        Ok(verify::drifts(&self.folders, &read_log(&connection).await?))
    }

    /// Applies what is pending and says what it was. `progress` is told each file before it runs.
    /// Refused while files and table disagree.
    pub async fn up(&self, mut progress: impl FnMut(&File)) -> Result<Vec<File>, Error> {
        let connection = self.timescale.connect().await?;
        within(&connection, "set up migrations", limits::STATEMENT_WAIT_MAX, SETTINGS).await?;
        within(&connection, "wait for another node's migrations", limits::MIGRATION_LOCK_WAIT_MAX, LOCK)
            .await?;
        within(&connection, "create the table of migrations", limits::STATEMENT_WAIT_MAX, BOOTSTRAP).await?;
        let log = read_log(&connection).await?;
        if let Some(drift) = verify::drifts(&self.folders, &log).into_iter().next() {
            return Err(Error::new(Class::Config, format!("{drift}; see `aqueduct migrate verify FILE`")));
        }
        let pending: Vec<(&Folder, &File)> = self.pending(&log).collect();
        for (folder, file) in &pending {
            progress(file);
            self.apply(&connection, folder, file).await?;
        }
        // The session's end gives the lock back.
        Ok(pending.into_iter().map(|(_, file)| file.clone()).collect())
    }

    fn pending<'a>(&'a self, log: &'a Log) -> impl Iterator<Item = (&'a Folder, &'a File)> {
        self.folders
            .iter()
            .flat_map(|folder| folder.files.iter().map(move |file| (folder, file)))
            .filter(|(folder, file)| !log.contains_key(&(folder.scope.clone(), file.version)))
    }

    async fn apply(&self, connection: &Connection, folder: &Folder, file: &File) -> Result<(), Error> {
        let doing = format!("migration `{}` of `{}`", file.name, folder.scope);
        let begun = self.timescale.clock().now();
        if file.outside_transaction() {
            for statement in split::statements(&file.sql) {
                within(connection, &doing, limits::MIGRATION_WAIT_MAX, statement).await?;
            }
            within(connection, &doing, limits::STATEMENT_WAIT_MAX, "BEGIN").await?;
        } else {
            within(connection, &doing, limits::STATEMENT_WAIT_MAX, "BEGIN").await?;
            within(connection, &doing, limits::MIGRATION_WAIT_MAX, &file.sql).await?;
        }
        let took_ms = self.timescale.clock().now().duration_since(begun).as_millis() as i64;
        let checksum = file.checksum();
        let params: [&(dyn ToSql + Sync); 6] =
            [&folder.scope, &file.version, &file.name, &checksum, &took_ms, &self.node];
        let noted = connection.client().execute(NOTE, &params);
        connection.within(&doing, limits::STATEMENT_WAIT_MAX, noted).await?;
        within(connection, &doing, limits::COMMIT_WAIT_MAX, "COMMIT").await
    }
}

async fn within(connection: &Connection, doing: &str, limit: Duration, statement: &str) -> Result<(), Error> {
    connection.within(doing, limit, connection.client().batch_execute(statement)).await
}

async fn read_log(connection: &Connection) -> Result<Log, Error> {
    let doing = "read the applied migrations";
    let wait = limits::STATEMENT_WAIT_MAX;
    let exists = connection.within(doing, wait, connection.client().query_one(EXISTS, &[])).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(Log::new());
    }
    let rows = connection.within(doing, wait, connection.client().query(READ, &[])).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let took = Duration::from_millis(row.get::<_, i64>(5).unsigned_abs());
            let applied = Applied { name: row.get(2), checksum: row.get(3), at: row.get(4), took };
            ((row.get(0), row.get(1)), applied)
        })
        .collect())
}

/// A migration may take its time; it gives way to nobody for ever.
const SETTINGS: &str =
    "SET lock_timeout = '5min'; SET statement_timeout = 0; SET client_min_messages = warning";

const LOCK: &str =
    "SELECT pg_catalog.pg_advisory_lock(pg_catalog.hashtextextended('aqueduct migrations', 0))";

const BOOTSTRAP: &str = "\
    CREATE SCHEMA IF NOT EXISTS aqueduct; \
    CREATE TABLE IF NOT EXISTS aqueduct.migrations ( \
        scope text NOT NULL, \
        version integer NOT NULL CHECK (version > 0), \
        name text NOT NULL, \
        checksum text NOT NULL, \
        took_ms bigint NOT NULL, \
        node text NOT NULL, \
        applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), \
        PRIMARY KEY (scope, version))";

const EXISTS: &str = "SELECT pg_catalog.to_regclass('aqueduct.migrations') IS NOT NULL";

const READ: &str = "\
    SELECT scope, version, name, checksum, pg_catalog.date_trunc('second', applied_at)::text, took_ms \
    FROM aqueduct.migrations";

const NOTE: &str = "\
    INSERT INTO aqueduct.migrations (scope, version, name, checksum, took_ms, node) \
    VALUES ($1, $2, $3, $4, $5, $6)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_begins_with_its_number() {
        assert_eq!(File::new("0012_trades.sql", "").unwrap().version, 12);
        for name in ["trades.sql", "0001.sql", "0001_.sql", "0000_x.sql", "0001_x.txt", "x_0001.sql"] {
            assert_eq!(File::new(name, "").unwrap_err().class, Class::Config, "{name}");
        }
    }

    #[test]
    fn two_files_of_one_number_are_refused() {
        let files = ["0001_a.sql", "1_b.sql"].map(|name| File::new(name, "").unwrap());
        assert!(Folder::new("t", files).unwrap_err().message.contains("`0001_a.sql` and `1_b.sql`"));
    }

    #[test]
    fn a_checksum_does_not_see_line_ends() {
        let unix = File::new("1_a.sql", "select 1;\nselect 2;\n").unwrap();
        let dos = File::new("1_a.sql", "select 1;\r\nselect 2;\r\n").unwrap();
        assert_eq!(unix.checksum(), dos.checksum());
        assert_ne!(unix.checksum(), File::new("1_a.sql", "select 1;").unwrap().checksum());
    }

    #[test]
    fn a_folder_is_read_in_the_order_of_numbers() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["0010_c.sql", "0002_b.sql", "0001_a.sql", "README.md"] {
            std::fs::write(folder.path().join(name), "-- ").unwrap();
        }
        let read = Folder::read("t", folder.path()).unwrap();
        let names: Vec<&str> = read.files().iter().map(|file| file.name.as_str()).collect();
        assert_eq!((names, read.next_version()), (vec!["0001_a.sql", "0002_b.sql", "0010_c.sql"], 11));
        assert_eq!(Folder::read("t", &folder.path().join("none")).unwrap().next_version(), 1);
    }
}
