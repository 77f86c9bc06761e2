//! A base backup of the stack's own database, the loss of its disk, and the way back: what a restore is practised on.
//!
//! Deliberately absent: an archive of the log that PostgreSQL writes. Kafka has what came after the backup, and the offsets
//! in the backup say from where.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::dir::remove_tree;
use crate::error::Error;
use crate::part::{Part, copy};
use crate::stack::Stack;
use crate::time::Deadline;

/// How long a copy of the database may take.
const COPY_MAX: Duration = Duration::from_secs(600);

impl Stack {
    /// Copies the running database into the instance by `pg_basebackup`, in the place of an earlier copy; gives the copy's
    /// folder.
    ///
    /// # Errors
    /// The database is the user's own or does not run, or `pg_basebackup` failed.
    pub fn back_up(&self) -> Result<PathBuf, Error> {
        self.ours(Part::Timescale, "backed up")?;
        let _lock = self.changing()?;
        let ports = self.state().parts.clone();
        let server = self.instance.backup(&ports, &self.software, &self.options)?;
        copy::of(Part::Timescale, &server, Part::Timescale, &[], Deadline::after(COPY_MAX))?;
        Ok(server.launch.folder.join("data"))
    }

    /// SIGKILL to the database, and its data are gone: as with a lost disk.
    ///
    /// # Errors
    /// The database is the user's own, or its data cannot be deleted.
    pub fn lose_data(&self) -> Result<(), Error> {
        self.kill(Part::Timescale)?;
        remove_tree(&self.instance.part_folder(Part::Timescale).join("data"))
    }

    /// Puts a copy of the backup in the place of the data that the stopped database has, and starts it.
    ///
    /// # Errors
    /// There is no backup, the copy failed, or the server does not start from it.
    pub fn restore(&self) -> Result<(), Error> {
        self.ours(Part::Timescale, "restored")?;
        let backup = self.instance.backup_folder().join("data");
        if !backup.is_dir() {
            return Err(Error::Unusable(format!("there is no backup in `{}`", backup.display())));
        }
        self.stop(Part::Timescale)?;
        self.put_back(&backup)?;
        self.start(Part::Timescale)
    }

    fn put_back(&self, backup: &Path) -> Result<(), Error> {
        let _lock = self.changing()?;
        let data = self.instance.part_folder(Part::Timescale).join("data");
        remove_tree(&data)?;
        let copied = Command::new("cp").arg("--archive").arg(backup).arg(&data).output();
        let copied = copied.map_err(Error::io("copy", backup))?;
        if copied.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&copied.stderr).trim().to_owned();
        Err(Error::Request { doing: "copy the backup".into(), why })
    }
}
