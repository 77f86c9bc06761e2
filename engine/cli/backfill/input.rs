//! The file that a backfill reads, if it reads one: one that was named, or one that Spark makes of an export.
//!
//! Parquet is read by Spark alone, which writes the rows of the range as `--rows` takes them. The same files give the same
//! bytes, so the checksum of the lines tells whether a backfill goes on, on whatever machine they were made. They lie in a
//! folder of this user's below the temporary one until the backfill is done.

use super::Arguments;
use crate::export::options::place;
use crate::export::order::Workshop;
use crate::export::spark;
use crate::export::submit::{Ended, submit};
use crate::output::say;
use anyhow::{Context, Result, bail};
use aqueduct_actors::backfill::{FileRecords, Form};
use aqueduct_actors::export::spans::Range;
use aqueduct_actors::timescale::TableName;
use aqueduct_engine::{Class, Error};
use aqueduct_stack::progress;
use aqueduct_topology::model::{Column, FieldType};
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What only its owner may do.
const OTHERS: u32 = 0o077;

/// Which rows are asked for.
pub(super) struct Rows<'a> {
    pub(super) table: &'a TableName,
    pub(super) time_column: &'a str,
    pub(super) range: Range,
    /// Those that the topology writes.
    pub(super) columns: &'a [Column],
}

/// See the module.
pub(super) struct Input<'a> {
    arguments: &'a Arguments,
    /// What Spark made, once in a command.
    made: OnceCell<FileRecords>,
}

impl<'a> Input<'a> {
    pub(super) fn new(arguments: &'a Arguments) -> Self {
        Self { arguments, made: OnceCell::new() }
    }

    /// The file, and what the record of backfills calls it; none where records come from the log.
    pub(super) fn file(&self, rows: &Rows<'_>) -> Result<Option<(FileRecords, String)>> {
        let Some(export) = self.arguments.parquet() else {
            let named = |file: FileRecords| {
                let word = if file.form == Form::Rows { "rows" } else { "file" };
                let name = last(&file.path);
                (file, format!("{word} {name}"))
            };
            return Ok(self.arguments.file().map(named));
        };
        let place = place(export)?;
        let file = match self.made.get() {
            Some(file) => file,
            None => {
                let file = FileRecords { path: self.unload(&place, rows)?, form: Form::Rows };
                self.made.get_or_init(|| file)
            }
        };
        Ok(Some((file.clone(), format!("parquet {}", last(Path::new(&place))))))
    }

    /// Lines that nobody needs any more go.
    pub(super) fn done(&self) {
        if let Some(file) = self.made.get()
            && let Err(error) = std::fs::remove_file(&file.path)
        {
            say!("{} is not needed any more and could not be removed: {error}", file.path.display());
        }
    }

    /// Has Spark write the lines; says where they are.
    fn unload(&self, place: &str, rows: &Rows<'_>) -> Result<PathBuf> {
        let progress = progress::on_stderr();
        let spark = spark::find(&*progress)?;
        let member = |column: &Column| json!({ "name": column.name, "json": column.kind == FieldType::Json, "nullable": column.nullable });
        let order = json!({
            "table": rows.table.plain(),
            "time_column": rows.time_column,
            "from_us": rows.range.from_us,
            "to_us": rows.range.to_us,
            "members": rows.columns.iter().map(member).collect::<Value>(),
            "into": place,
            "folder": own_folder(&std::env::temp_dir())?,
        });
        let workshop = Workshop::new(&order)?;
        progress.note(&format!("Spark makes lines of the rows in {place}"));
        match submit(&spark, &self.arguments.how, &workshop, "json_rows.py", None, &mut |_| {})? {
            Ended::Done(event) => {
                let names = |value: &Value| value.as_str().map(str::to_owned);
                let left_out: Vec<String> =
                    event["left_out"].as_array().into_iter().flatten().filter_map(names).collect();
                if !left_out.is_empty() {
                    say!(
                        "the topology does not write {}: the table gives these columns what it gives new rows",
                        left_out.join(", ")
                    );
                }
                let path =
                    event["path"].as_str().context("invariant: the program says where its lines are")?;
                Ok(path.into())
            }
            Ended::Refused(message) => Err(Error::new(Class::Config, message).into()),
            Ended::Failed(message) => bail!("Spark could not make lines of the rows in {place}: {message}"),
        }
    }
}

fn last(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A folder that is there as long as its lines are needed, and that nobody else reads or made.
fn own_folder(below: &Path) -> Result<PathBuf> {
    let doing = |folder: &Path| format!("cannot use the folder `{}`", folder.display());
    let own = std::fs::metadata("/proc/self").context("cannot see who this process is in /proc")?.uid();
    let folder = below.join(format!("aqueduct-backfill-{own}"));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| doing(&folder));
        }
        _ => {}
    }
    let found = std::fs::symlink_metadata(&folder).with_context(|| doing(&folder))?;
    if !found.is_dir() || found.uid() != own || found.mode() & OTHERS != 0 {
        let message = format!(
            "`{}` is no folder of this user's alone, and rows would lie in it: remove it, or name another place in TMPDIR",
            folder.display()
        );
        return Err(Error::new(Class::Config, message).into());
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn rows_lie_where_nobody_else_reads() {
        let below = tempfile::tempdir().unwrap();
        let folder = own_folder(below.path()).unwrap();
        assert_eq!(own_folder(below.path()).unwrap(), folder);
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(own_folder(below.path()).unwrap_err().to_string().contains("remove it"));
        std::fs::remove_dir(&folder).unwrap();
        std::os::unix::fs::symlink(below.path(), &folder).unwrap();
        assert!(own_folder(below.path()).unwrap_err().to_string().contains("remove it"));
    }
}
