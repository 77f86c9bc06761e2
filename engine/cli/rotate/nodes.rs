//! The nodes that use a login, and what they say of it.

use crate::http::Node;
use crate::stores;
use anyhow::{Context, Result, bail};
use aqueduct_actors::rotation::{Admin, Part};
use aqueduct_actors::timescale::connect::node_of_session;
use aqueduct_actors::timescale::{Connection, Connector, exclusive};
use aqueduct_engine::Clock;
use aqueduct_topology::model::Topology;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How often nodes are asked.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// Sessions of this topology, whoever has them; others than our own are seen only by who may see them.
const SESSIONS: &str = "\
    SELECT DISTINCT application_name FROM pg_catalog.pg_stat_activity \
    WHERE application_name LIKE 'aqueduct/%' AND pid <> pg_catalog.pg_backend_pid()";
/// The name of our own sessions.
const OURS: &str = "rotate";

/// See the module.
pub(super) struct Nodes {
    all: Vec<Known>,
}

struct Known {
    node: Node,
    /// Empty until it has said so.
    name: String,
}

#[derive(Deserialize)]
struct Secret {
    connection: String,
    secret: String,
    generation: Option<String>,
    older_connections: usize,
    refused: Option<Refused>,
}

#[derive(Deserialize)]
struct Refused {
    reason: String,
}

#[derive(Deserialize)]
struct About {
    topology: String,
    node: String,
}

impl Nodes {
    pub(super) fn new(urls: &[String]) -> Self {
        let known = |url: &String| Known { node: Node { url: url.clone() }, name: String::new() };
        Self { all: urls.iter().map(known).collect() }
    }

    /// Asks each for its name; fails where one does not answer, or runs something else.
    pub(super) fn know(&mut self, topology: &Topology) -> Result<()> {
        for known in &mut self.all {
            let about: About = ask(&known.node, "/api/topology")?;
            if about.topology != topology.name.value {
                bail!("{} runs `{}`, not `{}`", known.node.shown(), about.topology, topology.name.value);
            }
            known.name = about.node;
        }
        Ok(())
    }

    /// Waits until all log in with `generation` and nothing of theirs is open with an earlier one. What is to be said of
    /// those that do not; empty = all do.
    pub(super) async fn wait_for(
        &self,
        part: Part,
        generation: &str,
        wait: Duration,
        clock: &Clock,
    ) -> Vec<String> {
        let until = clock.now() + wait;
        loop {
            let lagging: Vec<String> =
                self.all.iter().filter_map(|known| known.lags(part, generation).err()).collect();
            if lagging.is_empty() || clock.now() >= until {
                return lagging;
            }
            clock.sleep(ASK_EVERY).await;
        }
    }

    /// Nodes that have sessions in the database and were not named: nobody has their word.
    pub(super) async fn strangers(&self, topology: &Topology, admin: &Admin) -> Result<Vec<String>> {
        let Some(connection) = connect(topology, admin).await? else { return Ok(Vec::new()) };
        let rows = stores::answered(connection.rows("see whose sessions there are", SESSIONS, &[]).await)?;
        let known: BTreeSet<&str> = self.all.iter().map(|known| known.name.as_str()).chain([OURS]).collect();
        let sessions: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        let nodes: BTreeSet<&str> = sessions
            .iter()
            .filter_map(|session| node_of_session(session, &topology.name.value, &known))
            .collect();
        let told = |node: &str| {
            format!(
                "node `{node}` has sessions in the database and was not named; add its --node URL, or stop it"
            )
        };
        Ok(nodes.into_iter().map(told).collect())
    }
}

impl fmt::Display for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            self.all.iter().map(|known| format!("`{}` at {}", known.name, known.node.shown())).collect();
        f.write_str(&names.join(", "))
    }
}

impl Known {
    /// An error says how it does not log in with `generation` alone.
    fn lags(&self, part: Part, generation: &str) -> Result<(), String> {
        let who = format!("node `{}` at {}", self.name, self.node.shown());
        let secrets: Vec<Secret> =
            ask(&self.node, "/api/secrets").map_err(|error| format!("{who} does not say: {error:#}"))?;
        let named = |secret: &&Secret| secret.connection == part.name() && secret.secret == "login";
        let Some(secret) = secrets.iter().find(named) else {
            return Err(format!("{who} follows no login of {}; does it run this file?", part.name()));
        };
        if secret.generation.as_deref() != Some(generation) {
            let has = secret.generation.as_deref().unwrap_or("none yet");
            let why = secret.refused.as_ref().map(|it| format!("; it refuses another: {}", it.reason));
            return Err(format!("{who} has generation {has}{}", why.unwrap_or_default()));
        }
        match secret.older_connections {
            0 => Ok(()),
            count => Err(format!("{who} has {count} connections that were opened with an earlier login")),
        }
    }
}

/// A session in the topology's database, of whoever may see most; `None` = it has none.
async fn connect(topology: &Topology, admin: &Admin) -> Result<Option<Connection>> {
    let connection = match (admin, &topology.connections.timescale) {
        (Admin::Timescale(connection), _) | (_, Some(connection)) => connection,
        (_, None) => return Ok(None),
    };
    let connector = Connector::new(connection, &topology.name.value, OURS, Clock::system())?;
    stores::answered(connector.connect().await).map(Some)
}

/// Keeps other operators from the same secret, for as long as what is given lives.
pub(super) async fn alone(topology: &Topology, part: Part, admin: &Admin) -> Result<Option<Connection>> {
    let Some(connection) = connect(topology, admin).await? else { return Ok(None) };
    let name = format!("aqueduct rotate {} {}", topology.name.value, part.name());
    if !stores::answered(exclusive::try_own(&connection, "keep others away", &name).await)? {
        bail!(
            "somebody else is rotating {} of `{}` right now; wait for them",
            part.name(),
            topology.name.value
        );
    }
    Ok(Some(connection))
}

fn ask<T: serde::de::DeserializeOwned>(node: &Node, path: &str) -> Result<T> {
    let answer = node.get(path)?;
    if answer.status != 200 {
        bail!("{}{path} answers {}; set AQUEDUCT_ADMIN_TOKEN to its token", node.shown(), answer.status);
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("what {}{path} says", node.shown()))
}
