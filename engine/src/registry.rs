//! What is known of the running application, for probes, pages, metrics and the watchdog.
//!
//! Reading it takes short locks and no I/O, so it answers while actors are busy or stuck.

use crate::actor::ActorIdentity;
use crate::clock::Clock;
use crate::events::Events;
use crate::ledger::Ledger;
use crate::lifecycle::tally::ReloadTally;
use crate::port::EdgeMeter;
use crate::quality::GateView;
use crate::schedule::ScheduleView;
use crate::secrets::Secrets;
use crate::status::{State, Status};
use crate::supervisor::host::{InputLink, Record, Role};
use crate::supervisor::spec::Strategy;
use crate::tap::{TapPoint, Taps, family};
use crate::telemetry::figures::{Figure, Figures};
use crate::telemetry::{History, Lag, Settled};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// One actor.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) identity: ActorIdentity,
    pub(crate) role: Role,
    /// What it reads, if it is a source that reads a log.
    pub(crate) topic: Option<Arc<str>>,
    pub(crate) supervisor: Arc<str>,
    pub(crate) status: Status,
    pub(crate) inputs: Vec<InputLink>,
    /// By who reads from it.
    pub(crate) outputs: Vec<(Arc<str>, Arc<EdgeMeter>)>,
    /// Whether a record counts as written only with what this actor does for it.
    pub(crate) required: bool,
    /// Whether what reaches it comes on the beat of a gate, and so never ceases.
    pub(crate) behind_gate: bool,
    pub(crate) record: Arc<Record>,
}

/// One supervisor, for people.
#[derive(Clone, Debug, Serialize)]
pub struct SupervisorView {
    /// Its name.
    pub name: Arc<str>,
    /// Who is restarted when a child ends.
    pub strategy: &'static str,
    /// More restarts than this ..
    pub intensity: u32,
    /// .. within so many seconds escalate.
    pub period_seconds: f64,
    /// Its children, in start order.
    pub children: Vec<Arc<str>>,
}

/// How full a link is, for people.
#[derive(Clone, Debug, Serialize)]
pub struct LinkView {
    /// The actor that fills it.
    pub from: Arc<str>,
    /// Batches in it, leased ones included.
    pub batches: usize,
    /// Their bytes.
    pub bytes: usize,
    /// The larger of both shares of its bounds, 0..=1.
    pub ratio: f64,
    /// Records that ever entered it, each once.
    pub records: u64,
}

/// How an edge out of an actor fares, for people.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeView {
    /// The actor that reads from it, whatever its clones.
    pub to: Arc<str>,
    /// Seconds its sender has waited for room.
    pub blocked_seconds: f64,
    /// Records that a best-effort edge was not given, because it was full.
    pub passed_over_records: u64,
}

/// One actor, for people.
#[derive(Clone, Debug, Serialize)]
pub struct ActorView {
    /// Its name.
    pub name: Arc<str>,
    /// The identity of its offsets.
    pub id: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// Its place in the graph.
    pub role: Role,
    /// Its supervisor.
    pub supervisor: Arc<str>,
    /// A word of [`State::WORDS`].
    pub state: &'static str,
    /// Why it is in that state, where there is something to say.
    pub reason: Option<String>,
    /// The class of what it waits for, while it does.
    pub waiting_class: Option<&'static str>,
    /// Since when, microseconds since 1970 UTC.
    pub since_us: i64,
    /// Whether it does what it is there for.
    pub ready: bool,
    /// Starts after the first.
    pub restarts: u64,
    /// How its last start ended.
    pub last_exit: Option<String>,
    /// Batches read, handed on or settled.
    pub progress: u64,
    /// When what it depends on last answered, microseconds since 1970 UTC.
    pub last_contact_us: Option<i64>,
    /// When something last became durable there, microseconds since 1970 UTC.
    pub last_write_us: Option<i64>,
    /// Seconds it was held up by full outputs.
    pub blocked_seconds: f64,
    /// Whether a record counts as written only with what it does.
    pub required: bool,
    /// The links into it.
    pub inputs: Vec<LinkView>,
    /// The edges out of it.
    pub outputs: Vec<EdgeView>,
    /// Records it rejected, by reason.
    pub dead_letters: BTreeMap<String, u64>,
    /// How far behind it is, if it is a source.
    pub lag: Vec<Lag>,
    /// What it measures of itself.
    pub figures: Vec<Figure>,
    /// Its last run and the next, if it works on a beat.
    pub schedule: Option<ScheduleView>,
}

#[cfg(test)]
impl ActorView {
    /// One that does nothing and lacks nothing.
    pub(crate) fn named(name: &str, role: Role) -> Self {
        Self {
            name: name.into(),
            id: name.into(),
            kind: "scripted",
            role,
            supervisor: "root".into(),
            state: "running",
            reason: None,
            waiting_class: None,
            since_us: 0,
            ready: true,
            restarts: 0,
            last_exit: None,
            progress: 0,
            last_contact_us: None,
            last_write_us: None,
            blocked_seconds: 0.0,
            required: true,
            inputs: Vec::new(),
            outputs: Vec::new(),
            dead_letters: BTreeMap::new(),
            lag: Vec::new(),
            figures: Vec::new(),
            schedule: None,
        }
    }
}

