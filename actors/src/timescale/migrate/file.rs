//! Migration files: their names, their order, and what they may hold.
//!
//! Invariant: a [`MigrationSet`] is ordered by version, no version twice, and every file splits into statements.
//! A set with a gap can be read, so that [`super::verify`] may say so beside everything else.

use super::error::Error;
use super::lexer::{self, Statement, Token};
use sha2::{Digest, Sha256};
use std::io::ErrorKind;
use std::path::Path;

/// The first line of a file that runs outside a transaction.
pub const NO_TRANSACTION: &str = "-- no-transaction";

/// The set of the engine's own files.
pub const ENGINE: &str = "engine";

/// How the name of a migration of the engine's ends after which earlier versions must not go on.
pub const BREAKING: &str = "_breaking.sql";

/// The folder beside a topology file.
pub const FOLDER: &str = "migrations";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationFile {
    /// The number its name begins with, from 1.
    pub version: i32,
    /// `0001_market_trades.sql`.
    pub name: String,
    /// What it says.
    pub sql: String,
    /// SHA-256 in hexadecimal; the ends of lines count as `\n` however they were checked out.
    pub checksum: String,
    /// Whether it runs in a transaction.
    pub transactional: bool,
}

/// The files that belong together: the engine's, or a topology's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationSet {
    /// `engine`, or `topology/` and the topology's name: under it the database remembers what was applied.
    pub name: String,
    /// Where the files are, for messages.
    pub place: String,
    /// By version.
    pub files: Vec<MigrationFile>,
}

impl MigrationSet {
    /// The engine's own files, embedded in the binary.
    pub fn engine<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Error> {
        Self::new(ENGINE.into(), "the engine's migrations".into(), files)
    }

    /// The files of a topology, already read; `place` is where they were, for messages.
    pub fn topology<'a>(
        topology: &str,
        place: &str,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        Self::new(["topology/", topology].concat(), place.into(), files)
    }

    /// The files in `migrations/` beside the topology file. A folder that is not there holds none; names that begin
    /// with a dot are not looked at.
    pub fn beside(topology: &str, topology_file: &Path) -> Result<Self, Error> {
        let folder = topology_file.parent().unwrap_or(Path::new("")).join(FOLDER);
        let files = read(&folder)?;
        let place = folder.display().to_string();
        Self::topology(topology, &place, files.iter().map(|(name, sql)| (name.as_str(), sql.as_str())))
    }

    fn new<'a>(
        name: String,
        place: String,
        files: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let mut read = Vec::new();
        for (file, sql) in files {
            read.push(MigrationFile::new(&place, file, sql)?);
        }
        read.sort_by(|a, b| (a.version, &a.name).cmp(&(b.version, &b.name)));
        for pair in read.windows(2) {
            if pair[0].version == pair[1].version {
                let wrong = format!(
                    "`{}` has the number of `{}`; give one of them the next free",
                    pair[1].name, pair[0].name
                );
                return Err(Error::file(place, wrong));
            }
        }
        Ok(Self { name, place, files: read })
    }

    /// The highest version; 0 without files.
    pub fn highest(&self) -> i32 {
        self.files.last().map_or(0, |file| file.version)
    }

    /// A file with its folder, for messages.
    pub fn path(&self, file: &str) -> String {
        Path::new(&self.place).join(file).display().to_string()
    }
}

/// Names and texts of a folder's files.
fn read(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let unreadable = |path: &Path, error: &std::io::Error| {
        Error::file(path.display().to_string(), format!("cannot be read: {error}"))
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| unreadable(folder, &error))?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            return Err(Error::file(
                path.display().to_string(),
                "is a folder; this one holds migration files alone",
            ));
        }
        version(&name).map_err(|wrong| Error::file(path.display().to_string(), wrong))?;
        files.push((name, std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?));
    }
    Ok(files)
}

