//! What an instance remembers between processes: ports, Redis' password and since when each part runs.
//!
//! The file never says whether something lives: that is asked of the part's lock (see `process`).

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::dir::write_whole;
use crate::error::Error;
use crate::options::{Access, Options};
use crate::part::Part;
use crate::port;

const SCHEMA: u32 = 1;

/// The state file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    schema: u32,
    /// Password of Redis; none is the default, as it listens on loopback only.
    pub(crate) redis_password: Option<String>,
    /// Who is let in; left out where everybody is, as earlier versions wrote it.
    #[serde(default, skip_serializing_if = "Access::is_open")]
    pub(crate) access: Access,
    pub(crate) parts: BTreeMap<Part, PartState>,
}

/// One part of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartState {
    pub(crate) port: u16,
    /// Kafka's controller listens here.
    pub(crate) controller_port: Option<u16>,
    /// Ports that only some options ask for; left out where there are none, as earlier versions wrote it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) further: BTreeMap<Port, u16>,
    /// When the part was last started, RFC 3339 in UTC.
    pub(crate) since: String,
}

/// What a port beside those that a part always has is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Port {
    /// Where it speaks TLS.
    Encrypted,
    /// Where a broker speaks TLS and asks for a client's certificate.
    Mutual,
    /// A broker's listener for clients that come through Toxiproxy.
    Proxied,
    /// Where that listener sends them: reserved for the proxy, the broker itself does not listen there.
    Advertised,
}

impl PartState {
    /// A part on ports that nobody uses now; it keeps those of `former` if all of them are free.
    pub(crate) fn plan(part: Part, former: Option<&PartState>, options: &Options) -> Result<Self, Error> {
        let wanted = part.further_ports(options);
        if let Some(former) = former.filter(|former| former.free() && former.is_for(part, options)) {
            return Ok(PartState { since: now(), ..former.clone() });
        }
        let always = if part.is_broker() { 2 } else { 1 };
        let ports = port::free(always + wanted.len())?;
        Ok(PartState {
            port: ports[0],
            controller_port: part.is_broker().then(|| ports[1]),
            further: wanted.into_iter().zip(ports[always..].iter().copied()).collect(),
            since: now(),
        })
    }

    /// Whether these are the ports that the options ask for.
    pub(crate) fn is_for(&self, part: Part, options: &Options) -> bool {
        self.further.keys().copied().eq(part.further_ports(options))
    }

    /// Whether a server could listen on each of the ports now.
    pub(crate) fn free(&self) -> bool {
        let all =
            std::iter::once(self.port).chain(self.controller_port).chain(self.further.values().copied());
        all.into_iter().all(port::is_free)
    }

    /// The port for this purpose.
    pub(crate) fn further(&self, port: Port) -> Option<u16> {
        self.further.get(&port).copied()
    }

    /// The same ports, taken into use now.
    pub(crate) fn started_now(&self) -> Self {
        PartState { since: now(), ..self.clone() }
    }
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl State {
    /// The state of an instance that never ran.
    pub(crate) fn new(redis_password: Option<String>) -> Self {
        State { schema: SCHEMA, redis_password, access: Access::Open, parts: BTreeMap::new() }
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

/// A password: 128 bits that nobody can guess.
pub(crate) fn password() -> String {
    let mut bytes = [0_u8; 16];
    let filled = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    filled.expect("invariant: every Linux has /dev/urandom");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A random word of lower-case letters and digits, for unique names.
pub(crate) fn word(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lifetime, StackDir};

    fn kafka() -> PartState {
        PartState { port: 1, controller_port: Some(2), further: BTreeMap::new(), since: "now".into() }
    }

    #[test]
    fn a_part_moves_only_if_its_ports_are_taken_or_others_are_asked_for() {
        let options = Options::new(StackDir::new("/cache").unwrap(), "a", Lifetime::Kept);
        let first = PartState::plan(Part::Kafka, None, &options).unwrap();
        assert!(first.is_for(Part::Kafka, &options) && first.controller_port.is_some());
        let again = PartState::plan(Part::Kafka, Some(&first), &options).unwrap();
        assert_eq!((again.port, again.controller_port), (first.port, first.controller_port));

        let proxied = options.parts(&[Part::Kafka, Part::Toxiproxy]);
        let wider = PartState::plan(Part::Kafka, Some(&first), &proxied).unwrap();
        assert!(wider.further(Port::Proxied).is_some() && wider.further(Port::Advertised).is_some());

        let taken = std::net::TcpListener::bind(("127.0.0.1", wider.port)).unwrap();
        let moved = PartState::plan(Part::Kafka, Some(&wider), &proxied).unwrap();
        assert_ne!(moved.port, wider.port);
        drop(taken);
    }

    #[test]
    fn a_saved_state_is_read_back_and_private_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        let mut state = State::new(Some("pw".into()));
        state.parts.insert(Part::Kafka, kafka());
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
