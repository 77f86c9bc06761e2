//! A streaming standby of the stack's own PostgreSQL, inside the same Debian root.
//!
//! It is promoted by `pg_promote()`, like any other. A folder that no longer holds a standby's data, because it was
//! promoted, is replaced by a copy of the primary as that is when the part is started again.
//! Deliberately absent: who follows whom after a failover, and synchronous replication; both are settings that a test makes
//! by SQL (`synchronous_standby_names = '*'`).

use std::fs;
use std::os::unix::fs::chown;
use std::time::Duration;

use super::{Server, timescale};
use crate::dir::{create, remove_tree, write_private};
use crate::error::Error;
use crate::launch::{Place, arguments, tail};
use crate::options::Access;
use crate::part::Part;
use crate::secured;
use crate::sql::Session;
use crate::time::Deadline;
use crate::tls::Trust;

/// Writes the configuration; copies the primary's data unless there are data of a standby.
pub(super) fn prepare(server: &Server, deadline: Deadline) -> Result<(), Error> {
    let folder = &server.launch.folder;
    let Place::Root { uid, gid, .. } = server.launch.place else {
        return Err(Error::Unusable("PostgreSQL runs inside the Debian root only".into()));
    };
    create(folder)?;
    chown(folder, Some(uid), Some(gid)).map_err(Error::io("give to postgres", folder))?;
    timescale::give_certificates(server, (uid, gid))?;
    if !folder.join("data/standby.signal").exists() {
        remove_tree(&folder.join("data"))?;
        copy(server, (uid, gid), deadline)?;
    }
    timescale::configure(server, (uid, gid))
}

/// `pg_basebackup` into a folder of another name, which is renamed when complete.
fn copy(server: &Server, (uid, gid): (u32, u32), deadline: Deadline) -> Result<(), Error> {
    let launch = &server.launch;
    let primary = server.peers.get(&Part::Timescale).ok_or_else(|| {
        Error::Unusable("a standby needs a primary in the same stack: ask for timescale too".into())
    })?;
    let new = launch.folder.join("data.new");
    remove_tree(&new)?;
    let password = server.password(Part::Timescale);
    let passwords = launch.folder.join("passwords");
    write_private(&passwords, &format!("*:*:*:{}:{password}\n", timescale::NAME))?;
    chown(&passwords, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &passwords))?;
    // What is asked for here is written into the standby's settings too, and so is how it follows.
    let encrypted = match server.access {
        Access::Open => String::new(),
        Access::Both | Access::Closed => {
            format!(" sslmode=verify-full sslrootcert=/instance/{}", secured::AUTHORITY)
        }
    };
    let to = format!(
        "host=127.0.0.1 port={} user={} passfile=/instance/passwords{encrypted}",
        primary.port,
        timescale::NAME
    );
    let program = format!("{}/pg_basebackup", timescale::BIN);
    let command = arguments([
        program.as_str(),
        "--pgdata=/instance/data.new",
        "--write-recovery-conf",
        "--wal-method=stream",
        "--checkpoint=fast",
        "--dbname",
        &to,
    ]);
    if !launch.run(&command, deadline)? {
        return Err(Error::Start {
            part: Part::Standby,
            why: "pg_basebackup failed".into(),
            log: launch.log.clone(),
            tail: tail(&launch.log),
        });
    }
    let data = launch.folder.join("data");
    fs::rename(&new, &data).map_err(Error::io("create", &data))
}

/// Whether it answers and follows.
pub(super) fn ready(url: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let session = Session::new(url, patience)?.believing(trust);
    match session.text("select pg_is_in_recovery()::text", None).map_err(|error| error.to_string())? {
        Some(answer) if answer == "true" => Ok(()),
        _ => Err("it is no standby".into()),
    }
}
