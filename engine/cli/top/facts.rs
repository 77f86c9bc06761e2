//! What a node says of itself, read from the same places as its page.
//!
//! What a node of another version does not say is empty, not an error. Deliberately absent: rates; they need two looks.

use crate::http::Node;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Events kept for the pane.
const EVENTS_MAX: usize = 200;

/// One look at a node.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    pub(super) node: About,
    pub(super) ready: Ready,
    pub(super) actors: Vec<Actor>,
    pub(super) ledger: Vec<LedgerLine>,
    /// Newest last; empty where the node does not show them.
    pub(super) events: Vec<Event>,
    /// When it was taken, microseconds since 1970 UTC.
    pub(super) at_us: i64,
}

/// `/api/topology`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub(super) topology: String,
    pub(super) node: String,
    pub(super) version: String,
    pub(super) phase: String,
    pub(super) generation: u64,
    pub(super) started_us: i64,
}

/// `/readyz`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ready {
    pub(super) ready: bool,
    pub(super) phase_reason: String,
    pub(super) not_ready: Vec<NotReady>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NotReady {
    pub(super) actor: String,
    pub(super) state: String,
    pub(super) reason: String,
    pub(super) since_us: i64,
}

/// One of `/api/actors`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Actor {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) role: String,
    pub(super) supervisor: String,
    pub(super) state: String,
    pub(super) reason: Option<String>,
    pub(super) since_us: i64,
    pub(super) ready: bool,
    pub(super) restarts: u64,
    pub(super) last_exit: Option<String>,
    pub(super) progress: u64,
    pub(super) last_contact_us: Option<i64>,
    pub(super) last_write_us: Option<i64>,
    pub(super) blocked_seconds: f64,
    pub(super) inputs: Vec<Input>,
    pub(super) dead_letters: BTreeMap<String, u64>,
    pub(super) lag: Vec<Lag>,
    pub(super) figures: Vec<Figure>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    pub(super) from: String,
    pub(super) batches: u64,
    pub(super) bytes: u64,
    pub(super) ratio: f64,
    /// Records that ever entered it.
    pub(super) records: Option<u64>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Lag {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) records: i64,
    pub(super) seconds: f64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) labels: Map<String, Value>,
    pub(super) value: f64,
}

/// One of `/api/ledger`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct LedgerLine {
    pub(super) source: String,
    pub(super) read: u64,
    pub(super) written: u64,
    pub(super) dead_lettered: u64,
    pub(super) in_flight: u64,
    pub(super) unaccounted: i64,
}

/// One of `/api/events`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Event {
    pub(super) id: u64,
    pub(super) at_us: i64,
    pub(super) subject: String,
    pub(super) what: String,
    pub(super) detail: String,
}

/// Looks at a node; `before` is what was seen last.
pub(super) fn look(node: &Node, before: &Facts, now_us: i64) -> Result<Facts> {
    let about: About = read(node, "/api/topology", &[200])?;
    // A process that was started since numbers its events anew.
    let same = about.started_us == before.node.started_us;
    let mut events = if same { before.events.clone() } else { Vec::new() };
    let last = events.last().map_or(0, |event| event.id);
    // Events quote values: beyond loopback they need the token, and everything else is worth showing without them.
    let news: Vec<Event> = read(node, &format!("/api/events?after={last}"), &[200]).unwrap_or_default();
    events.extend(news);
    events.drain(..events.len().saturating_sub(EVENTS_MAX));
    Ok(Facts {
        ready: read(node, "/readyz", &[200, 503])?,
        actors: read(node, "/api/actors", &[200])?,
        ledger: read(node, "/api/ledger", &[200])?,
        node: about,
        events,
        at_us: now_us,
    })
}

fn read<T: DeserializeOwned>(node: &Node, path: &str, statuses: &[u16]) -> Result<T> {
    let answer = node.get(path)?;
    if !statuses.contains(&answer.status) {
        bail!("it answered {} to {path}", answer.status);
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("its answer to {path} cannot be read"))
}
