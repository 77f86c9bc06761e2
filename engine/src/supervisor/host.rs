//! The actix actor that hosts one of our actors: the control plane's end.
//!
//! A host lives on one arbiter for as long as that arbiter does. For each start it builds the actor from its factory
//! and a context with fresh link ends, and runs it in a task of its own, so control messages overtake data. The exit is
//! the result of that task and nothing else: actix runs `stopping` and `stopped` while a panicking actor unwinds, so
//! they do nothing here. `ctx.wait` would block the mailbox, so it is not used.

use super::core::Ended;
use super::exit::Exit;
use super::guard::{self, Panic, Polled};
use crate::actor::{ActorIdentity, Context, Factory};
use crate::claim::Claims;
use crate::class::{Class, Error};
use crate::clock::Clock;
use crate::ledger::{Ledger, SinkIndex};
use crate::letter::{DeadLetterPort, Extent, Letter};
use crate::link::{Crash, Link};
use crate::planted::{Bug, planted};
use crate::port::{Edge, EdgeMeter, Inputs, Outputs};
use crate::status::{State, Status};
use crate::tap::TapPoint;
use crate::task::{self, Task};
use crate::telemetry::event_ids;
use crate::trace::TracePoint;
use actix::{Actor, AsyncContext, Handler};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// The place of an actor in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Has no input.
    Source,
    /// Has both.
    Transform,
    /// Has both: ends what it reads, and begins a stream of its own.
    Gate,
    /// Has no output.
    Sink,
    /// Has neither: rejected records reach it through the port.
    DeadLetter,
    /// Has neither: it works on a beat.
    Schedule,
}

impl Role {
    /// Whether records begin here: claims are made for what lies behind.
    pub(crate) fn begins(self) -> bool {
        matches!(self, Self::Source | Self::Gate)
    }

    /// Whether it has no edge: no data reaches it, none ends with it, and a drain does not wait for it.
    pub(crate) fn is_apart(self) -> bool {
        matches!(self, Self::DeadLetter | Self::Schedule)
    }
}

/// The links from one actor to all clones of one reader.
#[derive(Clone, Debug)]
pub(crate) struct OutputEdge {
    /// The reader's name in the file.
    pub(crate) to: Arc<str>,
    pub(crate) links: Vec<Arc<Link>>,
    pub(crate) best_effort: bool,
    /// The best-effort sinks behind it: the ledger is told what they are not given.
    pub(crate) sinks: Vec<SinkIndex>,
    /// Its figures, which outlive a start.
    pub(crate) meter: Arc<EdgeMeter>,
}

/// Everything that is needed to start an actor, again and again, on any arbiter.
pub(crate) struct Blueprint {
    pub(crate) index: usize,
    pub(crate) identity: ActorIdentity,
    pub(crate) role: Role,
    /// What it reads, if it is a source that reads a log.
    pub(crate) topic: Option<Arc<str>>,
    pub(crate) factory: Factory,
    /// The links into it and who fills them.
    pub(crate) inputs: Vec<InputLink>,
    pub(crate) outputs: Vec<OutputEdge>,
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) sink: Option<SinkIndex>,
    pub(crate) decides: bool,
    pub(crate) claims: Claims,
    pub(crate) letters: DeadLetterPort,
    /// The actor's status; each start gets a handle of its own.
    pub(crate) status: Status,
    pub(crate) shutdown: Duration,
    pub(crate) record: Arc<Record>,
    /// Where people look at what it hands on.
    pub(crate) tap: Arc<TapPoint>,
    /// Where its spans begin and end, if anybody traces.
    pub(crate) trace: Option<Arc<TracePoint>>,
}

/// A link and who fills it.
#[derive(Clone, Debug)]
pub(crate) struct InputLink {
    pub(crate) from: Arc<str>,
    pub(crate) link: Arc<Link>,
}

/// What is kept of an actor over all its starts, also when a reload gives it another blueprint.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Starts after the first.
    pub(crate) restarts: AtomicU64,
    last_exit: Mutex<Option<Exit>>,
    /// The start that may speak; an abandoned arbiter that comes back is recognised by it.
    pub(crate) run: AtomicU64,
    /// Records found to kill this actor, whose letters are made durable before it starts again.
    condemned: Mutex<Vec<Letter>>,
}

impl Record {
    /// How its last start ended.
    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.last_exit.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its last start ended so.
    pub(crate) fn exited(&self, exit: Exit) {
        *self.last_exit.lock().unwrap_or_else(PoisonError::into_inner) = Some(exit);
    }

