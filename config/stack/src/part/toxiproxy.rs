//! Toxiproxy: one plain process whose proxies stand between a client and a part. Its typed client is [`crate::toxiproxy`].
//!
//! It keeps its proxies in memory: one that was killed and started again knows none.

use std::ffi::OsString;
use std::time::Duration;

use super::Server;
use crate::dir::create;
use crate::error::Error;
use crate::http;
use crate::launch::arguments;

pub(super) fn prepare(server: &Server) -> Result<(), Error> {
    create(&server.launch.folder)
}

pub(super) fn command(server: &Server) -> Vec<OsString> {
    let mut command = arguments([&server.software]);
    command.extend(arguments(["-host", "127.0.0.1", "-port", &server.ports.port.to_string()]));
    command
}

/// Whether it says its version.
pub(super) fn check(address: &str, patience: Duration) -> Result<(), String> {
    http::request(address, "GET", "/version", "", patience).map(|_| ())
}