impl MigrationFile {
    fn new(place: &str, name: &str, sql: &str) -> Result<Self, Error> {
        let path = Path::new(place).join(name).display().to_string();
        let version = version(name).map_err(|wrong| Error::file(&path, wrong))?;
        let transactional =
            sql.trim_start_matches('\u{feff}').lines().next().map(str::trim_end) != Some(NO_TRANSACTION);
        let file =
            Self { version, name: name.into(), sql: sql.into(), checksum: checksum(sql), transactional };
        let statements = file.statements().map_err(|error| Error::unterminated(&path, &error))?;
        if statements.is_empty() {
            return Err(Error::file(path, "holds no statement"));
        }
        for statement in &statements {
            if let Some(wrong) = objection(statement, transactional) {
                return Err(Error::file(format!("{path}:{}", statement.line), wrong));
            }
        }
        Ok(file)
    }

    /// Its statements.
    pub(in crate::timescale) fn statements(&self) -> Result<Vec<Statement<'_>>, lexer::Unterminated> {
        lexer::statements(&self.sql)
    }
}

/// The number of a file name `0001_word.sql`.
fn version(name: &str) -> Result<i32, String> {
    let parts = name.strip_suffix(".sql").and_then(|stem| stem.split_once('_'));
    let word = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    match parts {
        Some((number, rest)) if number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()) && word(rest) => {
            match number.parse() {
                Ok(0) | Err(_) => Err("is numbered 0; the first is 0001".into()),
                Ok(version) => Ok(version),
            }
        }
        _ => Err("is no migration; name it like `0001_market_trades.sql` (four digits, lower case words), or move it out \
                  of this folder"
            .into()),
    }
}

fn checksum(sql: &str) -> String {
    use std::fmt::Write;
    let digest = Sha256::digest(sql.replace("\r\n", "\n").as_bytes());
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("invariant: writing to a string succeeds");
        text
    })
}

/// Why a statement may not stand in a migration.
fn objection(statement: &Statement<'_>, transactional: bool) -> Option<String> {
    let tokens = &statement.tokens;
    let first = tokens.first()?;
    let controls = ["BEGIN", "COMMIT", "ROLLBACK", "ABORT", "END", "SAVEPOINT", "RELEASE"];
    let starts = first.is("START") && tokens.get(1).is_some_and(|next| next.is("TRANSACTION"));
    if starts || controls.iter().any(|word| first.is(word)) {
        let why = if transactional {
            "every file runs in a transaction of the migrator's"
        } else {
            "this file runs outside transactions"
        };
        return Some(format!("takes the transaction into its own hands; delete it: {why}"));
    }
    if transactional {
        return None;
    }
    let has = |words: &[&str]| {
        tokens.windows(words.len()).any(|window| window.iter().zip(words).all(|(token, word)| token.is(word)))
    };
    let adds =
        first.is("ALTER") && tokens.get(1).is_some_and(|next| next.is("TYPE")) && has(&["ADD", "VALUE"]);
    let missing = if (first.is("CREATE") && !has(&["OR", "REPLACE"])) || adds {
        (!has(&["IF", "NOT", "EXISTS"])).then_some("IF NOT EXISTS")
    } else if first.is("DROP") {
        (!has(&["IF", "EXISTS"])).then_some("IF EXISTS")
    } else if first.is("INSERT") {
        (!has(&["ON", "CONFLICT"])).then_some("ON CONFLICT")
    } else {
        None
    };
    missing.map(|words| {
        format!(
            "cannot run twice: write `{words}`, since a file outside a transaction is run again from its start after an \
             interruption; or move the statement to a file of its own without `{NO_TRANSACTION}`"
        )
    })
}

/// The index a `CREATE INDEX IF NOT EXISTS` makes, and its table as written: what an interrupted run may leave invalid.
pub(super) fn index_of<'s>(statement: &'s Statement<'_>) -> Option<(String, &'s str)> {
    let tokens = &statement.tokens;
    if !tokens.first()?.is("CREATE") || !tokens.iter().take(3).any(|token| token.is("INDEX")) {
        return None;
    }
    let name = tokens.iter().position(|token| token.is("EXISTS"))? + 1;
    let on = name + 1;
    if !tokens.get(on)?.is("ON") {
        return None;
    }
    let index = tokens[name].name()?;
    let after_on = words_end(statement.text, "on")?;
    let table = statement.text[after_on..].trim_start();
    let table = match table.get(..5) {
        Some(only) if only.eq_ignore_ascii_case("only ") => table[5..].trim_start(),
        _ => table,
    };
    let end = table.find(|c: char| c.is_whitespace() || c == '(').unwrap_or(table.len());
    Some((index, &table[..end]))
}

