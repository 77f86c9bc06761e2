//! One generation of the graph: whom to host in which slot, who watches whom, which sinks there are.
//!
//! A graph is made from an assembled topology, beside the one at work if there is one: an actor that stays keeps its
//! blueprint, an edge between the same two actors with the same columns and bounds keeps its link and what is on it. So
//! two graphs differ exactly where their blueprints are not the same object, and going back is going forth with the
//! graphs exchanged.
//!
//! Deliberately absent: starting and stopping anything.

use crate::assemble::{ActorPlan, Plan};
use crate::claim::{Claims, OffsetStore};
use crate::clock::Clock;
use crate::ledger::{Ledger, SinkIndex, SinkSpec};
use crate::letter::DeadLetterPort;
use crate::link::Link;
use crate::registry::{Entry, Roster, SupervisorView, strategy_word};
use crate::status::Status;
use crate::supervisor::host::{Blueprint, InputLink, OutputEdge, Record};
use crate::supervisor::tree::{ChildRef, Node, Tree};
use crate::tap::Taps;
use crate::trace::{TracePoint, Tracer};
use aqueduct_topology::model::Topology;
use aqueduct_topology::placement::{self, Candidate};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What every actor of an application shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) ledger: Ledger,
    pub(crate) claims: Claims,
    pub(crate) letters: DeadLetterPort,
    pub(crate) taps: Taps,
    pub(crate) tracer: Option<Arc<Tracer>>,
}

/// One actor of a graph.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) blueprint: Arc<Blueprint>,
    /// Steps from its sources.
    pub(crate) depth: usize,
    /// What it needs of a core beside the others.
    pub(crate) load: u32,
    /// Whether a required sink depends on it.
    pub(crate) required: bool,
    /// Whether it lies behind a gate.
    pub(crate) behind_gate: bool,
}

/// See the module's page.
#[derive(Clone)]
pub(crate) struct Graph {
    pub(crate) topology: Arc<Topology>,
    pub(crate) canonical: serde_json::Value,
    /// Every name that ever had a slot, by slot.
    names: Vec<Arc<str>>,
    /// By slot.
    pub(crate) places: BTreeMap<usize, Place>,
    /// The supervisors, root first; their children by slot.
    pub(crate) nodes: Vec<Node>,
    pub(crate) sinks: Vec<SinkSpec>,
    pub(crate) offsets: Option<Arc<dyn OffsetStore>>,
}

/// What a graph is made from.
pub(crate) struct Draft {
    pub(crate) topology: Arc<Topology>,
    pub(crate) canonical: serde_json::Value,
    pub(crate) plan: Plan,
    pub(crate) offsets: Option<Arc<dyn OffsetStore>>,
}

impl Graph {
    /// The first graph of an application.
    pub(crate) fn first(draft: Draft, shared: &Shared) -> Self {
        Self::make(draft, shared, None, &BTreeSet::new())
    }

    /// The graph of `draft` beside this one. `restart` names, as the file does, the actors that must not stay as they are.
    pub(crate) fn next(&self, draft: Draft, shared: &Shared, restart: &BTreeSet<String>) -> Self {
        Self::make(draft, shared, Some(self), restart)
    }

    fn make(draft: Draft, shared: &Shared, old: Option<&Self>, restart: &BTreeSet<String>) -> Self {
        let Draft { topology, canonical, mut plan, offsets } = draft;
        let sinks = shared.ledger.places_of(&plan.sinks);
        plan.actors.iter_mut().for_each(|actor| place_sinks(actor, &sinks));
        if let Some(old) = old {
            old.lend_links(&topology, &mut plan.actors);
        }
        let mut names = old.map(|old| old.names.clone()).unwrap_or_default();
        let slots: Vec<usize> =
            plan.actors.iter().map(|actor| slot(&mut names, &actor.identity.name)).collect();
        let mut places = BTreeMap::new();
        for (actor, &slot) in plan.actors.into_iter().zip(&slots) {
            let known = old.and_then(|old| old.places.get(&slot));
            let (depth, load) = (actor.depth, actor.load);
            let (required, behind_gate) = (actor.required, actor.behind_gate);
            let blueprint = match known {
                Some(known) if !restart.contains(&*actor.actor) && is_wired_as(&known.blueprint, &actor) => {
                    known.blueprint.clone()
                }
                known => Arc::new(blueprint(slot, actor, shared, known.map(|known| &*known.blueprint))),
            };
            places.insert(slot, Place { blueprint, depth, load, required, behind_gate });
        }
        let mut nodes = plan.nodes;
        for (child, _) in nodes.iter_mut().flat_map(|node| &mut node.children) {
            if let ChildRef::Actor(index) = child {
                *index = slots[*index];
            }
        }
        Self { topology, canonical, names, places, nodes, sinks: plan.sinks, offsets }
    }