    fn condemned(&self) -> MutexGuard<'_, Vec<Letter>> {
        self.condemned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Blueprint {
    /// A context for one start. Fresh ends cut off those of the start before.
    fn context(&self, status: Status) -> Context {
        let edge = |edge: &OutputEdge| {
            Edge::new(edge.links.iter().map(Link::sender).collect(), edge.best_effort)
                .metered(edge.meter.clone())
                .telling(self.ledger.clone(), edge.sinks.clone())
        };
        Context {
            identity: self.identity.clone(),
            inputs: Inputs::new(self.inputs.iter().map(|input| input.link.receiver()).collect())
                .traced(self.trace.clone()),
            outputs: Outputs::new(self.outputs.iter().map(edge).collect())
                .tapped(self.tap.clone())
                .traced(self.trace.clone()),
            clock: self.clock.clone(),
            ledger: self.ledger.clone(),
            sink: self.sink,
            decides: self.decides,
            claims: self.claims.clone(),
            letters: self.letters.clone(),
            status,
        }
    }

    /// No batch will follow. Through the links themselves: a source may have moved its ends into a thread.
    fn close_outputs(&self) {
        for link in self.outputs.iter().flat_map(|edge| &edge.links) {
            link.sender().close();
        }
    }

    /// Whether no more data can come: it is a source, or every input is closed and empty.
    fn data_ended(&self) -> bool {
        match self.role {
            Role::Source => true,
            Role::Transform | Role::Gate | Role::Sink => {
                self.inputs.iter().all(|input| input.link.is_finished())
            }
            Role::DeadLetter | Role::Schedule => false,
        }
    }

    /// Counts a crash of the actor's own making against what it had on lease. A record found to be the culprit is
    /// condemned: its letter comes first at the next start.
    fn judge(&self, exit: &Exit) -> Ended {
        if !exit.is_own_fault() && !planted(Bug::CountsEveryEnd) {
            return exit.ended();
        }
        let message = exit.to_string();
        let mut ended = exit.ended();
        for InputLink { link, .. } in &self.inputs {
            match link.receiver_crashed(&message) {
                Crash::Count => {}
                Crash::Probation => ended = Ended::Probation,
                Crash::Condemned { batch, offset, message } => {
                    ended = Ended::Probation;
                    tracing::error!(
                        event = event_ids::CONDEMNED,
                        actor = %self.identity.name,
                        topic = %batch.origin.key.topic,
                        partition = batch.origin.key.partition,
                        batch_first = batch.origin.first,
                        batch_next = batch.origin.next,
                        offset,
                        trace_id = batch.trace.as_ref().map(|context| tracing::field::display(context.trace)),
                        class = Class::Bug.as_str(),
                        "a record kills this actor: it is rejected"
                    );
                    let (actor, why) = (&self.identity.id, (Class::Bug, "crash".into()));
                    let letter =
                        Letter::for_record(actor, &batch, (offset, 0), why, message).of(Extent::Record);
                    self.record.condemned().push(letter);
                }
            }
        }
        ended
    }

    fn exit_of(&self, status: &Status, result: Result<Result<(), Error>, Panic>) -> Exit {
        match result {
            Err(_) if planted(Bug::OverlooksPanics) => Exit::Stopped,
            Err(Panic { message, location }) => Exit::Panicked { message, location },
            Ok(_) if status.stopping() => Exit::Stopped,
            Ok(Ok(())) if status.leaving() => Exit::Stopped,
            Ok(Err(error)) => Exit::crashed(&error),
            Ok(Ok(())) if self.data_ended() => Exit::Finished,
            Ok(Ok(())) => Exit::Returned,
        }
    }
}

/// What a host tells the conductor.
#[derive(Debug)]
pub(crate) struct HostEvent {
    pub(crate) actor: usize,
    /// Which start it is about.
    pub(crate) run: u64,
    pub(crate) what: HostNews,
}

#[derive(Debug)]
pub(crate) enum HostNews {
    Started,
    Exited(Exit, Ended),
}

/// Builds the actor and runs it.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Start {
    pub(crate) run: u64,
    pub(crate) status: Status,
}

/// Asks the actor to stop.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Stop;

/// Asks the actor to finish what it has on lease, then to stop.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Retire;

/// Drops the actor's future.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Kill;

/// Tells the actor that a drain is on.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Drain;

/// Tells the actor to make new connections, with the credentials there are now.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(crate) struct Rotate;

/// Answers with the start that runs here, if any: the arbiter is alive and its mailbox is served.
#[derive(actix::Message)]
#[rtype(result = "Option<u64>")]
pub(crate) struct Observe;

