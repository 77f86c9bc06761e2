//! `RuntimeApplication`: the one builder through which every entry point (run, test, try, backfill, drill) assembles
//! and runs its tree.

use crate::admin::{self, AdminSettings};
use crate::archive::Archive;
use crate::assemble::{self, Catalog, Plan};
use crate::claim::{Claims, OffsetStore};
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::events::Events;
use crate::graph::{Draft, Graph, Shared};
use crate::ledger::Ledger;
use crate::letter::DeadLetterPort;
use crate::lifecycle::conductor::{Conductor, Parts, Patience};
use crate::lifecycle::reload::{Next, ReloadAnswer, ReloadError, ReloadRequest, Wanted};
use crate::lifecycle::signal::Signals;
use crate::lifecycle::tally::ReloadTally;
use crate::lifecycle::{Command, EXIT_CONFIG, Outcome};
use crate::placement::{Placement, Seats};
use crate::registry::{ActorView, Phase, PhaseView, Registry};
use crate::secrets::{self, Secrets};
use crate::supervisor::core::Order;
use crate::supervisor::guard;
use crate::tap::Taps;
use crate::telemetry::{Figures, History, event_ids, history, probe, recorder};
use crate::trace::{Exporter, TraceSettings, Tracer};
use aqueduct_topology::model::Topology;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// How a node runs, whatever the topology.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The node's name.
    pub node: Arc<str>,
    /// How long a drain may take before it is cut.
    pub drain_deadline: Duration,
    /// How long an actor may have input and settle nothing before the watchdog acts.
    pub stalled_after: Duration,
    /// How long an arbiter may give no answer before it is abandoned.
    pub stuck_after: Duration,
    /// Whether SIGTERM and SIGINT drain this application.
    pub signals: bool,
    /// The admin endpoint; `None` = none.
    pub admin: Option<AdminSettings>,
    /// Where spans go; `None` = nobody traces.
    pub traces: Option<TraceSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            node: "local".into(),
            drain_deadline: Duration::from_secs(30),
            stalled_after: Duration::from_secs(60),
            stuck_after: Duration::from_secs(30),
            signals: false,
            admin: None,
            traces: None,
        }
    }
}

/// What an application is made of. See [`RuntimeApplication::builder`].
pub struct Builder {
    topology: Arc<Topology>,
    settings: Settings,
    catalog: Option<Catalog>,
    offsets: Option<Arc<dyn OffsetStore>>,
    placement: Placement,
    clock: Clock,
    claims: Claims,
    letters: DeadLetterPort,
    canonical: serde_json::Value,
    build: Vec<(&'static str, String)>,
    archive: Option<Arc<dyn Archive>>,
    secrets: Secrets,
}

impl Builder {
    /// How the node runs.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Where the kinds come from. Needed.
    pub fn catalog(mut self, catalog: Catalog) -> Self {
        self.catalog = Some(catalog);
        self
    }

    /// Where offsets live: for lag, and to say what a cut drain will replay.
    pub fn offsets(mut self, offsets: Arc<dyn OffsetStore>) -> Self {
        self.offsets = Some(offsets);
        self
    }

