//! From a topology to what the runtime needs: actors with their links, the supervision tree, the sinks of the ledger.
//!
//! One of two places in the engine that know `aqueduct-topology` (the other is reload): everything behind here speaks
//! the runtime's own words. Deliberately absent: starting anything.

use crate::actor::{ActorIdentity, Factory};
use crate::class::{Class, Error};
use crate::ledger::{SinkIndex, SinkSpec};
use crate::link::{Bounds, Link};
use crate::supervisor::host::{InputLink, OutputEdge, Role};
use crate::supervisor::spec::{
    BackoffSpec, ChildSpec, Intensity, Restart, Shutdown, Strategy, SupervisorSpec,
};
use crate::supervisor::tree::{ChildRef, Node};
use aqueduct_topology::model::{self, Kind, Policy, Topology};
use aqueduct_topology::placement;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Gives the factory of an actor of the topology. Its kinds live in another crate.
pub type Catalog = Box<dyn Fn(&model::Actor) -> Result<Factory, Error>>;

/// One clone of one actor.
pub(crate) struct ActorPlan {
    pub(crate) identity: ActorIdentity,
    /// Its name in the file, which its clones share.
    pub(crate) actor: Arc<str>,
    pub(crate) role: Role,
    /// What it reads, if it is a source that reads a log.
    pub(crate) topic: Option<Arc<str>>,
    pub(crate) factory: Factory,
    pub(crate) inputs: Vec<InputLink>,
    pub(crate) outputs: Vec<OutputEdge>,
    pub(crate) sink: Option<SinkIndex>,
    pub(crate) shutdown: Duration,
    pub(crate) required: bool,
    /// See [`crate::Context::decides`].
    pub(crate) decides: bool,
    /// Whether it lies behind a gate.
    pub(crate) behind_gate: bool,
    /// Steps from its sources.
    pub(crate) depth: usize,
    /// What it needs of a core beside the others.
    pub(crate) load: u32,
}

/// A topology, ready to be started.
pub(crate) struct Plan {
    pub(crate) topology: Arc<str>,
    pub(crate) actors: Vec<ActorPlan>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) sinks: Vec<SinkSpec>,
}

/// The plan of `topology`; the errors are those of the catalog, or name a hole the checks should have closed.
pub(crate) fn assemble(topology: &Topology, catalog: &Catalog) -> Result<Plan, Error> {
    let graph = Graph::new(topology)?;
    let name: Arc<str> = topology.name.value.as_str().into();
    let sinks = graph.sinks();
    let mut actors = graph.actors(&name, &sinks, catalog)?;
    graph.connect(&mut actors, &sinks);
    let nodes = graph.nodes(&actors)?;
    Ok(Plan { topology: name, actors, nodes, sinks })
}

/// The topology's actors by position, and their edges.
struct Graph<'a> {
    topology: &'a Topology,
    position: BTreeMap<&'a str, usize>,
    /// For each actor, those that read from it.
    readers: Vec<Vec<usize>>,
    /// For each actor, where its clones begin in the plan's list.
    first_clone: Vec<usize>,
}

impl<'a> Graph<'a> {
    fn new(topology: &'a Topology) -> Result<Self, Error> {
        let actors = &topology.actors;
        let position: BTreeMap<_, _> =
            actors.iter().enumerate().map(|(index, actor)| (actor.name.value.as_str(), index)).collect();
        let mut readers = vec![Vec::new(); actors.len()];
        for (index, actor) in actors.iter().enumerate() {
            for from in &actor.from {
                let writer = position.get(from.value.as_str()).ok_or_else(|| {
                    let (actor, from) = (&actor.name.value, &from.value);
                    Error::new(
                        Class::Config,
                        format!("actor `{actor}` reads from `{from}`, which is not there"),
                    )
                })?;
                readers[*writer].push(index);
            }
        }
        let mut first_clone = Vec::with_capacity(actors.len());
        let mut next = 0;
        for actor in actors {
            first_clone.push(next);
            next += clones(actor) as usize;
        }
        Ok(Self { topology, position, readers, first_clone })
    }

