//! The whole supervision tree as one pure state machine: routes events to the supervisor they concern, and between
//! supervisors (a supervisor is a child of another; its giving up is that child's abnormal end).
//!
//! Deliberately absent: clocks, tasks, addresses, as in [`super::core`].

use super::core::{Action, Core, Ended, Event, Heritage, Order, Timer, Why};
use super::spec::{ChildSpec, Restart, Shutdown, SupervisorSpec};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// An actor's position in the runtime's list.
pub type ActorIndex = usize;

/// A child of a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildRef {
    /// An actor.
    Actor(ActorIndex),
    /// A supervisor, by its position in the tree's list.
    Supervisor(usize),
}

/// What the tree wants of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum TreeAction {
    /// Start that actor.
    Start(ActorIndex),
    /// Ask it to stop.
    Stop(ActorIndex),
    /// End it now.
    Kill(ActorIndex),
    /// It is started again after so long; for people.
    Waits(ActorIndex, Duration),
    /// Come back with [`Tree::elapsed`] after so long.
    Arm(TreeTimer, Duration),
    /// That supervisor gave up because of that child; for people.
    GaveUp {
        /// The supervisor's name.
        supervisor: Arc<str>,
        /// The child's name.
        child: Arc<str>,
    },
    /// The root is up.
    Up,
    /// The root is down, and why.
    Down(Why),
}

/// A timer of one of the supervisors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeTimer(usize, Timer);

/// One supervisor and what its children are.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it was told; its `children` are derived from `children` below by [`Tree::new`].
    pub spec: SupervisorSpec,
    /// In start order.
    pub children: Vec<(ChildRef, Option<ChildSpec>)>,
}

/// The tree. The root is the first.
#[derive(Clone, Debug)]
pub struct Tree {
    cores: Vec<Core>,
    children: Vec<Vec<ChildRef>>,
    /// Where each supervisor hangs.
    above: Vec<Option<(usize, usize)>>,
    /// Where each actor hangs; `None` = no such actor any more.
    actors: Vec<Option<(usize, usize)>>,
}

impl Tree {
    /// The tree of `nodes`, root first, whose actors are among the first `actors` slots. Child specs of actors come with
    /// them; supervisors are permanent children with all the time they need.
    ///
    /// # Panics
    /// If an actor or supervisor has two parents: the topology was checked before.
    pub fn new(nodes: Vec<Node>, actors: usize) -> Self {
        let names: Vec<_> = nodes.iter().map(|node| node.spec.name.clone()).collect();
        let mut above = vec![None; nodes.len()];
        let mut of_actor = vec![None; actors];
        let (mut cores, mut children) = (Vec::new(), Vec::new());
        for (index, mut node) in nodes.into_iter().enumerate() {
            for (position, (child, _)) in node.children.iter().enumerate() {
                let place = match *child {
                    ChildRef::Actor(actor) => &mut of_actor[actor],
                    ChildRef::Supervisor(supervisor) => &mut above[supervisor],
                };
                assert!(place.replace((index, position)).is_none(), "invariant: a child has one supervisor");
            }
            let specs = node.children.iter().map(|(child, spec)| match (child, spec) {
                (_, Some(spec)) => spec.clone(),
                (ChildRef::Supervisor(supervisor), None) => ChildSpec {
                    name: names[*supervisor].clone(),
                    restart: Restart::Permanent,
                    shutdown: Shutdown::Infinity,
                },
                (ChildRef::Actor(_), None) => unreachable!("an actor comes with its spec"),
            });
            node.spec.children = specs.collect();
            cores.push(Core::new(node.spec));
            children.push(node.children.into_iter().map(|(child, _)| child).collect());
        }
        Self { cores, children, above, actors: of_actor }
    }

    /// This tree in the place of `old`, which is calm: actors that are in both are what they were there, but those in
    /// `fresh` are down and start anew (unless an operator had stopped them: `sticky`), as those do that are only here.
    /// Nobody restarts because a supervisor is new, gone, or told something else.
    ///
    /// # Panics
    /// If `old` is not calm.
    pub fn succeed(
        &mut self,
        now: Duration,
        old: &Self,
        fresh: &BTreeSet<ActorIndex>,
        sticky: &BTreeSet<ActorIndex>,
    ) -> Vec<TreeAction> {
        assert!(old.is_calm(), "a tree is replaced while nothing is on its way");
        let known = |name: &Arc<str>| old.cores.iter().position(|core| core.spec().name == *name);
        let successor = |at: usize| {
            let heritage = |child: &ChildRef| match *child {
                ChildRef::Actor(actor) => match old.place(actor) {
                    Some((above, child)) if !fresh.contains(&actor) => {
                        Heritage::From(&old.cores[above], child)
                    }
                    _ => Heritage::Fresh { held: sticky.contains(&actor) },
                },
                ChildRef::Supervisor(below) => {
                    let before = known(&self.cores[below].spec().name).and_then(|before| old.above[before]);
                    before
                        .map_or(Heritage::Instated, |(above, child)| Heritage::From(&old.cores[above], child))
                }
            };
            let children: Vec<_> = self.children[at].iter().map(heritage).collect();
            let before = known(&self.cores[at].spec().name).map(|before| &old.cores[before]);
            self.cores[at].clone().succeeding(before, &children)
        };
        self.cores = (0..self.cores.len()).map(successor).collect();
        let mut actions = Vec::new();
        for at in 0..self.cores.len() {
            actions.extend(self.run(now, at, Event::Look));
        }
        actions
    }

    /// Whether nothing is on its way: no start, stop or wait that was asked for is still to come.
    pub fn is_calm(&self) -> bool {
        self.cores.iter().all(Core::is_calm)
    }