    /// Where actors live; all on the calling thread unless said.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// The time; the system's unless said.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The claims, where somebody outside must share them.
    pub fn claims(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// The way to the dead letter, where somebody outside must share it.
    pub fn letters(mut self, letters: DeadLetterPort) -> Self {
        self.letters = letters;
        self
    }

    /// The topology as it is compared with others, which `/api/topology?form=canonical` shows; opaque here.
    pub fn canonical(mut self, form: serde_json::Value) -> Self {
        self.canonical = form;
        self
    }

    /// Versions of the program and what it is made of, as labels of `aqueduct_build_info`.
    pub fn build_info(mut self, versions: Vec<(&'static str, String)>) -> Self {
        self.build = versions;
        self
    }

    /// What the stores remember, for people who look at the node.
    pub fn archive(mut self, archive: Arc<dyn Archive>) -> Self {
        self.archive = Some(archive);
        self
    }

    /// What it logs in with, to be looked after while it runs.
    pub fn secrets(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// Assembles everything and starts nothing.
    ///
    /// # Panics
    /// If the program was compiled with `panic = "abort"`: supervision needs to see a panic end one actor only.
    pub fn build(self) -> Result<RuntimeApplication, Error> {
        // A constant where it is compiled, so it is checked by a branch, not by a constant assertion.
        if cfg!(not(panic = "unwind")) {
            panic!("aqueduct needs panic = \"unwind\": a panic must end one actor, not the process");
        }
        guard::install_hook();
        let Some(catalog) = &self.catalog else {
            return Err(Error::new(Class::Config, "an application needs a catalog of kinds"));
        };
        let plan = assemble::assemble(&self.topology, catalog)?;
        Ok(self.wire(plan))
    }

    fn wire(self, plan: Plan) -> RuntimeApplication {
        let figures = Figures::default();
        let (tracer, exporter) = self
            .settings
            .traces
            .as_ref()
            .map(|settings| {
                let whose = (&plan.topology, &self.settings.node);
                Tracer::new(settings, whose, figures.clone(), self.clock.clone())
            })
            .unzip();
        let shared = Shared {
            ledger: Ledger::with_sinks(plan.topology.clone(), plan.sinks.clone()),
            taps: Taps::new(self.clock.clone()),
            tracer,
            clock: self.clock,
            claims: self.claims,
            letters: self.letters,
        };
        let topology = plan.topology.clone();
        let draft = Draft { topology: self.topology, canonical: self.canonical, plan, offsets: self.offsets };
        let graph = Graph::first(draft, &shared);
        let registry = Arc::new(Registry {
            topology,
            node: self.settings.node.clone(),
            roster: RwLock::new(Arc::new(graph.roster(&graph.tree(), 1))),
            ledger: shared.ledger.clone(),
            events: Events::new(shared.clock.clone()),
            taps: shared.taps.clone(),
            phase: Mutex::new(PhaseView {
                phase: Phase::Starting,
                since_us: shared.clock.wall_us(),
                reason: "its actors are being started for the first time".to_owned(),
            }),
            alive: AtomicBool::new(false),
            started_us: shared.clock.wall_us(),
            history: History::default(),
            reloads: ReloadTally::default(),
            clock: shared.clock.clone(),
            figures,
            build: self.build,
            secrets: self.secrets,
        });
        let (sender, commands) = mpsc::channel(crate::limits::COMMANDS_MAX);
        let (asking, reload_requests) = mpsc::channel(crate::limits::COMMANDS_MAX);
        let address = watch::Sender::new(None);
        let handle = Handle { commands: sender, asking, registry, address };
        RuntimeApplication {
            settings: self.settings,
            placement: self.placement,
            graph,
            shared,
            commands,
            reload_requests: Some(reload_requests),
            archive: self.archive,
            exporter,
            handle,
        }
    }
}

/// An application that has been assembled: its tree, its links, its ledger.
pub struct RuntimeApplication {
    settings: Settings,
    placement: Placement,
    graph: Graph,
    shared: Shared,
    commands: mpsc::Receiver<Command>,
    reload_requests: Option<mpsc::Receiver<ReloadRequest>>,
    archive: Option<Arc<dyn Archive>>,
    exporter: Option<Exporter>,
    handle: Handle,
}

impl RuntimeApplication {
    /// Begins an application that runs `topology`.
    pub fn builder(topology: Arc<Topology>) -> Builder {
        Builder {
            topology,
            settings: Settings::default(),
            catalog: None,
            offsets: None,
            placement: Placement::CurrentThread,
            clock: Clock::system(),
            claims: Claims::default(),
            letters: DeadLetterPort::default(),
            canonical: serde_json::Value::Null,
            build: vec![("version", env!("CARGO_PKG_VERSION").to_owned())],
            archive: None,
            secrets: Secrets::default(),
        }
    }

    /// The way to speak to it while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Those who ask for a reload, to be answered by who knows where the topology comes from. Dropping it says that
    /// nobody does, as does never taking it.
    pub fn reload_requests(&mut self) -> Option<mpsc::Receiver<ReloadRequest>> {
        self.reload_requests.take()
    }

    /// Runs it to its end. Call it within a `LocalSet` or actix `System`; [`Placement::Arbiters`] needs the latter.
    pub async fn run(mut self) -> Outcome {
        let exporting = self.exporter.take();
        match self.prepare().await {
            Ok((conductor, _side_tasks)) => {
                let exporting = exporting.map(Exporter::start);
                let outcome = conductor.run().await;
                if let Some(exporting) = exporting {
                    exporting.finish().await;
                }
                outcome
            }
            Err(error) => {
                tracing::error!(event = event_ids::NOT_STARTED, %error, "not started");
                Outcome {
                    exit_code: EXIT_CONFIG,
                    ledger: Vec::new(),
                    reasons: vec![error.to_string()],
                    manifest: Vec::new(),
                }
            }
        }
    }

    async fn prepare(mut self) -> Result<(Conductor, Vec<crate::task::Task>), Error> {
        let registry = self.handle.registry.clone();
        let mut side_tasks = Vec::new();
        if let Some(settings) = self.settings.admin {
            let (address, task) = admin::serve(settings, self.handle.clone(), self.archive.take()).await?;
            tracing::info!(event = event_ids::ADMIN_LISTENS, %address, "admin endpoint");
            self.handle.address.send_replace(Some(address));
            side_tasks.push(task);
        }
        side_tasks.push(recorder::upkeep(registry.clock.clone()));
        side_tasks.push(history::start(registry.clone()));
        let (secrets, events) = (registry.secrets.clone(), registry.events.clone());
        side_tasks.push(secrets::follow(secrets, registry.clock.clone(), events));
        let store = self.graph.offsets.clone().map(watch::Sender::new);
        if let Some(store) = &store {
            let (store, claims) = (store.subscribe(), self.shared.claims.clone());
            side_tasks.extend(probe::start(store, registry.clone(), claims));
        }
        drop(self.reload_requests.take());
        let seats = Seats::of(&self.graph, self.placement)
            .map_err(|error| Error::new(Class::Capacity, format!("cannot start an arbiter: {error}")))?;
        let conductor = Conductor::new(Parts {
            registry,
            graph: self.graph,
            shared: self.shared,
            store,
            seats,
            commands: self.commands,
            signals: if self.settings.signals { Signals::install()? } else { Signals::deaf() },
            patience: Patience {
                drain: self.settings.drain_deadline,
                stalled: self.settings.stalled_after,
                stuck: self.settings.stuck_after,
            },
        });
        Ok((conductor, side_tasks))
    }
}

/// Speaks to a running application. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    asking: mpsc::Sender<ReloadRequest>,
    registry: Arc<Registry>,
    address: watch::Sender<Option<SocketAddr>>,
}

/// Why an order was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// Nobody has that name.
    #[error("no actor named `{0}`")]
    Unknown(String),
    /// Its data ended; it has nothing to do any more.
    #[error("actor `{0}` has finished: its data ended, so it is not started again")]
    Finished(String),
    /// The application is over.
    #[error("the application has ended")]
    Ended,
}

impl Handle {
    /// Finishes what was read, then ends. A drain that is on goes on.
    pub async fn drain(&self) {
        self.tell(Command::Drain).await;
    }