    fn actor(&self, index: usize) -> &'a model::Actor {
        &self.topology.actors[index]
    }

    /// Those that what `index` gives can reach, itself included: it ends at a gate, and what a gate gives begins there.
    fn descendants(&self, index: usize) -> Vec<usize> {
        let mut seen = vec![index];
        let mut next = 0;
        while next < seen.len() {
            let passes = next == 0 || !self.actor(seen[next]).kind.is_gate();
            for &reader in self.readers[seen[next]].iter().filter(|_| passes) {
                if !seen.contains(&reader) {
                    seen.push(reader);
                }
            }
            next += 1;
        }
        seen
    }

    /// Whether a full link into it holds its writer up: some required sink or gate descends from it, or nothing of the
    /// kind at all. Of a gate, its own word counts: what lies behind it waits for nobody.
    fn is_required(&self, index: usize) -> bool {
        if self.actor(index).kind.is_gate() {
            return self.actor(index).policy == Policy::Required;
        }
        let below = self.descendants(index).into_iter().map(|below| self.actor(below));
        let mut ends = below.filter(|actor| actor.kind.is_sink() || actor.kind.is_gate()).peekable();
        ends.peek().is_none() || ends.any(|end| end.policy == Policy::Required)
    }

    /// Whether it has to do with what a required sink gets. A gate that others wait for decides no fate.
    fn feeds_required(&self, index: usize) -> bool {
        let below = self.descendants(index).into_iter().map(|below| self.actor(below));
        let (gates, sinks): (Vec<_>, Vec<_>) = below
            .filter(|actor| actor.kind.is_sink() || actor.kind.is_gate())
            .partition(|actor| actor.kind.is_gate());
        (sinks.is_empty() && gates.is_empty()) || sinks.iter().any(|sink| sink.policy == Policy::Required)
    }

    /// Whether it lies behind a gate.
    fn is_behind_gate(&self, index: usize) -> bool {
        let gates = (0..self.topology.actors.len()).filter(|&gate| self.actor(gate).kind.is_gate());
        gates.into_iter().any(|gate| gate != index && self.descendants(gate).contains(&index))
    }

    /// Whether it has a say in the fate of records: those without any required sink are decided by all.
    fn decides(&self, index: usize) -> bool {
        let is_above =
            |&source: &usize| self.actor(source).kind.begins() && self.descendants(source).contains(&index);
        self.feeds_required(index)
            || !(0..self.topology.actors.len()).filter(is_above).any(|source| self.feeds_required(source))
    }

    /// Steps from its sources, along the longest way. Bounded by the number of actors, should there be a cycle.
    fn depth(&self, index: usize, bound: usize) -> usize {
        let froms = self.actor(index).from.iter().filter_map(|from| self.position.get(from.value.as_str()));
        let above = |&from: &usize| if bound == 0 { 0 } else { 1 + self.depth(from, bound - 1) };
        froms.map(above).max().unwrap_or(0)
    }

    fn sinks(&self) -> Vec<SinkSpec> {
        let feeds = |sink: usize| {
            let source =
                |&index: &usize| self.actor(index).kind.begins() && self.descendants(index).contains(&sink);
            let indices = (0..self.topology.actors.len()).filter(source);
            indices.map(|index| Arc::from(self.actor(index).id.value.as_str())).collect()
        };
        let sinks = self.topology.actors.iter().enumerate().filter(|(_, actor)| actor.kind.is_sink());
        sinks
            .map(|(index, actor)| SinkSpec {
                id: actor.id.value.as_str().into(),
                required: actor.policy == Policy::Required,
                sources: feeds(index),
            })
            .collect()
    }

    fn actors(
        &self,
        topology: &Arc<str>,
        sinks: &[SinkSpec],
        catalog: &Catalog,
    ) -> Result<Vec<ActorPlan>, Error> {
        let mut plans = Vec::new();
        for (index, actor) in self.topology.actors.iter().enumerate() {
            let factory = catalog(actor)?;
            let id: Arc<str> = actor.id.value.as_str().into();
            let sink = sinks.iter().position(|sink| actor.kind.is_sink() && sink.id == id).map(SinkIndex);
            for clone in 0..clones(actor) {
                plans.push(ActorPlan {
                    identity: ActorIdentity {
                        topology: topology.clone(),
                        name: placement::clone_name(&actor.name.value, clone as usize).into(),
                        id: id.clone(),
                        kind: actor.kind.name(),
                        clone,
                    },
                    actor: actor.name.value.as_str().into(),
                    role: role(&actor.kind),
                    topic: topic(&actor.kind),
                    factory: factory.clone(),
                    inputs: Vec::new(),
                    outputs: Vec::new(),
                    sink,
                    shutdown: actor.shutdown,
                    required: self.is_required(index),
                    decides: self.decides(index),
                    behind_gate: self.is_behind_gate(index),
                    depth: self.depth(index, self.topology.actors.len()),
                    load: placement::load_of(actor),
                });
            }
        }
        Ok(plans)
    }

    /// The best-effort sinks at or below `index`.
    fn best_effort_sinks(&self, index: usize, sinks: &[SinkSpec]) -> Vec<SinkIndex> {
        if self.actor(index).kind.is_gate() {
            // What a gate is not given no sink misses.
            return Vec::new();
        }
        let below = self.descendants(index);
        let below = below.into_iter().map(|below| self.actor(below)).filter(|actor| actor.kind.is_sink());
        let place = |actor: &model::Actor| {
            sinks.iter().position(|sink| *sink.id == *actor.id.value && !sink.required).map(SinkIndex)
        };
        below.filter_map(place).collect()
    }

    /// A link for each pair of clones along each edge.
    fn connect(&self, plans: &mut [ActorPlan], sinks: &[SinkSpec]) {
        for (writer, readers) in self.readers.iter().enumerate() {
            for &reader in readers {
                let bounds = bounds(self.actor(reader).link);
                for writer_clone in self.clones_of(writer) {
                    let links: Vec<_> = self.clones_of(reader).map(|_| Link::new(bounds)).collect();
                    let from = plans[writer_clone].identity.name.clone();
                    for (reader_clone, link) in self.clones_of(reader).zip(&links) {
                        let input = InputLink { from: from.clone(), link: link.clone() };
                        plans[reader_clone].inputs.push(input);
                    }
                    let best_effort = !self.is_required(reader);
                    let sinks = self.best_effort_sinks(reader, sinks);
                    let meter = Arc::default();
                    let to = self.actor(reader).name.value.as_str().into();
                    plans[writer_clone].outputs.push(OutputEdge { to, links, best_effort, sinks, meter });
                }
            }
        }
    }

    fn clones_of(&self, index: usize) -> std::ops::Range<usize> {
        let first = self.first_clone[index];
        first..first + clones(self.actor(index)) as usize
    }

    fn nodes(&self, plans: &[ActorPlan]) -> Result<Vec<Node>, Error> {
        let supervisors = &self.topology.supervisors;
        let named: Vec<_> = supervisors.iter().flat_map(|supervisor| &supervisor.children).collect();
        let mut nodes = Vec::new();
        for supervisor in supervisors {
            let mut children = Vec::new();
            for child in &supervisor.children {
                self.child(&child.value, plans, &mut children).ok_or_else(|| {
                    let (name, child) = (&supervisor.name.value, &child.value);
                    let message =
                        format!("supervisor `{name}` names `{child}`, which is neither actor nor supervisor");
                    Error::new(Class::Config, message)
                })?;
            }
            nodes.push(Node { spec: spec(supervisor), children });
        }
        let root = nodes
            .first_mut()
            .ok_or_else(|| Error::new(Class::Config, "the topology has no root supervisor"))?;
        for actor in &self.topology.actors {
            if !named.iter().any(|child| child.value == actor.name.value) {
                self.child(&actor.name.value, plans, &mut root.children);
            }
        }
        Ok(nodes)
    }

    fn child(
        &self,
        name: &str,
        plans: &[ActorPlan],
        children: &mut Vec<(ChildRef, Option<ChildSpec>)>,
    ) -> Option<()> {
        if let Some(&index) = self.position.get(name) {
            for clone in self.clones_of(index) {
                let spec = ChildSpec {
                    name: plans[clone].identity.name.clone(),
                    restart: restart(self.actor(index).restart),
                    shutdown: Shutdown::After(plans[clone].shutdown),
                };
                children.push((ChildRef::Actor(clone), Some(spec)));
            }
            return Some(());
        }
        let supervisors = &self.topology.supervisors;
        let supervisor = supervisors.iter().position(|supervisor| supervisor.name.value == name)?;
        children.push((ChildRef::Supervisor(supervisor), None));
        Some(())
    }
}