/// Why somebody is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotReady {
    /// Who.
    pub actor: Arc<str>,
    /// A word of [`State::WORDS`].
    pub state: &'static str,
    /// Why.
    pub reason: String,
    /// Since when, microseconds since 1970 UTC.
    pub since_us: i64,
}

/// Where the application is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its actors are being started for the first time.
    Starting,
    /// At work.
    Running,
    /// Finishing what was read.
    Draining,
    /// Stopping its actors.
    Stopping,
    /// Over.
    Ended,
}

impl Phase {
    /// Every phase with the word used in JSON and metrics.
    pub const WORDS: [(Phase, &'static str); 5] = [
        (Phase::Starting, "starting"),
        (Phase::Running, "running"),
        (Phase::Draining, "draining"),
        (Phase::Stopping, "stopping"),
        (Phase::Ended, "ended"),
    ];
}

/// The phase, since when, and what brought it about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PhaseView {
    /// Which.
    pub phase: Phase,
    /// Microseconds since 1970 UTC.
    pub since_us: i64,
    /// Why, for people.
    pub reason: String,
}

/// Who there is and who watches whom. A reload replaces it as a whole, so nobody sees half of one.
#[derive(Debug)]
pub(crate) struct Roster {
    /// By slot; `None` = that actor is gone. A slot means the same name for as long as the application lives.
    pub(crate) slots: Vec<Option<Entry>>,
    pub(crate) supervisors: Vec<SupervisorView>,
    /// See [`crate::Builder::canonical`].
    pub(crate) canonical: serde_json::Value,
    /// 1 since the start, one more with each reload that held.
    pub(crate) generation: u64,
}

impl Roster {
    /// The actor in that slot, which is there.
    pub(crate) fn entry(&self, slot: usize) -> &Entry {
        self.slots[slot].as_ref().expect("invariant: who is spoken of is there")
    }

    /// Everybody.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.iter().flatten()
    }

    /// The slots of everybody.
    pub(crate) fn occupied(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().enumerate().filter(|(_, entry)| entry.is_some()).map(|(slot, _)| slot)
    }

    /// The slot of that name.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        let named = |entry: &Option<Entry>| entry.as_ref().is_some_and(|entry| &*entry.identity.name == name);
        self.slots.iter().position(named)
    }
}

/// What is known of one application. Shared.
#[derive(Debug)]
pub struct Registry {
    pub(crate) topology: Arc<str>,
    pub(crate) node: Arc<str>,
    pub(crate) roster: RwLock<Arc<Roster>>,
    pub(crate) ledger: Ledger,
    pub(crate) events: Events,
    pub(crate) taps: Taps,
    pub(crate) clock: Clock,
    pub(crate) phase: Mutex<PhaseView>,
    /// Whether the root supervisor is at work (from the first start to its end).
    pub(crate) alive: AtomicBool,
    pub(crate) started_us: i64,
    /// What is measured of the stores that the actors share.
    pub(crate) figures: Figures,
    /// Versions, as labels.
    pub(crate) build: Vec<(&'static str, String)>,
    pub(crate) history: History,
    pub(crate) reloads: ReloadTally,
    pub(crate) secrets: Secrets,
}

impl Registry {
    /// The name of the topology.
    pub fn topology(&self) -> &Arc<str> {
        &self.topology
    }

    /// The name of this node.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// When the application was built, microseconds since 1970 UTC.
    pub fn started_us(&self) -> i64 {
        self.started_us
    }

    /// The supervision tree, root first.
    pub fn supervisors(&self) -> Vec<SupervisorView> {
        self.roster().supervisors.clone()
    }

    /// The topology as it is compared with others; see [`crate::Builder::canonical`].
    pub fn canonical(&self) -> serde_json::Value {
        self.roster().canonical.clone()
    }

    /// 1 since the start, one more with each reload that held.
    pub fn generation(&self) -> u64 {
        self.roster().generation
    }

    /// The fate of records.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What happened lately.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What the node logs in with.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// How the last hour went.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Where the application is in its life.
    pub fn phase(&self) -> Phase {
        self.phase_view().phase
    }

