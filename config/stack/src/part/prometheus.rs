//! Prometheus: one plain process that asks and judges each second. Whom, and by which rules, it is told by
//! [`crate::prometheus`] while it runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Server;
use crate::dir::{create, write_whole};
use crate::error::Error;
use crate::http;
use crate::launch::arguments;

/// What it was told to watch is read again when it changes.
const SETTINGS: &str = "\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [\"rules/*.rules.yaml\"]
scrape_configs:
  - job_name: aqueduct
    file_sd_configs:
      - files: [\"targets.json\"]
        refresh_interval: 1s
";
/// A test needs minutes.
const RETENTION: &str = "--storage.tsdb.retention.time=30m";

/// Where it reads whom to ask.
pub(crate) fn targets(folder: &Path) -> PathBuf {
    folder.join("targets.json")
}

/// Where it reads rules.
pub(crate) fn rules(folder: &Path) -> PathBuf {
    folder.join("rules")
}

/// Targets and rules of an earlier start stay.
pub(super) fn prepare(server: &Server) -> Result<(), Error> {
    let folder = &server.launch.folder;
    create(folder)?;
    create(&rules(folder))?;
    write_whole(&folder.join("prometheus.yaml"), SETTINGS)?;
    if !targets(folder).exists() {
        write_whole(&targets(folder), "[]")?;
    }
    Ok(())
}

pub(super) fn command(server: &Server) -> Vec<OsString> {
    let folder = &server.launch.folder;
    let mut command = arguments([server.software.join("prometheus")]);
    command.extend(arguments([
        format!("--config.file={}", folder.join("prometheus.yaml").display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address=127.0.0.1:{}", server.ports.port),
    ]));
    command.extend(arguments([RETENTION, "--web.enable-lifecycle", "--log.level=warn"]));
    command
}

/// Whether it has read what it kept and takes questions.
pub(super) fn check(address: &str, patience: Duration) -> Result<(), String> {
    http::request(address, "GET", "/-/ready", "", patience).map(|_| ())
}
