//! `pg_basebackup`: a copy of the stack's own PostgreSQL while it runs; for a standby, and for a backup.

use std::fs;
use std::os::unix::fs::chown;

use super::{Server, timescale};
use crate::dir::{create, remove_tree, write_private};
use crate::error::Error;
use crate::launch::{Place, arguments, tail};
use crate::options::Access;
use crate::part::Part;
use crate::secured;
use crate::time::Deadline;

/// Copies `leader` into `data` of the server's folder, by way of another name: it is there whole or not at all.
/// `further` are words to `pg_basebackup`; `part` is who wants the copy.
pub(crate) fn of(
    leader: Part,
    server: &Server,
    part: Part,
    further: &[&str],
    deadline: Deadline,
) -> Result<(), Error> {
    let launch = &server.launch;
    let Place::Root { uid, gid, .. } = launch.place else {
        return Err(Error::Unusable("PostgreSQL runs inside the Debian root only".into()));
    };
    let primary = server.peers.get(&leader).ok_or_else(|| {
        Error::Unusable(format!("{part} copies {leader}, which is not in the same stack: ask for it too"))
    })?;
    create(&launch.folder)?;
    chown(&launch.folder, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &launch.folder))?;
    let (data, new) = (launch.folder.join("data"), launch.folder.join("data.new"));
    remove_tree(&new)?;
    let password = server.password(Part::Timescale);
    let passwords = launch.folder.join("passwords");
    write_private(&passwords, &format!("*:*:*:{}:{password}\n", timescale::NAME))?;
    chown(&passwords, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &passwords))?;
    // What is asked for here is written into a standby's settings too, and so is how it follows.
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
    let words = [program.as_str(), "--pgdata=/instance/data.new", "--wal-method=stream", "--checkpoint=fast"];
    let command = arguments([&words, further, &["--dbname", &to]].concat());
    if !launch.run(&command, deadline)? {
        return Err(Error::Start {
            part,
            why: "pg_basebackup failed".into(),
            log: launch.log.clone(),
            tail: tail(&launch.log),
        });
    }
    remove_tree(&data)?;
    fs::rename(&new, &data).map_err(Error::io("create", &data))
}
