//! From a topology to a running node: the same assembly for every command that runs one.

use crate::settings::Settings;
use anyhow::Result;
use aqueduct_actors::{Services, catalog};
use aqueduct_engine::application::{self, Handle, RuntimeApplication};
use aqueduct_engine::telemetry::recorder;
use aqueduct_engine::{Claims, Clock, Outcome, Placement};
use aqueduct_topology::model::Topology;
use std::sync::Arc;

/// A node that has been assembled and not started.
pub(crate) struct Node {
    application: RuntimeApplication,
    arbiters: usize,
}

impl Node {
    /// Assembles `topology` on this node.
    pub(crate) fn new(topology: Topology, settings: &Settings) -> Result<Self> {
        recorder::install()?;
        let topology = Arc::new(topology);
        let (clock, claims) = (Clock::system(), Claims::default());
        let services =
            Services::new(topology.clone(), settings.node.as_str().into(), clock.clone(), claims.clone())?;
        let offsets = services.offsets.clone();
        let application = RuntimeApplication::builder(topology)
            .settings(application::Settings {
                node: settings.node.as_str().into(),
                signals: true,
                admin: Some(settings.admin.clone()),
                ..application::Settings::default()
            })
            .catalog(Box::new(move |actor| catalog::factory(actor, &services)))
            .offsets(offsets)
            .placement(Placement::arbiters(settings.arbiters))
            .clock(clock)
            .claims(claims)
            .build()?;
        Ok(Self { application, arbiters: settings.arbiters })
    }

    /// Speaks to it, before and while it runs.
    pub(crate) fn handle(&self) -> Handle {
        self.application.handle()
    }

    /// Runs it to its end on an actix system of its own; `beside` runs with it and is dropped at its end.
    pub(crate) fn run(self, beside: impl Future<Output = ()> + 'static) -> Outcome {
        tracing::debug!(arbiters = self.arbiters, "starting");
        actix_rt::System::new().block_on(async move {
            let _beside = aqueduct_engine::task::spawn("beside", beside);
            self.application.run().await
        })
    }
}