    /// The same, with since when and why.
    pub fn phase_view(&self) -> PhaseView {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the node does all that its topology declares: what `/readyz` answers.
    pub fn is_ready(&self) -> bool {
        self.phase() == Phase::Running && self.not_ready().is_empty()
    }

    /// What came of the reloads that were asked for.
    pub fn reloads(&self) -> &ReloadTally {
        &self.reloads
    }

    /// Whether the root supervisor is at work.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    /// Every actor.
    pub fn actors(&self) -> Vec<ActorView> {
        let settled = self.ledger.settled_by_required();
        let none = Settled::new();
        let view = |entry: &Entry| entry.view(&self.clock, settled.get(&entry.identity.id).unwrap_or(&none));
        self.roster().entries().map(view).collect()
    }

    /// What every quality gate says of its keys; empty without gates, and until the first has spoken.
    pub fn gates(&self) -> Vec<(ActorIdentity, Arc<GateView>)> {
        let view = |entry: &Entry| Some((entry.identity.clone(), entry.status.quality().view()?));
        self.roster().entries().filter_map(view).collect()
    }

    /// Who is not ready and why; empty = ready. A stop that an operator asked for is a reason too: work is not done.
    pub fn not_ready(&self) -> Vec<NotReady> {
        let unready = |entry: &Entry| {
            let (state, since_us) = entry.status.state();
            (!state.is_ready()).then(|| NotReady {
                actor: entry.identity.name.clone(),
                state: state.as_str(),
                reason: reason_of(&state),
                since_us,
            })
        };
        self.roster().entries().filter_map(unready).collect()
    }

    /// Where to look for what `actor` hands on, or for what it is handed; a sink hands on nothing, so what it is handed.
    /// `None`: there is no such actor.
    pub(crate) fn tap_points(&self, actor: &str, input: bool) -> Option<Vec<Arc<TapPoint>>> {
        let roster = self.roster();
        let clones: Vec<&Entry> =
            roster.entries().filter(|entry| family(&entry.identity.name) == family(actor)).collect();
        let first = clones.first()?;
        if !input && first.role != Role::Sink {
            return Some(vec![self.taps.point(actor)]);
        }
        let writers: BTreeSet<&str> =
            clones.iter().flat_map(|entry| &entry.inputs).map(|input| family(&input.from)).collect();
        Some(writers.into_iter().map(|writer| self.taps.point(writer)).collect())
    }

    /// Who there is now.
    pub(crate) fn roster(&self) -> Arc<Roster> {
        self.roster.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everybody sees `roster` from now on.
    pub(crate) fn replace_roster(&self, roster: Roster) {
        *self.roster.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
    }

    pub(crate) fn enter_phase(&self, phase: Phase, reason: impl Into<String>) {
        let entered = PhaseView { phase, since_us: self.clock.wall_us(), reason: reason.into() };
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = entered;
    }
}

/// Why, in any state: those without a reason of their own say what they are.
fn reason_of(state: &State) -> String {
    match state {
        State::Starting => "it has not been started yet".to_owned(),
        State::Stopped => "it was stopped; POST /api/actors/{name}/start starts it".to_owned(),
        state => state.reason().unwrap_or_default().to_owned(),
    }
}

impl Entry {
    fn view(&self, clock: &Clock, settled: &Settled) -> ActorView {
        let (state, since_us) = self.status.state();
        let link = |input: &InputLink| {
            let fill = input.link.fill();
            let (batches, bytes, ratio) = (fill.batches, fill.bytes, fill.ratio);
            LinkView { from: input.from.clone(), batches, bytes, ratio, records: input.link.entered() }
        };
        let edge = |(to, meter): &(Arc<str>, Arc<EdgeMeter>)| EdgeView {
            to: to.clone(),
            blocked_seconds: meter.blocked(clock.now()).as_secs_f64(),
            passed_over_records: meter.passed_over_records(),
        };
        ActorView {
            name: self.identity.name.clone(),
            id: self.identity.id.clone(),
            kind: self.identity.kind,
            role: self.role,
            supervisor: self.supervisor.clone(),
            state: state.as_str(),
            reason: state.reason().map(str::to_owned),
            waiting_class: state.waiting_class(),
            since_us,
            ready: state.is_ready(),
            restarts: self.record.restarts.load(Ordering::Relaxed),
            last_exit: self.record.last_exit().as_ref().map(ToString::to_string),
            progress: self.status.progress(),
            last_contact_us: self.status.last_contact_us(),
            last_write_us: self.status.last_write_us(),
            blocked_seconds: self.blocked(clock).as_secs_f64(),
            required: self.required,
            inputs: self.inputs.iter().map(link).collect(),
            outputs: self.outputs.iter().map(edge).collect(),
            dead_letters: self.status.dead_letters(),
            lag: self.status.lag().lines(settled),
            figures: self.status.figures().list(),
            schedule: self.status.schedule().view(),
        }
    }

    /// Whether anything waits on a link into it.
    pub(crate) fn has_input(&self) -> bool {
        self.batches_waiting() > 0
    }

    /// Batches on the links into it, leased ones included.
    pub(crate) fn batches_waiting(&self) -> usize {
        self.inputs.iter().map(|input| input.link.fill().batches).sum()
    }

    /// Whether a full output holds it up.
    pub(crate) fn is_blocked(&self) -> bool {
        self.status.is_blocked() || self.outputs.iter().any(|(_, edge)| edge.is_blocked())
    }

    /// How long full outputs have held it up. Edges wait at the same time, and a source that pushes from its own thread
    /// says so itself: the longest of them counts, not the sum.
    fn blocked(&self, clock: &Clock) -> Duration {
        let edges = self.outputs.iter().map(|(_, edge)| edge.blocked(clock.now())).max();
        self.status.blocked_total().max(edges.unwrap_or_default())
    }
}

/// The word of the topology language.
pub(crate) fn strategy_word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::OneForOne => "one_for_one",
        Strategy::OneForAll => "one_for_all",
        Strategy::RestForOne => "rest_for_one",
    }
}
