//! Flag over environment over file over default.

use super::{ALL, Endpoint, Layer, Value};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What the defaults are on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its cores.
    pub cores: u32,
}

/// Who said a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The command line.
    Flag,
    /// A variable.
    Environment,
    /// `engine.yaml`.
    File,
    /// Nobody.
    Default,
}

impl Origin {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        }
    }
}

/// A setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its value; `None` = it is off.
    pub value: Option<Value>,
    /// Who said so.
    pub origin: Origin,
}

/// Every setting as it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSettings {
    said: BTreeMap<&'static str, Said>,
}

/// Lays the places over each other.
pub fn resolve(flags: &Layer, environment: &Layer, file: &Layer, machine: &Machine) -> NodeSettings {
    let places = [(Origin::Flag, flags), (Origin::Environment, environment), (Origin::File, file)];
    let said = ALL.iter().map(|setting| {
        let mut places = places.iter();
        let found = places.find_map(|(origin, layer)| {
            Some(Said { value: Some(layer.get(setting.key)?.clone()), origin: *origin })
        });
        let said =
            found.unwrap_or_else(|| Said { value: default(setting.key, machine), origin: Origin::Default });
        (setting.key, said)
    });
    NodeSettings { said: said.collect() }
}

/// What holds where nobody says anything.
fn default(key: &str, machine: &Machine) -> Option<Value> {
    Some(match key {
        "node" => Value::Text(machine.name.clone()),
        "admin.listen" => Value::Address(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464)),
        "log.filter" => Value::Text("info".to_owned()),
        "log.format" => Value::Text("text".to_owned()),
        "arbiters" => Value::Count(machine.cores.max(crate::placement::ARBITERS_USUAL)),
        "drain_deadline" => Value::Lasting(Duration::from_secs(30)),
        "watchdog.stalled_after" => Value::Lasting(Duration::from_secs(60)),
        "watchdog.stuck_after" => Value::Lasting(Duration::from_secs(30)),
        "traces.ratio" => Value::Share(10_000),
        _ => return None,
    })
}

impl NodeSettings {
    /// A setting of [`ALL`].
    ///
    /// # Panics
    /// If there is none of that name.
    pub fn said(&self, key: &str) -> &Said {
        self.said.get(key).unwrap_or_else(|| panic!("invariant: `{key}` is a setting"))
    }

    /// The node's name.
    pub fn node(&self) -> String {
        self.text("node").expect("invariant: a node has a name")
    }

    /// Where the HTTP side listens.
    pub fn admin_listen(&self) -> SocketAddr {
        match self.said("admin.listen").value {
            Some(Value::Address(address)) => address,
            ref other => unreachable!("invariant: it is an address, not {other:?}"),
        }
    }

    /// Where the bearer token is.
    pub fn admin_token_file(&self) -> Option<PathBuf> {
        self.text("admin.token_file").map(PathBuf::from)
    }

    /// Fields whose values are never shown, apart by commas.
    pub fn admin_redact(&self) -> String {
        self.text("admin.redact").unwrap_or_default()
    }

    /// Which lines are logged.
    pub fn log_filter(&self) -> String {
        self.text("log.filter").expect("invariant: there is a filter")
    }

    /// Whether they are objects.
    pub fn log_is_json(&self) -> bool {
        self.text("log.format").as_deref() == Some("json")
    }

    /// Threads that run actors.
    pub fn arbiters(&self) -> usize {
        match self.said("arbiters").value {
            Some(Value::Count(count)) => count as usize,
            ref other => unreachable!("invariant: it is a count, not {other:?}"),
        }
    }

    /// What a topology may hold in memory.
    pub fn memory_budget_bytes(&self) -> Option<u64> {
        match self.said("memory_budget").value {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// How long a drain may take.
    pub fn drain_deadline(&self) -> Duration {
        self.lasting("drain_deadline")
    }

    /// How long an actor may have input and settle nothing.
    pub fn stalled_after(&self) -> Duration {
        self.lasting("watchdog.stalled_after")
    }

    /// How long an arbiter may give no answer.
    pub fn stuck_after(&self) -> Duration {
        self.lasting("watchdog.stuck_after")
    }

    /// Where spans go; `None` = nobody traces.
    pub fn traces_endpoint(&self) -> Option<Endpoint> {
        match &self.said("traces.endpoint").value {
            Some(Value::Endpoint(endpoint)) => Some(endpoint.clone()),
            _ => None,
        }
    }

    /// Of how many batches, where their records do not say.
    pub fn traces_ratio(&self) -> f64 {
        match self.said("traces.ratio").value {
            Some(Value::Share(millionths)) => f64::from(millionths) / 1e6,
            ref other => unreachable!("invariant: it is a share, not {other:?}"),
        }
    }

    fn text(&self, key: &str) -> Option<String> {
        match &self.said(key).value {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    fn lasting(&self, key: &str) -> Duration {
        match self.said(key).value {
            Some(Value::Lasting(duration)) => duration,
            ref other => unreachable!("invariant: it is a duration, not {other:?}"),
        }
    }
}
