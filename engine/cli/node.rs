//! From a topology to a running node: the same assembly for every command that runs one.

use crate::archive::NodeArchive;
use crate::reload::{self, Origin};
use crate::settings::Settings;
use crate::{identity, version};
use anyhow::Result;
use aqueduct_actors::{Connected, catalog};
use aqueduct_engine::application::{self, Handle, RuntimeApplication};
use aqueduct_engine::telemetry::recorder;
use aqueduct_engine::{Catalog, Claims, Clock, OffsetStore, Outcome, Placement};
use aqueduct_topology::model::Topology;
use std::path::Path;
use std::sync::Arc;

/// What stands around the actors of one run.
pub(crate) struct Surroundings {
    /// How each actor is made.
    pub(crate) catalog: Catalog,
    /// Where offsets live.
    pub(crate) offsets: Arc<dyn OffsetStore>,
    /// The servers behind it, if it is they: what a reload goes on from.
    connected: Option<Connected>,
}

impl Surroundings {
    /// Something else than the servers that the topology names; such a node is not reloaded.
    pub(crate) fn among(catalog: Catalog, offsets: Arc<dyn OffsetStore>) -> Self {
        Self { catalog, offsets, connected: None }
    }
}

/// Who runs, and when.
pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) clock: Clock,
    pub(crate) claims: Claims,
}

/// Assembles `topology` on this node and runs it to its end, on an actix system of its own. `beside` runs with it, speaks
/// to it through its handle, and is dropped at its end. With an `origin` it can be reloaded.
pub(crate) fn run<F>(
    topology: Topology,
    settings: &Settings,
    origin: Option<Origin>,
    beside: impl FnOnce(Handle) -> F,
) -> Result<Outcome>
where
    F: Future<Output = ()> + 'static,
{
    run_from(topology, settings, origin, connected, beside)
}

/// The same among other surroundings than the topology's connections.
pub(crate) fn run_among<F>(
    topology: Topology,
    settings: &Settings,
    surroundings: impl FnOnce(Arc<Topology>, &Node) -> Result<Surroundings>,
    beside: impl FnOnce(Handle) -> F,
) -> Result<Outcome>
where
    F: Future<Output = ()> + 'static,
{
    run_from(topology, settings, None, surroundings, beside)
}

fn run_from<F>(
    topology: Topology,
    settings: &Settings,
    origin: Option<Origin>,
    surroundings: impl FnOnce(Arc<Topology>, &Node) -> Result<Surroundings>,
    beside: impl FnOnce(Handle) -> F,
) -> Result<Outcome>
where
    F: Future<Output = ()> + 'static,
{
    recorder::install()?;
    actix_rt::System::new().block_on(async move {
        let file = origin.as_ref().map(|origin| origin.file.as_path());
        let (mut application, connected) = assemble((topology, file), settings, surroundings)?;
        let reloads = match (origin, connected, application.reload_requests()) {
            (Some(origin), Some(connected), Some(requests)) => {
                let (budget, handle) = (settings.memory_budget_bytes, application.handle());
                Some(reload::serve(origin, budget, connected, handle, requests)?)
            }
            _ => None,
        };
        let _reloads = reloads.map(|reloads| aqueduct_engine::task::spawn("reloads", reloads));
        let _beside = aqueduct_engine::task::spawn("beside", beside(application.handle()));
        Ok(application.run().await)
    })
}

/// The servers that the topology names.
fn connected(topology: Arc<Topology>, node: &Node) -> Result<Surroundings> {
    let connected = Connected::new(topology, node.name.clone(), node.clock.clone(), node.claims.clone())?;
    let services = connected.services().clone();
    Ok(Surroundings {
        offsets: services.offsets.clone(),
        catalog: Box::new(move |actor| catalog::factory(actor, &services)),
        connected: Some(connected),
    })
}

/// What a reload goes on from.
type Reloadable = (Connected, Arc<NodeArchive>);

/// Must be called on a runtime: pools begin to count time when they are made.
fn assemble(
    (topology, file): (Topology, Option<&Path>),
    settings: &Settings,
    surroundings: impl FnOnce(Arc<Topology>, &Node) -> Result<Surroundings>,
) -> Result<(RuntimeApplication, Option<Reloadable>)> {
    let form = identity::form(&topology)?;
    let topology = Arc::new(topology);
    let node =
        Node { name: settings.node.as_str().into(), clock: Clock::system(), claims: Claims::default() };
    let Surroundings { catalog, offsets, connected } = surroundings(topology.clone(), &node)?;
    let connected = connected.map(|connected| {
        let archive = Arc::new(NodeArchive::new(connected.services(), file));
        (connected, archive)
    });
    let builder = RuntimeApplication::builder(topology);
    let builder = match &connected {
        Some((connected, archive)) => {
            connected.keep_secrets();
            builder.archive(archive.clone()).secrets(connected.secrets())
        }
        None => builder,
    };
    let application = builder
        .settings(application::Settings {
            node: node.name,
            signals: true,
            admin: Some(settings.admin.clone()),
            drain_deadline: settings.drain_deadline,
            stalled_after: settings.stalled_after,
            stuck_after: settings.stuck_after,
            traces: settings.traces.clone(),
        })
        .catalog(catalog)
        .offsets(offsets)
        .placement(Placement::arbiters(settings.arbiters))
        .clock(node.clock)
        .claims(node.claims)
        .canonical(form)
        .build_info(version::labels())
        .build()?;
    Ok((application, connected))
}