fn clones(actor: &model::Actor) -> u32 {
    actor.parallelism.value.max(1)
}

fn role(kind: &Kind) -> Role {
    match kind {
        Kind::DeadLetter(_) => Role::DeadLetter,
        Kind::Schedule(_) => Role::Schedule,
        kind if kind.is_gate() => Role::Gate,
        kind if kind.is_source() => Role::Source,
        kind if kind.is_sink() => Role::Sink,
        _ => Role::Transform,
    }
}

fn topic(kind: &Kind) -> Option<Arc<str>> {
    match kind {
        Kind::KafkaSource(source) => Some(source.topic.value.as_str().into()),
        _ => None,
    }
}

fn bounds(link: model::LinkBounds) -> Bounds {
    Bounds { batches: link.batches as usize, bytes: usize::try_from(link.bytes).unwrap_or(usize::MAX) }
}

fn restart(restart: model::Restart) -> Restart {
    match restart {
        model::Restart::Permanent => Restart::Permanent,
        model::Restart::Transient => Restart::Transient,
        model::Restart::Temporary => Restart::Temporary,
    }
}

fn spec(supervisor: &model::Supervisor) -> SupervisorSpec {
    SupervisorSpec {
        name: supervisor.name.value.as_str().into(),
        strategy: match supervisor.strategy {
            model::Strategy::OneForOne => Strategy::OneForOne,
            model::Strategy::OneForAll => Strategy::OneForAll,
            model::Strategy::RestForOne => Strategy::RestForOne,
        },
        intensity: Intensity { restarts: supervisor.intensity, period: supervisor.period },
        backoff: BackoffSpec {
            initial: supervisor.backoff.initial,
            max: supervisor.backoff.max,
            jitter: supervisor.backoff.jitter,
        },
        children: Vec::new(),
    }
}