/// Where the first free-standing `word` of a text ends.
fn words_end(text: &str, word: &str) -> Option<usize> {
    let bound = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let lower = text.to_ascii_lowercase();
    lower.match_indices(word).find_map(|(at, _)| {
        let end = at + word.len();
        (bound(text[..at].chars().next_back()) && bound(text[end..].chars().next())).then_some(end)
    })
}

/// Whether a statement creates the table, or changes it; names are PostgreSQL's.
pub(in crate::timescale) fn concerns_table(
    statement: &Statement<'_>,
    schema: &str,
    table: &str,
) -> Option<Concern> {
    let tokens = &statement.tokens;
    let creates = tokens.first()?.is("CREATE");
    if !creates && !tokens.first()?.is("ALTER") {
        return None;
    }
    // The word TABLE comes at once, or behind one word such as UNLOGGED.
    let at = tokens.iter().take(3).position(|token| token.is("TABLE"))? + 1;
    let filler = ["IF", "NOT", "EXISTS", "ONLY"];
    let at = at + tokens[at..].iter().take_while(|token| filler.iter().any(|word| token.is(word))).count();
    let first = tokens.get(at)?.name()?;
    let (own_schema, own_table) = match tokens.get(at + 1) {
        Some(Token::Sign('.')) => (first, tokens.get(at + 2)?.name()?),
        _ => ("public".into(), first),
    };
    let same = own_schema == schema && own_table == table;
    same.then_some(if creates { Concern::Creates } else { Concern::Alters })
}

