//! PostgreSQL with TimescaleDB inside the Debian root.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;
use std::time::Duration;

use super::Server;
use crate::dir::{create, remove_tree, write_private, write_whole};
use crate::error::Error;
use crate::launch::{Place, arguments, tail};
use crate::options::Access;
use crate::part::Part;
use crate::secured;
use crate::sql::Session;
use crate::time::Deadline;
use crate::tls::Trust;

/// The user, who owns the server, and the database that `furnish` creates.
pub(crate) const NAME: &str = "aqueduct";

/// A folder of the server on a disk of 64 MB, empty at each start: for tests that fill it.
pub const SMALL_DISK: &str = "/srv";

pub(super) const BIN: &str = "/usr/lib/postgresql/17/bin";

/// Gives a database the extension, without its greeting.
pub(crate) const EXTENSION: &str =
    "set client_min_messages = warning; create extension if not exists timescaledb";

/// Settings for a machine of two cores. Durability stays at its defaults: tests of crashes depend on it.
///
/// Each database with the extension keeps one background worker, and each test has a database of its own.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
unix_socket_directories = '/instance'
max_connections = 300
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
timescaledb.max_background_workers = 48
max_worker_processes = 64
shared_buffers = 256MB
max_wal_size = 4GB
min_wal_size = 256MB
checkpoint_timeout = 15min
checkpoint_completion_target = 0.9
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
";

/// Writes the configuration; creates the data folder if there is none.
pub(super) fn prepare(server: &Server, deadline: Deadline) -> Result<(), Error> {
    let launch = &server.launch;
    let folder = &launch.folder;
    let Place::Root { uid, gid, .. } = launch.place else {
        return Err(Error::Unusable("PostgreSQL runs inside the Debian root only".into()));
    };
    create(folder)?;
    chown(folder, Some(uid), Some(gid)).map_err(Error::io("give to postgres", folder))?;
    give_certificates(server, (uid, gid))?;
    let data = folder.join("data");
    if !data.exists() {
        initialise(server, (uid, gid), deadline)?;
    }
    configure(server, (uid, gid))
}

/// Lets the server's own user read its certificates.
pub(super) fn give_certificates(server: &Server, (uid, gid): (u32, u32)) -> Result<(), Error> {
    server
        .certificates
        .iter()
        .try_for_each(|path| chown(path, Some(uid), Some(gid)).map_err(Error::io("give to postgres", path)))
}

/// Writes the settings beside the data, which are there.
pub(super) fn configure(server: &Server, (uid, gid): (u32, u32)) -> Result<(), Error> {
    let data = server.launch.folder.join("data");
    // Left by a crash. Process ids start anew in each namespace, so the number in it says nothing; that no process of
    // this part lives is known from its lock.
    let stale = data.join("postmaster.pid");
    if stale.exists() {
        fs::remove_file(&stale).map_err(Error::io("delete", &stale))?;
    }
    let mut text = format!("{SETTINGS}port = {}\n", server.ports.port);
    let lines = match server.access {
        Access::Open => None,
        Access::Both => Some(secured::POSTGRES_ACCESS),
        Access::Closed => Some(secured::POSTGRES_CLOSED),
    };
    if let Some(lines) = lines {
        text.push_str(&secured::postgres_settings());
        let access = data.join("pg_hba.conf");
        write_whole(&access, lines)?;
        chown(&access, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &access))?;
    }
    let settings = data.join("postgresql.conf");
    write_whole(&settings, &text)?;
    chown(&settings, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &settings))
}

/// `initdb` into a folder of another name, which is renamed when complete: an interrupted one starts again cleanly.
fn initialise(server: &Server, (uid, gid): (u32, u32), deadline: Deadline) -> Result<(), Error> {
    let launch = &server.launch;
    let new = launch.folder.join("data.new");
    remove_tree(&new)?;
    let secret = launch.folder.join("password.new");
    write_private(&secret, server.password(Part::Timescale))?;
    chown(&secret, Some(uid), Some(gid)).map_err(Error::io("give to postgres", &secret))?;
    let initdb = format!("{BIN}/initdb");
    let command = arguments([
        initdb.as_str(),
        "--pgdata=/instance/data.new",
        "--pwfile=/instance/password.new",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-instructions",
        "--username",
        NAME,
    ]);
    let done = launch.run(&command, deadline);
    fs::remove_file(&secret).map_err(Error::io("delete", &secret))?;
    if !done? {
        return Err(Error::Start {
            part: Part::Timescale,
            why: "initdb failed".into(),
            log: launch.log.clone(),
            tail: tail(&launch.log),
        });
    }
    let data = launch.folder.join("data");
    fs::rename(&new, &data).map_err(Error::io("create", &data))
}

pub(super) fn command() -> Vec<OsString> {
    arguments([format!("{BIN}/postgres").as_str(), "-D", "/instance/data"])
}

/// The address of database `name` on loopback.
pub(crate) fn url(port: u16, password: &str, database: &str) -> String {
    format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{database}")
}

/// Whether the database answers a query.
pub(super) fn check(url: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let session = Session::new(url, patience)?.believing(trust);
    session.text("select 1::text", None).map(|_| ()).map_err(|error| error.to_string())
}

/// Makes sure that the database exists and has the extension; until the server is up, it says why it cannot.
pub(super) fn furnish(url: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let session = Session::new(url, patience)?.believing(trust);
    match session.text("select extname::text from pg_extension where extname = 'timescaledb'", None) {
        // Nothing is missing, and a server that takes no writes need take none.
        Ok(Some(_)) => return Ok(()),
        Ok(None) => Ok(()),
        Err(error) if error.is_missing_database() => session
            .in_database("postgres")
            .execute_formatted("select format('create database %I', $1::text)", NAME),
        Err(error) => Err(error),
    }
    .and_then(|()| session.batch(EXTENSION))
    .map_err(|error| error.to_string())
}

/// The same address with another database, its parameters kept.
pub(crate) fn replace_database(url: &str, database: &str) -> String {
    let (address, parameters) =
        url.split_once('?').map_or((url, None), |(address, rest)| (address, Some(rest)));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let end = address[authority..].find('/').map_or(address.len(), |at| authority + at);
    let parameters = parameters.map(|rest| format!("?{rest}")).unwrap_or_default();
    format!("{}/{database}{parameters}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_an_address_is_replaced() {
        assert_eq!(
            replace_database("postgres://u:p@h:1/a?sslmode=prefer", "b"),
            "postgres://u:p@h:1/b?sslmode=prefer"
        );
        assert_eq!(replace_database("postgres://h", "b"), "postgres://h/b");
    }
}
