//! `RuntimeApplication`: the one builder through which every entry point (run, test, try, backfill, drill) assembles
//! and runs its tree.

use crate::admin::{self, AdminSettings};
use crate::assemble::{self, Catalog, Plan};
use crate::claim::{Claims, OffsetStore};
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::events::Events;
use crate::ledger::Ledger;
use crate::letter::DeadLetterPort;
use crate::lifecycle::conductor::{Conductor, Parts, Patience};
use crate::lifecycle::signal::Signals;
use crate::lifecycle::{Command, EXIT_CONFIG, Outcome};
use crate::placement::{Placement, Seats};
use crate::registry::{ActorView, Entry, InputLink, Phase, Registry, SupervisorView, strategy_word};
use crate::status::Status;
use crate::supervisor::core::Order;
use crate::supervisor::guard;
use crate::supervisor::host::Blueprint;
use crate::supervisor::tree::Tree;
use crate::telemetry::{probe, recorder};
use aqueduct_topology::model::Topology;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
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
        let ledger = Ledger::with_sinks(plan.topology.clone(), plan.sinks.clone());
        Ok(self.wire(plan, ledger))
    }

    fn wire(self, plan: Plan, ledger: Ledger) -> RuntimeApplication {
        let depths = plan.actors.iter().map(|actor| (actor.depth, actor.identity.clone)).collect();
        let required_sinks =
            plan.sinks.iter().filter(|sink| sink.required).map(|sink| sink.id.clone()).collect();
        let supervisors = plan.nodes.iter().map(|node| SupervisorView {
            name: node.spec.name.clone(),
            strategy: strategy_word(node.spec.strategy),
            intensity: node.spec.intensity.restarts,
            period_seconds: node.spec.intensity.period.as_secs_f64(),
            children: Vec::new(),
        });
        let mut supervisors: Vec<_> = supervisors.collect();
        let tree = Tree::new(plan.nodes, plan.actors.len());
        for (view, children) in supervisors.iter_mut().zip(tree.child_names()) {
            view.children = children;
        }
        let (mut entries, mut blueprints) = (Vec::new(), Vec::new());
        for (index, actor) in plan.actors.into_iter().enumerate() {
            let status = Status::new(self.clock.clone());
            entries.push(Entry {
                identity: actor.identity.clone(),
                role: actor.role,
                supervisor: tree.supervisor_of(index).clone(),
                status: status.clone(),
                inputs: actor
                    .inputs
                    .iter()
                    .map(|(from, link)| InputLink { from: from.clone(), link: link.clone() })
                    .collect(),
                outputs: actor.outputs.iter().map(|edge| edge.meter.clone()).collect(),
                required: actor.required,
                restarts: AtomicU64::new(0),
                last_exit: Mutex::new(None),
            });
            blueprints.push(Arc::new(Blueprint {
                index,
                identity: actor.identity,
                role: actor.role,
                factory: actor.factory,
                inputs: actor.inputs.into_iter().map(|(_, link)| link).collect(),
                outputs: actor.outputs,
                clock: self.clock.clone(),
                ledger: ledger.clone(),
                sink: actor.sink,
                decides: actor.decides,
                claims: self.claims.clone(),
                letters: self.letters.clone(),
                status,
                shutdown: actor.shutdown,
                condemned: Mutex::new(Vec::new()),
                run: AtomicU64::new(0),
            }));
        }
        let registry = Arc::new(Registry {
            topology: plan.topology,
            canonical: self.canonical,
            node: self.settings.node.clone(),
            entries,
            supervisors,
            required_sinks: plan.sinks.iter().map(|sink| sink.required).collect(),
            ledger,
            events: Events::new(self.clock.clone()),
            phase: Mutex::new(Phase::Starting),
            alive: AtomicBool::new(false),
            started_us: self.clock.wall_us(),
            clock: self.clock,
        });
        let (sender, commands) = mpsc::channel(crate::limits::COMMANDS_MAX);
        let address = watch::Sender::new(None);
        let handle = Handle { commands: sender, registry, address };
        RuntimeApplication {
            settings: self.settings,
            placement: self.placement,
            offsets: self.offsets,
            claims: self.claims,
            tree,
            blueprints,
            depths,
            required_sinks,
            commands,
            handle,
        }
    }
}

/// An application that has been assembled: its tree, its links, its ledger.
pub struct RuntimeApplication {
    settings: Settings,
    placement: Placement,
    offsets: Option<Arc<dyn OffsetStore>>,
    claims: Claims,
    tree: Tree,
    blueprints: Vec<Arc<Blueprint>>,
    /// Depth in the graph and clone number of each actor: they choose its arbiter.
    depths: Vec<(usize, u32)>,
    required_sinks: Vec<Arc<str>>,
    commands: mpsc::Receiver<Command>,
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
        }
    }

    /// The way to speak to it while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs it to its end. Call it within a `LocalSet` or actix `System`; [`Placement::Arbiters`] needs the latter.
    pub async fn run(self) -> Outcome {
        match self.prepare().await {
            Ok((conductor, _side_tasks)) => conductor.run().await,
            Err(error) => {
                tracing::error!(%error, "not started");
                Outcome {
                    exit_code: EXIT_CONFIG,
                    ledger: Vec::new(),
                    reasons: vec![error.to_string()],
                    manifest: Vec::new(),
                }
            }
        }
    }

    async fn prepare(self) -> Result<(Conductor, Vec<crate::task::Task>), Error> {
        let registry = self.handle.registry.clone();
        let mut side_tasks = Vec::new();
        if let Some(settings) = self.settings.admin {
            let (address, task) = admin::serve(settings, self.handle.clone()).await?;
            tracing::info!(%address, "admin endpoint");
            self.handle.address.send_replace(Some(address));
            side_tasks.push(task);
        }
        side_tasks.push(recorder::upkeep(registry.clock.clone()));
        if let Some(offsets) = &self.offsets {
            side_tasks.push(probe::start(offsets.clone(), registry.clone(), self.required_sinks));
        }
        let seats = Seats::new(self.placement)
            .map_err(|error| Error::new(Class::Capacity, format!("cannot start an arbiter: {error}")))?;
        let seat = |(blueprint, (depth, clone)): (_, (usize, u32))| (blueprint, seats.seat_of(depth, clone));
        let blueprints = self.blueprints.into_iter().zip(self.depths).map(seat).collect();
        let conductor = Conductor::new(Parts {
            registry,
            tree: self.tree,
            blueprints,
            seats,
            commands: self.commands,
            signals: if self.settings.signals { Signals::install()? } else { Signals::deaf() },
            patience: Patience {
                drain: self.settings.drain_deadline,
                stalled: self.settings.stalled_after,
                stuck: self.settings.stuck_after,
            },
            claims: self.claims,
        });
        Ok((conductor, side_tasks))
    }
}

/// Speaks to a running application. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
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

    /// Every actor makes new connections, with the credentials there are now.
    pub async fn rotate(&self) {
        self.tell(Command::Rotate).await;
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
        let index = self.registry.position(name).ok_or_else(|| OrderError::Unknown(name.to_owned()))?;
        let finished = self.registry.entries[index].status.state().0 == crate::State::Finished;
        if finished && order != Order::Stop {
            return Err(OrderError::Finished(name.to_owned()));
        }
        let (done, taken) = oneshot::channel();
        self.tell(Command::Order(index, order, done)).await;
        taken.await.map_err(|_| OrderError::Ended)
    }
}
