//! Redis Sentinel: watches the instance's Redis, and promotes the replica when that is gone for too long.
//!
//! One alone, so its own word is the quorum. It keeps what it knows in its configuration file.
//! Deliberately absent: anybody who tells a client; a client asks it (`SENTINEL GET-MASTER-ADDR-BY-NAME`).

use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use super::{Part, Server, redis};
use crate::dir::{create, write_private};
use crate::error::Error;
use crate::launch::arguments;
use crate::options::Access;
use crate::secured;
use crate::tls::Trust;

/// What it calls the Redis that it watches.
pub(crate) const WATCHED: &str = "aqueduct";

const SETTINGS_FILE: &str = "sentinel.conf";
const SETTINGS: &str = "\
bind 127.0.0.1
daemonize no
dir /instance
logfile \"\"
";
/// How long Redis must be silent to count as lost, and how long a promotion may take before it is tried anew.
const DOWN_AFTER_MS: u32 = 5_000;
const FAILOVER_MS: u32 = 20_000;

/// Writes the first configuration; a later one is its own.
pub(super) fn prepare(server: &Server) -> Result<(), Error> {
    let folder = &server.launch.folder;
    create(folder)?;
    let settings = folder.join(SETTINGS_FILE);
    if !redis::is_told_by_sentinel(server, &fs::read_to_string(&settings).unwrap_or_default()) {
        write_private(&settings, &text(server))?;
    }
    let own = [folder.clone(), settings].into_iter().chain(server.certificates.clone());
    redis::give(server, own.collect())
}

/// The port of the Redis that leads, by what Sentinel has kept; `None` before its first start.
pub(super) fn leader(server: &Server) -> Option<u16> {
    let settings = server.launch.folder.with_file_name(Part::Sentinel.name()).join(SETTINGS_FILE);
    watched(&fs::read_to_string(settings).ok()?)
}

fn watched(settings: &str) -> Option<u16> {
    let monitor = format!("sentinel monitor {WATCHED} ");
    settings.lines().find(|line| line.starts_with(&monitor)).and_then(redis::leads_to)
}

fn text(server: &Server) -> String {
    let port = server.ports.port;
    let watched = server.peers.get(&Part::Redis).map(|ports| ports.port).unwrap_or_default();
    let mut text = match server.access {
        Access::Open | Access::Both => format!("{SETTINGS}port {port}\n"),
        Access::Closed => format!(
            "{SETTINGS}port 0\n{}tls-replication yes\nrequirepass \"{}\"\n",
            secured::redis_settings(port),
            server.password(Part::Sentinel)
        ),
    };
    text += &format!(
        "sentinel monitor {WATCHED} 127.0.0.1 {watched} 1\n\
         sentinel down-after-milliseconds {WATCHED} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {WATCHED} {FAILOVER_MS}\n"
    );
    if server.access == Access::Closed {
        let password = server.password(Part::Sentinel);
        text += &format!(
            "sentinel auth-user {WATCHED} {}\nsentinel auth-pass {WATCHED} {password}\n",
            Part::Sentinel.name()
        );
    } else if let Some(password) = &server.redis_password {
        text += &format!("sentinel auth-pass {WATCHED} {password}\n");
    }
    text
}

pub(super) fn command() -> Vec<OsString> {
    arguments(["/usr/bin/redis-server", "/instance/sentinel.conf", "--sentinel"])
}

/// Whether it could decide to promote somebody.
pub(super) fn check(url: &str, trust: Option<&Trust>, patience: Duration) -> Result<(), String> {
    let answer = redis::ask(url, trust, &["SENTINEL", "CKQUORUM", WATCHED], patience)?;
    if answer.starts_with("+OK") { Ok(()) } else { Err(format!("it says `{answer}`")) }
}