    /// Puts the links of this graph in the place of new ones wherever an edge stays what it is.
    fn lend_links(&self, topology: &Topology, actors: &mut [ActorPlan]) {
        let mut lent: BTreeMap<*const Link, Arc<Link>> = BTreeMap::new();
        for actor in &mut *actors {
            let Some(old) = self.named(&actor.identity.name) else { continue };
            let columns = |of: &Topology| of.input_columns(&actor.actor);
            if columns(topology) != columns(&self.topology) {
                continue;
            }
            for input in &mut actor.inputs {
                let same =
                    |old: &&InputLink| old.from == input.from && old.link.bounds() == input.link.bounds();
                if let Some(old) = old.blueprint.inputs.iter().find(same) {
                    lent.insert(Arc::as_ptr(&input.link), old.link.clone());
                    input.link = old.link.clone();
                }
            }
        }
        for actor in actors {
            let old = self.named(&actor.identity.name);
            for edge in &mut actor.outputs {
                for link in &mut edge.links {
                    if let Some(old) = lent.get(&Arc::as_ptr(link)) {
                        *link = old.clone();
                    }
                }
                let outputs = old.map(|old| &old.blueprint.outputs);
                if let Some(known) = outputs.and_then(|known| known.iter().find(|known| known.to == edge.to))
                {
                    edge.meter = known.meter.clone();
                }
            }
        }
    }

    fn named(&self, name: &str) -> Option<&Place> {
        self.places.values().find(|place| &*place.blueprint.identity.name == name)
    }

    /// The tree of its supervisors.
    pub(crate) fn tree(&self) -> Tree {
        Tree::new(self.nodes.clone(), self.names.len())
    }

    /// What people see of it.
    pub(crate) fn roster(&self, tree: &Tree, generation: u64) -> Roster {
        let views = self.nodes.iter().zip(tree.child_names()).map(|(node, children)| SupervisorView {
            name: node.spec.name.clone(),
            strategy: strategy_word(node.spec.strategy),
            intensity: node.spec.intensity.restarts,
            period_seconds: node.spec.intensity.period.as_secs_f64(),
            children,
        });
        let entry = |slot: usize| {
            let Place { blueprint, required, behind_gate, .. } = self.places.get(&slot)?;
            Some(Entry {
                identity: blueprint.identity.clone(),
                role: blueprint.role,
                topic: blueprint.topic.clone(),
                supervisor: tree.supervisor_of(slot).clone(),
                status: blueprint.status.clone(),
                inputs: blueprint.inputs.clone(),
                outputs: blueprint.outputs.iter().map(|edge| (edge.to.clone(), edge.meter.clone())).collect(),
                required: *required,
                behind_gate: *behind_gate,
                record: blueprint.record.clone(),
            })
        };
        Roster {
            slots: (0..self.names.len()).map(entry).collect(),
            supervisors: views.collect(),
            canonical: self.canonical.clone(),
            generation,
        }
    }

    /// How many slots there are, those of actors that are gone included.
    pub(crate) fn slots(&self) -> usize {
        self.names.len()
    }

    /// Keeps the slots that another graph gave out, so that none is given out twice.
    pub(crate) fn remember_slots(&mut self, of: &Self) {
        self.names.clone_from(&of.names);
    }

    /// The slots whose actor is not, or not like this, in `other`; in the order in which data passes them, those that
    /// take rejected records last.
    pub(crate) fn unlike(&self, other: &Self) -> Vec<usize> {
        let stays = |slot: &usize, place: &Place| {
            other.places.get(slot).is_some_and(|known| Arc::ptr_eq(&known.blueprint, &place.blueprint))
        };
        let mut slots: Vec<_> =
            self.places.iter().filter(|(slot, place)| !stays(slot, place)).map(|(slot, _)| *slot).collect();
        slots.sort_by_key(|slot| {
            let place = &self.places[slot];
            (place.blueprint.role.is_apart(), place.depth)
        });
        slots
    }

    /// How many arbiters its actors need, at most so many.
    pub(crate) fn arbiters(&self, most: usize) -> usize {
        placement::used(most, self.places.len())
    }

