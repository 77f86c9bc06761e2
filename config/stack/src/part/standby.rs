//! A streaming standby of the stack's own PostgreSQL, inside the same Debian root.
//!
//! It is promoted by `pg_promote()`, like any other. A folder that no longer holds a standby's data, because it was
//! promoted, is replaced by a copy of the primary as that is when the part is started again. So is that of a former primary
//! which comes back as a follower (`Stack::follow`): what it has and its leader has not must not live on.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::time::Duration;

use super::{Server, timescale};
use crate::dir::{create, remove_tree, write_whole};
use crate::error::Error;
use crate::launch::{Place, arguments, tail};
use crate::part::Part;
use crate::sql::Session;
use crate::time::Deadline;

/// Writes the configuration; copies the leader's data unless there are data of a standby.
pub(super) fn prepare(part: Part, leader: Part, server: &Server, deadline: Deadline) -> Result<(), Error> {
    let folder = &server.launch.folder;
    let Place::Root { uid, gid, .. } = server.launch.place else {
        return Err(Error::Unusable("PostgreSQL runs inside the Debian root only".into()));
    };
    create(folder)?;
    chown(folder, Some(uid), Some(gid)).map_err(Error::io("give to postgres", folder))?;
    if !folder.join("data/standby.signal").exists() {
        remove_tree(&folder.join("data"))?;
        copy((part, leader), server, (uid, gid), deadline)?;
    }
    timescale::configure(server, (uid, gid))
}

/// `pg_basebackup` into a folder of another name, which is renamed when complete.
fn copy(
    (part, leader): (Part, Part),
    server: &Server,
    (uid, gid): (u32, u32),
    deadline: Deadline,
) -> Result<(), Error> {
    let launch = &server.launch;
    let primary = server.peers.get(&leader).ok_or_else(|| {
        Error::Unusable(format!("{part} copies {leader}, which is not in the same stack: ask for it too"))
    })?;
    let new = launch.folder.join("data.new");
    remove_tree(&new)?;
    let password = server.password.as_deref().expect("invariant: the standby has its primary's password");
    let passwords = launch.folder.join("passwords");
    write_whole(&passwords, &format!("*:*:*:{}:{password}\n", timescale::NAME))?;
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o600))
        .map_err(Error::io("protect", &passwords))?;
    chown(&passwords, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &passwords))?;
    let to =
        format!("host=127.0.0.1 port={} user={} passfile=/instance/passwords", primary.port, timescale::NAME);
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
            part,
            why: "pg_basebackup failed".into(),
            log: launch.log.clone(),
            tail: tail(&launch.log),
        });
    }
    let data = launch.folder.join("data");
    fs::rename(&new, &data).map_err(Error::io("create", &data))
}

/// Whether it answers and follows.
pub(super) fn ready(url: &str, patience: Duration) -> Result<(), String> {
    let session = Session::new(url, patience)?;
    match session.text("select pg_is_in_recovery()::text", None).map_err(|error| error.to_string())? {
        Some(answer) if answer == "true" => Ok(()),
        _ => Err("it is no standby".into()),
    }
}