    /// Ends in order without finishing what was read.
    pub async fn stop(&self) {
        self.tell(Command::Stop).await;
    }

    /// Ends at once.
    pub async fn abort(&self) {
        self.tell(Command::Abort).await;
    }

    /// Drains once nothing has been left to do for so long.
    pub async fn drain_when_idle(&self, lasting: Duration) {
        self.tell(Command::DrainWhenIdle(lasting)).await;
    }

    /// Restarts an actor; does not count.
    pub async fn restart_actor(&self, name: &str) -> Result<(), OrderError> {
        self.order(name, Order::Restart).await
    }

    /// Stops an actor until [`Handle::start_actor`].
    pub async fn stop_actor(&self, name: &str) -> Result<(), OrderError> {
        self.order(name, Order::Stop).await
    }

    /// Starts an actor that was stopped or had ended.
    pub async fn start_actor(&self, name: &str) -> Result<(), OrderError> {
        self.order(name, Order::Start).await
    }

    /// Changes the graph to that of `next`: see [`Next`]. Completes once it holds, or once it is as it was before.
    pub async fn reload(&self, next: Next) -> Result<u64, ReloadError> {
        let refused = |error: Error| ReloadError::Refused(error.message.into_owned());
        let plan = assemble::assemble(&next.topology, &next.catalog).map_err(refused)?;
        if plan.topology != self.registry.topology {
            let (old, new) = (&self.registry.topology, &plan.topology);
            let message = format!(
                "the topology is called `{new}`, this node runs `{old}`: its offsets and its group have that name; \
                 stop the node and start it with the other file"
            );
            return Err(ReloadError::Refused(message));
        }
        let Next { topology, canonical, offsets, restart, onto, .. } = next;
        let draft = Draft { topology, canonical, plan, offsets };
        let (reply, replied) = oneshot::channel();
        self.tell(Command::Reload(Box::new(Wanted { draft, restart, onto, reply }))).await;
        replied.await.unwrap_or(Err(ReloadError::Ended))
    }

    /// Asks whoever knows where the topology comes from to read it again and apply it; gives what that one says, for
    /// people and programs. `None`: nobody does.
    pub async fn request_reload(&self) -> Option<ReloadAnswer> {
        self.ask(true).await
    }

    /// The same, without doing it: what would be done, or what is wrong.
    pub async fn request_plan(&self) -> Option<ReloadAnswer> {
        self.ask(false).await
    }

    async fn ask(&self, apply: bool) -> Option<ReloadAnswer> {
        let (reply, replied) = oneshot::channel();
        self.asking.send(ReloadRequest { apply, reply }).await.ok()?;
        replied.await.ok()
    }

    /// What is known of the application.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What is known of one actor.
    pub fn observe(&self, name: &str) -> Option<ActorView> {
        self.registry.actors().into_iter().find(|actor| &*actor.name == name)
    }

    /// Where the admin endpoint listens, once it does.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        *self.address.borrow()
    }

    /// Waits until the admin endpoint listens.
    pub async fn admin_bound(&self) -> SocketAddr {
        let mut address = self.address.subscribe();
        let bound = address.wait_for(Option::is_some).await.expect("invariant: the handle owns the sender");
        bound.expect("invariant: waited for it")
    }

    async fn tell(&self, command: Command) {
        // An application that has ended needs no telling.
        let _ = self.commands.send(command).await;
    }

    async fn order(&self, name: &str, order: Order) -> Result<(), OrderError> {
        let roster = self.registry.roster();
        let index = roster.position(name).ok_or_else(|| OrderError::Unknown(name.to_owned()))?;
        let finished = roster.entry(index).status.state().0 == crate::State::Finished;
        if finished && order != Order::Stop {
            return Err(OrderError::Finished(name.to_owned()));
        }
        let (done, taken) = oneshot::channel();
        self.tell(Command::Order(index, order, done)).await;
        taken.await.map_err(|_| OrderError::Ended)
    }
}
