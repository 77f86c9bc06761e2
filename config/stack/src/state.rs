//! What an instance remembers between processes: ports, Redis' password and since when each part runs.
//!
//! The file never says whether something lives: that is asked of the part's lock (see `process`).

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dir::write_whole;
use crate::error::Error;
use crate::part::Part;

const SCHEMA: u32 = 1;

/// The state file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    schema: u32,
    /// Password of Redis; none is the default, as it listens on loopback only.
    pub(crate) redis_password: Option<String>,
    pub(crate) parts: BTreeMap<Part, PartState>,
}

/// One part of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartState {
    pub(crate) port: u16,
    /// Kafka's controller listens here.
    pub(crate) controller_port: Option<u16>,
    /// When the part was last started, RFC 3339 in UTC.
    pub(crate) since: String,
}

impl State {
    /// The state of an instance that never ran.
    pub(crate) fn new(redis_password: Option<String>) -> Self {
        State { schema: SCHEMA, redis_password, parts: BTreeMap::new() }
    }

    /// The recorded state; `None` if there is none, or none that this version can read: ports are then chosen anew,
    /// which only `up` does, after it has ended what was running.
    pub(crate) fn load(path: &Path) -> Option<Self> {
        let state: State = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
        (state.schema == SCHEMA).then_some(state)
    }

    /// Replaces the file whole. Only its owner can read it, for it may hold a password.
    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(self).expect("invariant: the state is plain data");
        write_whole(path, &text)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(Error::io("protect", path))
    }
}

/// A random word of lower-case letters and digits, for passwords and unique names.
pub(crate) fn word(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_state_is_read_back_and_private_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let mut state = State::new(Some("pw".into()));
        state.parts.insert(Part::Kafka, PartState { port: 1, controller_port: Some(2), since: "now".into() });
        state.save(&path).unwrap();
        assert_eq!(State::load(&path), Some(state));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_state_of_another_version_or_half_a_state_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let text = serde_json::to_string(&State::new(None)).unwrap();
        fs::write(&path, text.replace("\"schema\":1", "\"schema\":99")).unwrap();
        assert_eq!(State::load(&path), None);
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert_eq!(State::load(&path), None);
    }
}
