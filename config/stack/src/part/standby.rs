//! A streaming standby of the stack's own PostgreSQL, inside the same Debian root.
//!
//! It is promoted by `pg_promote()`, like any other. A folder that no longer holds a standby's data, because it was
//! promoted, is replaced by a copy of the primary as that is when the part is started again. So is that of a former primary
//! which comes back as a follower (`Stack::follow`): what it has and its leader has not must not live on.

use std::time::Duration;

use super::{Server, copy, timescale};
use crate::error::Error;
use crate::launch::Place;
use crate::part::Part;
use crate::sql::Session;
use crate::time::Deadline;
use crate::tls::Trust;

/// Writes the configuration; copies the leader's data unless there are data of a standby.
pub(super) fn prepare(part: Part, leader: Part, server: &Server, deadline: Deadline) -> Result<(), Error> {
    let folder = &server.launch.folder;
    let Place::Root { uid, gid, .. } = server.launch.place else {
        return Err(Error::Unusable("PostgreSQL runs inside the Debian root only".into()));
    };
    timescale::give_certificates(server, (uid, gid))?;
    if !folder.join("data/standby.signal").exists() {
        copy::of(leader, server, part, &["--write-recovery-conf"], deadline)?;
    }
    timescale::configure(server, (uid, gid))
}

/// Whether it answers and follows.
pub(super) fn ready(url: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let session = Session::new(url, patience)?.believing(trust);
    match session.text("select pg_is_in_recovery()::text", None).map_err(|error| error.to_string())? {
        Some(answer) if answer == "true" => Ok(()),
        _ => Err("it is no standby".into()),
    }
}