/// What a statement does to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::timescale) enum Concern {
    /// It creates it.
    Creates,
    /// It changes it.
    Alters,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> Result<MigrationSet, String> {
        MigrationSet::topology("t", "migrations", files.iter().copied()).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_four_digits_and_words() {
        assert_eq!(version("0001_market_trades.sql"), Ok(1));
        assert_eq!(version("9999_a1.sql"), Ok(9999));
        for name in [
            "1_a.sql",
            "0001_.sql",
            "0001-a.sql",
            "0001_A.sql",
            "0001_a.SQL",
            "0001_a.sql~",
            "README.md",
            "00012_a.sql",
            "+001_a.sql",
        ] {
            assert!(version(name).is_err_and(|wrong| wrong.contains("is no migration")), "{name}");
        }
        assert!(version("0000_a.sql").is_err_and(|wrong| wrong.contains("the first is 0001")));
    }

    #[test]
    fn files_are_ordered_and_no_number_comes_twice() {
        let read = set(&[("0002_b.sql", "SELECT 2"), ("0001_a.sql", "SELECT 1")]).unwrap();
        assert_eq!(read.files.iter().map(|file| file.version).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((read.name.as_str(), read.highest()), ("topology/t", 2));
        let error = set(&[("0001_b.sql", "SELECT 2"), ("0001_a.sql", "SELECT 1")]).unwrap_err();
        assert!(error.contains("`0001_b.sql` has the number of `0001_a.sql`"), "{error}");
    }

    #[test]
    fn the_checksum_is_sha_256_of_the_text_whatever_ends_its_lines() {
        assert_eq!(checksum("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(checksum("a\r\nb\r\n"), checksum("a\nb\n"));
        assert_ne!(checksum("a\nb"), checksum("a b"));
    }

    #[test]
    fn only_the_first_line_leaves_the_transaction() {
        let first = |sql: &str| set(&[("0001_a.sql", sql)]).unwrap().files[0].transactional;
        assert!(!first("-- no-transaction\nVACUUM;"));
        assert!(!first("-- no-transaction \r\nVACUUM;"));
        assert!(first("-- why\n-- no-transaction\nSELECT 1;"));
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_line() {
        for (sql, line, words) in [
            ("", "", "holds no statement"),
            ("SELECT 1;\nSELECT 'x", ":2", "does not end"),
            ("SELECT 1;\nbegin;\nSELECT 2;", ":2", "takes the transaction into its own hands"),
            ("START TRANSACTION;", ":1", "takes the transaction into its own hands"),
            ("-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (x);", ":2", "IF NOT EXISTS"),
            ("-- no-transaction\nDROP INDEX CONCURRENTLY i;", ":2", "IF EXISTS"),
            ("-- no-transaction\nALTER TYPE mood ADD VALUE 'x';", ":2", "IF NOT EXISTS"),
            ("-- no-transaction\nINSERT INTO t VALUES (1);", ":2", "ON CONFLICT"),
        ] {
            let error = set(&[("0001_a.sql", sql)]).unwrap_err();
            assert!(error.starts_with(&format!("migrations/0001_a.sql{line}: ")), "{error}");
            assert!(error.contains(words), "{error}");
        }
        assert!(set(&[("0001_a.sql", "DO $$ BEGIN NULL; END $$;")]).is_ok(), "a block is no transaction");
        let allowed = "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (x);\nVACUUM t;\nALTER TABLE t SET (x = 1);";
        assert!(set(&[("0001_a.sql", allowed)]).is_ok());
    }

    #[test]
    fn a_folder_holds_migrations_alone() {
        let home = tempfile::tempdir().unwrap();
        let topology = home.path().join("topology.yaml");
        assert_eq!(MigrationSet::beside("t", &topology).unwrap().files, []);
        let folder = home.path().join(FOLDER);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("0001_a.sql"), "SELECT 1;").unwrap();
        std::fs::write(folder.join(".gitkeep"), "").unwrap();
        assert_eq!(MigrationSet::beside("t", &topology).unwrap().highest(), 1);
        std::fs::write(folder.join("notes.txt"), "").unwrap();
        let error = MigrationSet::beside("t", &topology).unwrap_err().to_string();
        assert!(error.contains("notes.txt: is no migration"), "{error}");
        std::fs::remove_file(folder.join("notes.txt")).unwrap();
        std::fs::create_dir(folder.join("old")).unwrap();
        assert!(MigrationSet::beside("t", &topology).unwrap_err().to_string().contains("old: is a folder"));
    }

    #[test]
    fn the_index_of_a_statement_is_found_with_its_table() {
        let find = |sql: &str| {
            let statements = lexer::statements(sql).unwrap();
            index_of(&statements[0]).map(|(index, table)| (index, table.to_owned()))
        };
        let expected = Some(("by_on".to_owned(), "market.\"Trades\"".to_owned()));
        assert_eq!(find("CREATE INDEX CONCURRENTLY IF NOT EXISTS by_on\nON market.\"Trades\"(x)"), expected);
        assert_eq!(
            find("create unique index if not exists By_On on only market.\"Trades\" using btree (x)"),
            expected
        );
        assert_eq!(find("CREATE TABLE IF NOT EXISTS t (x int)"), None);
    }

    #[test]
    fn a_table_is_recognised_however_it_is_written() {
        let concern = |sql: &str| concerns_table(&lexer::statements(sql).unwrap()[0], "market", "trades");
        for sql in [
            "CREATE TABLE market.trades (x int)",
            "create table if not exists \"market\" . \"trades\" (x int)",
            "CREATE UNLOGGED TABLE Market.Trades (x int)",
        ] {
            assert_eq!(concern(sql), Some(Concern::Creates), "{sql}");
        }
        assert_eq!(
            concern("ALTER TABLE IF EXISTS ONLY market.trades ADD COLUMN y int"),
            Some(Concern::Alters)
        );
        for sql in [
            "CREATE TABLE market.trades_2 (x int)",
            "CREATE TABLE trades (x int)",
            "CREATE TABLE market.\"Trades\" ()",
            "DROP TABLE market.trades",
        ] {
            assert_eq!(concern(sql), None, "{sql}");
        }
    }
}