    /// The arbiter of each slot, of so many; `kept` says where an actor is that stays.
    pub(crate) fn seats(
        &self,
        arbiters: usize,
        kept: impl Fn(usize) -> Option<usize>,
    ) -> BTreeMap<usize, usize> {
        let position: BTreeMap<&str, usize> = self
            .places
            .values()
            .enumerate()
            .map(|(at, place)| (&*place.blueprint.identity.name, at))
            .collect();
        let mut candidates: Vec<Candidate> = self
            .places
            .iter()
            .map(|(slot, place)| Candidate { load: place.load, neighbours: Vec::new(), kept: kept(*slot) })
            .collect();
        for (at, place) in self.places.values().enumerate() {
            for writer in place.blueprint.inputs.iter().filter_map(|input| position.get(&*input.from)) {
                candidates[at].neighbours.push(*writer);
                candidates[*writer].neighbours.push(at);
            }
        }
        self.places.keys().copied().zip(placement::spread(&candidates, arbiters)).collect()
    }

    /// The links into `slot` that `other` does not have.
    pub(crate) fn links_lost(&self, slot: usize, other: &Self) -> Vec<Arc<Link>> {
        let kept: BTreeSet<*const Link> = other
            .places
            .values()
            .flat_map(|place| &place.blueprint.inputs)
            .map(|input| Arc::as_ptr(&input.link))
            .collect();
        let inputs = self.places[&slot].blueprint.inputs.iter().map(|input| &input.link);
        inputs.filter(|link| !kept.contains(&Arc::as_ptr(link))).cloned().collect()
    }

    /// The identities of the sources and gates that `slot` is or descends from; nothing that is read passes a gate.
    pub(crate) fn sources_of(&self, slot: usize) -> BTreeSet<Arc<str>> {
        let (mut seen, mut next) = (BTreeSet::from([slot]), vec![slot]);
        let mut sources = BTreeSet::new();
        while let Some(slot) = next.pop() {
            let blueprint = &self.places[&slot].blueprint;
            if blueprint.role.begins() {
                sources.insert(blueprint.identity.id.clone());
                continue;
            }
            for input in &blueprint.inputs {
                let writer = self.named(&input.from).map(|place| place.blueprint.index);
                next.extend(writer.filter(|writer| seen.insert(*writer)));
            }
        }
        sources
    }
}

/// The slot of that name, given out if it has none.
fn slot(names: &mut Vec<Arc<str>>, name: &Arc<str>) -> usize {
    names.iter().position(|known| known == name).unwrap_or_else(|| {
        names.push(name.clone());
        names.len() - 1
    })
}

/// Turns places in the plan's list of sinks into places in the ledger.
fn place_sinks(actor: &mut ActorPlan, places: &[SinkIndex]) {
    actor.sink = actor.sink.map(|sink| places[sink.0]);
    for sink in actor.outputs.iter_mut().flat_map(|edge| &mut edge.sinks) {
        *sink = places[sink.0];
    }
}

/// Whether the links around `actor`, and what they lead to, are those it was built with.
fn is_wired_as(known: &Blueprint, actor: &ActorPlan) -> bool {
    let input = |(known, new): (&InputLink, &InputLink)| {
        known.from == new.from && Arc::ptr_eq(&known.link, &new.link)
    };
    let output = |(known, new): (&OutputEdge, &OutputEdge)| {
        let links = known.links.iter().zip(&new.links).all(|(known, new)| Arc::ptr_eq(known, new));
        links
            && known.links.len() == new.links.len()
            && known.best_effort == new.best_effort
            && known.sinks == new.sinks
    };
    known.identity == actor.identity
        && (known.sink, known.decides) == (actor.sink, actor.decides)
        && known.inputs.len() == actor.inputs.len()
        && known.outputs.len() == actor.outputs.len()
        && known.inputs.iter().zip(&actor.inputs).all(input)
        && known.outputs.iter().zip(&actor.outputs).all(output)
}

fn blueprint(slot: usize, actor: ActorPlan, shared: &Shared, known: Option<&Blueprint>) -> Blueprint {
    let kind = actor.identity.kind;
    Blueprint {
        index: slot,
        tap: shared.taps.point(&actor.identity.name),
        trace: shared
            .tracer
            .clone()
            .map(|tracer| Arc::new(TracePoint::new(tracer, &actor.identity, actor.role))),
        identity: actor.identity,
        role: actor.role,
        topic: actor.topic,
        factory: actor.factory,
        inputs: actor.inputs,
        outputs: actor.outputs,
        clock: shared.clock.clone(),
        ledger: shared.ledger.clone(),
        sink: actor.sink,
        decides: actor.decides,
        claims: shared.claims.clone(),
        letters: shared.letters.clone(),
        status: known.map_or_else(|| Status::new(shared.clock.clone()), |known| status_of(known, kind)),
        shutdown: actor.shutdown,
        record: known.map_or_else(Arc::<Record>::default, |known| known.record.clone()),
    }
}

/// The status that goes on under a name. What another kind has measured of itself says nothing of this one.
fn status_of(known: &Blueprint, kind: &str) -> Status {
    if known.identity.kind != kind {
        known.status.figures().clear();
    }
    known.status.clone()
}