struct Running {
    run: u64,
    status: Status,
    kill: Option<oneshot::Sender<()>>,
    task: Task,
}

/// See the module's page.
pub(crate) struct Host {
    blueprint: Arc<Blueprint>,
    events: mpsc::Sender<HostEvent>,
    polled: Polled,
    running: Option<Running>,
}

impl Host {
    pub(crate) fn new(blueprint: Arc<Blueprint>, events: mpsc::Sender<HostEvent>, polled: Polled) -> Self {
        Self { blueprint, events, polled, running: None }
    }
}

impl Actor for Host {
    type Context = actix::Context<Self>;

    fn started(&mut self, cx: &mut Self::Context) {
        cx.set_mailbox_capacity(crate::limits::CONTROL_MESSAGES_MAX);
        let _ = cx.address();
    }
}

impl Handler<Start> for Host {
    type Result = ();

    fn handle(&mut self, Start { run, status }: Start, _: &mut Self::Context) {
        if self.blueprint.record.run.load(Ordering::Acquire) != run {
            return;
        }
        let (kill, killed) = oneshot::channel();
        let work = work(
            self.blueprint.clone(),
            status.clone(),
            run,
            killed,
            self.events.clone(),
            self.polled.clone(),
        );
        let task = task::spawn("actor", work);
        self.running = Some(Running { run, status, kill: Some(kill), task });
    }
}

impl Handler<Stop> for Host {
    type Result = ();

    fn handle(&mut self, _: Stop, _: &mut Self::Context) {
        if let Some(running) = &self.running {
            running.status.ask_stop();
        }
    }
}

impl Handler<Retire> for Host {
    type Result = ();

    fn handle(&mut self, _: Retire, _: &mut Self::Context) {
        if let Some(running) = &self.running {
            running.status.ask_retire();
        }
    }
}

impl Handler<Kill> for Host {
    type Result = ();

    fn handle(&mut self, _: Kill, _: &mut Self::Context) {
        if let Some(kill) = self.running.as_mut().and_then(|running| running.kill.take()) {
            let _ = kill.send(());
        }
    }
}

impl Handler<Drain> for Host {
    type Result = ();

    fn handle(&mut self, _: Drain, _: &mut Self::Context) {
        self.blueprint.status.ask_drain();
    }
}

impl Handler<Rotate> for Host {
    type Result = ();

    fn handle(&mut self, _: Rotate, _: &mut Self::Context) {
        if let Some(running) = &self.running {
            running.status.request_discard();
        }
    }
}

impl Handler<Observe> for Host {
    type Result = Option<u64>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Option<u64> {
        self.running.as_ref().filter(|running| !running.task.is_finished()).map(|running| running.run)
    }
}

/// One start, from factory to exit.
async fn work(
    blueprint: Arc<Blueprint>,
    status: Status,
    run: u64,
    killed: oneshot::Receiver<()>,
    events: mpsc::Sender<HostEvent>,
    polled: Polled,
) {
    let tell = |what| events.send(HostEvent { actor: blueprint.index, run, what });
    // A closed channel means that the engine has ended: nobody is left to tell.
    let _ = tell(HostNews::Started).await;
    let started = start(&blueprint, status.clone(), killed, polled.clone());
    // The outer guard is for what unwinds while the actor is dropped.
    let exit = match guard::catch(blueprint.index, polled, started).await {
        Ok(exit) => exit,
        Err(Panic { message, location }) => Exit::Panicked { message, location },
    };
    if exit == Exit::Finished {
        blueprint.close_outputs();
        status.set(State::Finished);
    }
    if let Some(point) = &blueprint.trace {
        point.exited(exit.class());
    }
    let ended = blueprint.judge(&exit);
    let _ = tell(HostNews::Exited(exit, ended)).await;
}

async fn start(blueprint: &Blueprint, status: Status, killed: oneshot::Receiver<()>, polled: Polled) -> Exit {
    let mut cx = blueprint.context(status.clone());
    status.running();
    let life = guard::catch(blueprint.index, polled, async {
        // Their batch is delivered without them from now on, so nothing else may come first.
        let condemned = blueprint.record.condemned().clone();
        cx.reject(condemned).await;
        blueprint.record.condemned().clear();
        let mut actor = (blueprint.factory)();
        actor.run(&mut cx).await
    });
    tokio::select! {
        biased;
        _ = killed => Exit::Killed { after: blueprint.shutdown },
        result = life => blueprint.exit_of(&status, result),
    }
}
