//! From a topology to a running node: the same assembly for every command that runs one.

use crate::identity;
use crate::reload::{self, Origin};
use crate::settings::Settings;
use anyhow::Result;
use aqueduct_actors::{Services, catalog};
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
        let mut application = assemble(topology, settings, clock.clone(), claims.clone())?;
        let reloads = match (origin, application.reload_requests()) {
            (Some(origin), Some(requests)) => {
                let shared = reload::Shared {
                    memory_budget_bytes: settings.memory_budget_bytes,
                    node: settings.node.as_str().into(),
                    clock,
                    claims,
                };
                Some(reload::serve(origin, shared, application.handle(), requests)?)
            }
            _ => None,
        };
        let _reloads = reloads.map(|reloads| aqueduct_engine::task::spawn("reloads", reloads));
        let _beside = aqueduct_engine::task::spawn("beside", beside(application.handle()));
        Ok(application.run().await)
    })
}

/// Must be called on a runtime: pools begin to count time when they are made.
fn assemble(
    topology: Topology,
    settings: &Settings,
    clock: Clock,
    claims: Claims,
) -> Result<RuntimeApplication> {
    let form = identity::form(&topology)?;
    let topology = Arc::new(topology);
    let node: Arc<str> = settings.node.as_str().into();
    let services = Services::new(topology.clone(), node.clone(), clock.clone(), claims.clone())?;
    let offsets = services.offsets.clone();
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
