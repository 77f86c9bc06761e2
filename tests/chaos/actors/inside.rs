//! A node inside the test: the real kinds on the real parts, assembled as `run` assembles them, with faults that can be
//! sent to any actor. The product's own binary has no such door.

use super::super::stage::{BOUND, Stage};
use super::fault::{Faults, armed};
use crate::harness::wait;
use aqueduct_actors::{Connected, catalog};
use aqueduct_engine::application::{Handle, RuntimeApplication, Settings};
use aqueduct_engine::telemetry::recorder;
use aqueduct_engine::{Claims, Clock, Outcome, Placement};
use aqueduct_topology::model::Topology;
use aqueduct_topology::{Source, load};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// After how long a thread that does not answer is given up here; the default would hold the scenario up.
const STUCK_AFTER: Duration = Duration::from_secs(1);

/// A running application.
pub struct Inside {
    pub handle: Handle,
    pub faults: Arc<Faults>,
    thread: Option<JoinHandle<Outcome>>,
}

impl Inside {
    /// Runs the topology of `stage`.
    pub fn start(stage: &Stage) -> Self {
        let topology = topology(stage);
        let faults = Arc::new(Faults::default());
        let sent = faults.clone();
        let (tell, told) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let application = assemble(topology, sent);
                tell.send(application.handle()).expect("somebody waits for it");
                application.run().await
            })
        });
        let handle = told.recv_timeout(BOUND).expect("the application is assembled");
        Self { handle, faults, thread: Some(thread) }
    }

    /// How its actor `name` ended last; waits until it was started again after that.
    pub fn await_restart(&self, name: &str, restarts_before: u64) -> String {
        wait::until(&format!("a restart of {name}"), BOUND, || {
            let actor = self.handle.observe(name).expect("an actor of the topology");
            (actor.restarts > restarts_before).then(|| actor.last_exit.unwrap_or_default())
        })
    }

    pub fn restarts(&self, name: &str) -> u64 {
        self.handle.observe(name).expect("an actor of the topology").restarts
    }

    /// Drains it to its end.
    pub fn drain(mut self) -> Outcome {
        futures::executor::block_on(self.handle.drain());
        let thread = self.thread.take().expect("it runs");
        wait::until("the end of the drain", BOUND, || thread.is_finished().then_some(()));
        thread.join().expect("the application ends well")
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.faults.let_go();
        futures::executor::block_on(self.handle.abort());
        // A test that fails already has nothing to add.
        let _ = thread.join();
    }
}

fn topology(stage: &Stage) -> Arc<Topology> {
    let name = stage.file.display().to_string();
    let (source, _) = Source::from_bytes(&name, std::fs::read(&stage.file).expect("the topology file"));
    let address = |variable: &str| match variable {
        "KAFKA_BOOTSTRAP" => Some(stage.world.stack().kafka_bootstrap()),
        "TIMESCALE_URL" => Some(stage.world.database_url().to_owned()),
        "REDIS_URL" => Some(stage.world.stack().redis_url()),
        _ => None,
    };
    let (topology, diagnostics) = load(&source, &address);
    Arc::new(topology.unwrap_or_else(|| panic!("{diagnostics:?}")))
}

fn assemble(topology: Arc<Topology>, faults: Arc<Faults>) -> RuntimeApplication {
    recorder::install().expect("the recorder");
    let (clock, claims, node) = (Clock::system(), Claims::default(), Arc::<str>::from("inside"));
    let connected = Connected::new(topology.clone(), node.clone(), clock.clone(), claims.clone());
    let services = connected.expect("connections").services().clone();
    let offsets = services.offsets.clone();
    RuntimeApplication::builder(topology)
        .settings(Settings { node, stuck_after: STUCK_AFTER, ..Settings::default() })
        .catalog(Box::new(move |actor| {
            let inner = catalog::factory(actor, &services)?;
            Ok(armed(&actor.name.value, inner, faults.clone()))
        }))
        .offsets(offsets)
        .placement(Placement::arbiters(2))
        .clock(clock)
        .claims(claims)
        .build()
        .expect("an application")
}
