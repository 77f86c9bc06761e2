//! From a topology file to the graph of a running node, by way of a plan.

use crate::archive::NodeArchive;
use crate::{file, identity};
use aqueduct_actors::{Connected, catalog};
use aqueduct_engine::{Handle, Next, ReloadAnswer, ReloadError};
use aqueduct_topology::model::Topology;
use aqueduct_topology::plan::{Aspect, Form, Plan};
use aqueduct_topology::{has_errors, to_json, to_text};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// What a node was started from, and what its actors share beyond a reload.
pub(crate) struct Reloader {
    pub(super) file: PathBuf,
    pub(super) memory_budget_bytes: Option<u64>,
    /// To what the topology at work is connected.
    pub(super) connected: Connected,
    /// Where people read what the stores remember.
    pub(super) archive: Arc<NodeArchive>,
}

/// The file cannot be applied: 422. Nothing could be done now: 409. It was done and taken back: 500.
const REFUSED: u16 = 422;
const CONFLICT: u16 = 409;
pub(super) const TAKEN_BACK: u16 = 500;

impl Reloader {
    /// Reads the file again, compares it with what runs, applies what differs.
    pub(super) async fn reload(&mut self, handle: &Handle) -> ReloadAnswer {
        let onto = handle.registry().generation();
        let refused = |mut body: Value| {
            body["applied"] = false.into();
            body["generation"] = handle.registry().generation().into();
            ReloadAnswer { status: REFUSED, body }
        };
        let (topology, form, plan) = match self.compare(handle) {
            Ok(compared) => compared,
            Err(body) => return refused(body),
        };
        let mut body = json!({ "plan": plan, "plan_text": plan.to_string() });
        if !plan.changes {
            body["applied"] = true.into();
            body["generation"] = onto.into();
            return ReloadAnswer { status: 200, body };
        }
        let problems: Vec<_> = plan.notes.iter().filter(|note| note.aspect == Aspect::Problem).collect();
        if !problems.is_empty() {
            let problems: Vec<_> =
                problems.iter().map(|note| format!("{}: {}", note.actor, note.text)).collect();
            body["error"] = problems.join("; ").into();
            return refused(body);
        }
        let (next, connected) = match self.next(topology, &form, &plan, onto) {
            Ok(prepared) => prepared,
            Err(error) => {
                body["error"] = format!("{error:#}").into();
                return refused(body);
            }
        };
        let (status, generation) = match handle.reload(next).await {
            Ok(generation) => {
                self.archive.follow(connected.services());
                connected.keep_secrets();
                self.connected = connected;
                (200, generation)
            }
            Err(error) => {
                let status = match error {
                    ReloadError::Refused(_) | ReloadError::Busy | ReloadError::Ended => CONFLICT,
                    ReloadError::RolledBack(_) => TAKEN_BACK,
                };
                body["error"] = error.to_string().into();
                (status, handle.registry().generation())
            }
        };
        body["applied"] = (status == 200).into();
        body["generation"] = generation.into();
        ReloadAnswer { status, body }
    }

    /// What [`Reloader::reload`] would do now, or what is wrong with the file.
    pub(super) fn plan(&self, handle: &Handle) -> ReloadAnswer {
        let mut body = match self.compare(handle) {
            Ok((_, _, plan)) => json!({ "plan": plan, "plan_text": plan.to_string() }),
            Err(body) => body,
        };
        body["file"] = self.file.display().to_string().into();
        body["generation"] = handle.registry().generation().into();
        ReloadAnswer { status: 200, body }
    }

    /// The topology of the file, its form, and how that differs from what runs.
    fn compare(&self, handle: &Handle) -> Result<(Topology, Form, Plan), Value> {
        let topology = self.read()?;
        let form = identity::of(&topology);
        match serde_json::from_value::<Form>(handle.registry().canonical()) {
            Ok(running) => {
                let plan = Plan::between(&running, &form);
                Ok((topology, form, plan))
            }
            Err(error) => Err(json!({ "error": format!("what runs has no form: {error}") })),
        }
    }

    /// The topology, or what is wrong with the file.
    fn read(&self) -> Result<Topology, Value> {
        let loaded = match file::read(&self.file) {
            Ok(loaded) => loaded.within(self.memory_budget_bytes),
            Err(error) => return Err(json!({ "error": format!("{error:#}") })),
        };
        match loaded.topology {
            Some(topology) if !has_errors(&loaded.diagnostics) => Ok(topology),
            _ => {
                let mut body = to_json(&loaded.source, &loaded.diagnostics);
                body["findings"] = to_text(&loaded.source, &loaded.diagnostics, false).into();
                body["error"] = format!("`{}` has errors", self.file.display()).into();
                Err(body)
            }
        }
    }

    fn next(
        &self,
        topology: Topology,
        form: &Form,
        plan: &Plan,
        onto: u64,
    ) -> anyhow::Result<(Next, Connected)> {
        let topology = Arc::new(topology);
        let connected = self.connected.next(topology.clone())?;
        let services = connected.services().clone();
        let restart = plan.actors.iter().filter(|actor| actor.restarts()).map(|actor| actor.name.clone());
        let next = Next {
            topology,
            canonical: serde_json::to_value(form)?,
            offsets: Some(services.offsets.clone()),
            catalog: Box::new(move |actor| catalog::factory(actor, &services)),
            restart: restart.collect(),
            onto,
        };
        Ok((next, connected))
    }
}