    /// Whether that actor is down.
    pub fn is_down(&self, actor: ActorIndex) -> bool {
        self.place(actor).is_none_or(|(supervisor, child)| self.cores[supervisor].is_down(child))
    }

    /// Whether an operator has stopped that actor.
    pub fn is_held(&self, actor: ActorIndex) -> bool {
        self.place(actor).is_some_and(|(supervisor, child)| self.cores[supervisor].is_held(child))
    }

    fn place(&self, actor: ActorIndex) -> Option<(usize, usize)> {
        self.actors.get(actor).copied().flatten()
    }

    /// The names of every supervisor's children, in start order.
    pub fn child_names(&self) -> Vec<Vec<Arc<str>>> {
        let names = |core: &Core| core.spec().children.iter().map(|child| child.name.clone()).collect();
        self.cores.iter().map(names).collect()
    }

    /// The name of the supervisor of an actor.
    pub fn supervisor_of(&self, actor: ActorIndex) -> &Arc<str> {
        let (supervisor, _) = self.place(actor).expect("invariant: an actor has a supervisor");
        &self.cores[supervisor].spec().name
    }

    /// Whether the root is at work.
    pub fn is_alive(&self) -> bool {
        self.cores[0].is_running()
    }

    /// Starts the root.
    pub fn start(&mut self, now: Duration) -> Vec<TreeAction> {
        self.run(now, 0, Event::Start)
    }

    /// Stops the root.
    pub fn shutdown(&mut self, now: Duration) -> Vec<TreeAction> {
        self.run(now, 0, Event::Shutdown)
    }

    /// An actor is up.
    pub fn started(&mut self, now: Duration, actor: ActorIndex) -> Vec<TreeAction> {
        let Some((supervisor, child)) = self.place(actor) else { return Vec::new() };
        self.run(now, supervisor, Event::Started(child))
    }

    /// An actor is down.
    pub fn exited(&mut self, now: Duration, actor: ActorIndex, ended: Ended) -> Vec<TreeAction> {
        let Some((supervisor, child)) = self.place(actor) else { return Vec::new() };
        self.run(now, supervisor, Event::Exited(child, ended))
    }

    /// An operator speaks.
    pub fn ordered(&mut self, now: Duration, actor: ActorIndex, order: Order) -> Vec<TreeAction> {
        let Some((supervisor, child)) = self.place(actor) else { return Vec::new() };
        self.run(now, supervisor, Event::Operator(child, order))
    }

    /// The watchdog wants that actor restarted.
    pub fn remedy(&mut self, now: Duration, actor: ActorIndex) -> Vec<TreeAction> {
        let Some((supervisor, child)) = self.place(actor) else { return Vec::new() };
        self.run(now, supervisor, Event::Remedy(child))
    }

    /// That actor's arbiter was abandoned.
    pub fn displaced(&mut self, now: Duration, actor: ActorIndex) -> Vec<TreeAction> {
        let Some((supervisor, child)) = self.place(actor) else { return Vec::new() };
        self.run(now, supervisor, Event::Displaced(child))
    }

    /// A wait is over.
    pub fn elapsed(&mut self, now: Duration, timer: TreeTimer) -> Vec<TreeAction> {
        self.run(now, timer.0, Event::Elapsed(timer.1))
    }

    fn run(&mut self, now: Duration, supervisor: usize, event: Event) -> Vec<TreeAction> {
        let mut wanted = Vec::new();
        let mut events = VecDeque::from([(supervisor, event)]);
        while let Some((at, event)) = events.pop_front() {
            for action in self.cores[at].handle(now, event) {
                self.route(at, action, &mut events, &mut wanted);
            }
        }
        wanted
    }

    fn route(
        &self,
        at: usize,
        action: Action,
        events: &mut VecDeque<(usize, Event)>,
        wanted: &mut Vec<TreeAction>,
    ) {
        use ChildRef::{Actor, Supervisor};
        let child = |child: usize| self.children[at][child];
        match action {
            Action::Start(index) => match child(index) {
                Actor(actor) => wanted.push(TreeAction::Start(actor)),
                Supervisor(below) => events.push_back((below, Event::Start)),
            },
            Action::Stop(index) => match child(index) {
                Actor(actor) => wanted.push(TreeAction::Stop(actor)),
                Supervisor(below) => events.push_back((below, Event::Shutdown)),
            },
            Action::Kill(index) => match child(index) {
                Actor(actor) => wanted.push(TreeAction::Kill(actor)),
                Supervisor(below) => events.push_back((below, Event::Shutdown)),
            },
            Action::Waits(index, wait) => {
                if let Actor(actor) = child(index) {
                    wanted.push(TreeAction::Waits(actor, wait));
                }
            }
            Action::Arm(timer, after) => wanted.push(TreeAction::Arm(TreeTimer(at, timer), after)),
            Action::Up => match self.above[at] {
                Some((above, child)) => events.push_back((above, Event::Started(child))),
                None => wanted.push(TreeAction::Up),
            },
            Action::Down(why) => {
                if let Why::Escalated(child) = why {
                    let spec = self.cores[at].spec();
                    let (supervisor, child) = (spec.name.clone(), spec.children[child].name.clone());
                    wanted.push(TreeAction::GaveUp { supervisor, child });
                }
                match (self.above[at], why) {
                    (Some((above, child)), Why::Escalated(_)) => {
                        events.push_back((above, Event::Exited(child, Ended::Abnormal)));
                    }
                    (Some((above, child)), Why::Shutdown) => {
                        events.push_back((above, Event::Exited(child, Ended::Normal)));
                    }
                    (None, why) => wanted.push(TreeAction::Down(why)),
                }
            }
        }
    }
}
