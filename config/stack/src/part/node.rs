//! Engine nodes: the caller's own program, in the care of the instance like any server.
//!
//! Its name and its place are told by the environment (`AQUEDUCT_NODE`, `AQUEDUCT_ADMIN_LISTEN`); the rest is the caller's.

use std::ffi::OsString;
use std::time::Duration;

use serde_json::Value;

use super::{Part, Server};
use crate::dir::create;
use crate::error::Error;
use crate::http;
use crate::options::Nodes;

pub(super) fn prepare(server: &Server) -> Result<(), Error> {
    create(&server.launch.folder)
}

pub(super) fn command(server: &Server) -> Vec<OsString> {
    let mut command = vec![server.software.clone().into_os_string()];
    command.extend(server.arguments.iter().cloned());
    command
}

/// `staging-1` for the first.
pub(crate) fn name(part: Part, nodes: &Nodes) -> String {
    let index = Part::NODES.iter().position(|node| *node == part).expect("invariant: a node");
    format!("{}-{}", nodes.name, index + 1)
}

/// What the node is told, and by the caller before.
pub(crate) fn environment(part: Part, nodes: &Nodes, port: u16) -> Vec<(String, String)> {
    let own = [
        ("AQUEDUCT_NODE".to_owned(), name(part, nodes)),
        ("AQUEDUCT_ADMIN_LISTEN".to_owned(), format!("127.0.0.1:{port}")),
    ];
    nodes.environment.iter().cloned().chain(own).collect()
}

/// Whether each of its actors does its work.
pub(super) fn check(address: &str, patience: Duration) -> Result<(), String> {
    http::request(address, "GET", "/readyz", "", patience)
        .map(|_| ())
        .map_err(|said| why(&said).unwrap_or(said))
}

/// Who is not ready and why, of an answer that says so.
fn why(said: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(&said[said.find('{')?..]).ok()?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let waiting = answer["not_ready"]
        .as_array()?
        .iter()
        .map(|one| format!("{} is {}: {}", text(&one["actor"]), text(&one["state"]), text(&one["reason"])));
    let waiting: Vec<String> = waiting.collect();
    Some(if waiting.is_empty() { text(&answer["phase_reason"]) } else { waiting.join("; ") })
}

/// Whether it is there; who waits for a server lives.
pub(super) fn lives(address: &str, patience: Duration) -> Result<(), String> {
    http::request(address, "GET", "/livez", "", patience).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_ready_is_told_and_why() {
        let said = "GET /readyz answered 503: {\"not_ready\":[{\"actor\":\"ticks\",\"state\":\"waiting\",\"reason\":\"no broker\"}]}";
        assert_eq!(why(said).as_deref(), Some("ticks is waiting: no broker"));
        let early = "GET /readyz answered 503: {\"phase_reason\":\"starting\",\"not_ready\":[]}";
        assert_eq!(why(early).as_deref(), Some("starting"));
        assert_eq!(why("connection refused"), None);
    }
}
