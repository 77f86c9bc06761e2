//! From a topology to a running node: the same assembly for every command that runs one.

use crate::identity;
use crate::reload::{self, Origin};
use crate::settings::Settings;
use anyhow::Result;
use aqueduct_actors::{Connected, Services, catalog};
use aqueduct_engine::application::{self, Handle, RuntimeApplication};
use aqueduct_engine::telemetry::recorder;
use aqueduct_engine::{Claims, Clock, Outcome, Placement};
use aqueduct_topology::model::Topology;
use std::sync::Arc;

/// Assembles `topology` on this node and runs it to its end, on an actix system of its own. `beside` runs with it, speaks
/// to it through its handle, and is dropped at its end.
///
/// With an `origin` it can be reloaded.
pub(crate) fn run<F>(
    topology: Topology,
    settings: &Settings,
    origin: Option<Origin>,
    beside: impl FnOnce(Handle) -> F,
) -> Result<Outcome>
where
    F: Future<Output = ()> + 'static,
{
    recorder::install()?;
    actix_rt::System::new().block_on(async move {
        let (clock, claims) = (Clock::system(), Claims::default());
        let connected = Connected::new(Arc::new(topology), settings.node.as_str().into(), clock, claims)?;
        let mut application = assemble(settings, connected.services().clone())?;
        let reloads = match (origin, application.reload_requests()) {
            (Some(origin), Some(requests)) => {
                let memory_budget_bytes = settings.memory_budget_bytes;
                Some(reload::serve(origin, memory_budget_bytes, connected, application.handle(), requests)?)
            }
            _ => None,
        };
        let _reloads = reloads.map(|reloads| aqueduct_engine::task::spawn("reloads", reloads));
        let _beside = aqueduct_engine::task::spawn("beside", beside(application.handle()));
        Ok(application.run().await)
    })
}

/// Must be called on a runtime: pools begin to count time when they are made.
fn assemble(settings: &Settings, services: Services) -> Result<RuntimeApplication> {
    let Services { topology, node, clock, claims, offsets, .. } = services.clone();
    let form = identity::form(&topology)?;
    let application = RuntimeApplication::builder(topology)
        .settings(application::Settings {
            node,
            signals: true,
            admin: Some(settings.admin.clone()),
            drain_deadline: settings.drain_deadline,
            stalled_after: settings.stalled_after,
            stuck_after: settings.stuck_after,
        })
        .catalog(Box::new(move |actor| catalog::factory(actor, &services)))
        .offsets(offsets)
        .placement(Placement::arbiters(settings.arbiters))
        .clock(clock)
        .claims(claims)
        .canonical(form)
        .build()?;
    Ok(application)
}
