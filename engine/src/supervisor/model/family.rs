//! Trees of three levels, as both sides are told of them.

use super::super::core::{Ended, Order};
use super::super::spec::{BackoffSpec, ChildSpec, Intensity, Restart, Shutdown, Strategy, SupervisorSpec};
use super::super::tree::{ChildRef, Node, Tree};
use super::otp::{Otp, Rules};
use proptest::prelude::{Just, any, prop, prop_oneof};
use proptest::strategy::{BoxedStrategy, Strategy as Generator};
use std::time::Duration;

/// Shorter than any wait, so that a shutdown's end is told from a wait's.
pub(super) const SHUTDOWN: Duration = Duration::from_millis(1);

/// A tree to be.
#[derive(Clone, Debug)]
pub(super) struct Family {
    rules: Vec<Rules>,
    /// Where each actor hangs.
    pub(super) places: Vec<(usize, usize)>,
}

/// One supervisor's share: its rules and, for each child, an actor's restart kind or what is below.
#[derive(Clone, Debug)]
struct Branch {
    strategy: Strategy,
    restarts: usize,
    period_secs: u64,
    children: Vec<Member>,
}

#[derive(Clone, Debug)]
enum Member {
    Actor(Restart),
    Supervisor(Branch),
}

impl Family {
    fn of(root: &Branch, backoff: (Duration, Duration)) -> Self {
        let mut family = Self { rules: Vec::new(), places: Vec::new() };
        family.add(root, backoff);
        family
    }

    fn add(&mut self, branch: &Branch, backoff: (Duration, Duration)) -> usize {
        let at = self.rules.len();
        self.rules.push(Rules {
            strategy: branch.strategy,
            restarts: branch.restarts,
            period: Duration::from_secs(branch.period_secs),
            backoff,
            children: Vec::new(),
        });
        for (position, member) in branch.children.iter().enumerate() {
            let child = match member {
                Member::Actor(kind) => {
                    self.places.push((at, position));
                    (ChildRef::Actor(self.places.len() - 1), *kind)
                }
                Member::Supervisor(below) => {
                    (ChildRef::Supervisor(self.add(below, backoff)), Restart::Permanent)
                }
            };
            self.rules[at].children.push(child);
        }
        at
    }

    pub(super) fn model(&self) -> Otp {
        Otp::new(&self.rules, &self.places)
    }

    pub(super) fn tree(&self) -> Tree {
        let child = |&(child, restart): &(ChildRef, Restart)| match child {
            ChildRef::Actor(actor) => {
                let name = format!("a{actor}").into();
                (child, Some(ChildSpec { name, restart, shutdown: Shutdown::After(SHUTDOWN) }))
            }
            ChildRef::Supervisor(_) => (child, None),
        };
        let node = |(at, rules): (usize, &Rules)| Node {
            spec: SupervisorSpec {
                name: format!("{at}").into(),
                strategy: rules.strategy,
                intensity: Intensity { restarts: rules.restarts as u32, period: rules.period },
                backoff: BackoffSpec { initial: rules.backoff.0, max: rules.backoff.1, jitter: 0.0 },
                children: Vec::new(),
            },
            children: rules.children.iter().map(child).collect(),
        };
        Tree::new(self.rules.iter().enumerate().map(node).collect(), self.places.len())
    }
}

fn branch(below: Option<BoxedStrategy<Branch>>, fewest: usize) -> BoxedStrategy<Branch> {
    use Restart::{Permanent, Temporary, Transient};
    let actor =
        prop_oneof![3 => Just(Permanent), 1 => Just(Transient), 1 => Just(Temporary)].prop_map(Member::Actor);
    let member = match below {
        None => actor.boxed(),
        Some(below) => prop_oneof![actor, below.prop_map(Member::Supervisor)].boxed(),
    };
    let strategy =
        prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)];
    (strategy, 0usize..4, 2u64..12, prop::collection::vec(member, fewest..4))
        .prop_map(|(strategy, restarts, period_secs, children)| Branch {
            strategy,
            restarts,
            period_secs,
            children,
        })
        .boxed()
}

/// A tree of up to three levels of supervisors, with at least one actor. Waits double from the first of `backoff` up to
/// the second.
pub(super) fn families(backoff: (Duration, Duration)) -> impl Generator<Value = Family> {
    let (third, second) = (branch(None, 0), |third| branch(Some(third), 0));
    branch(Some(second(third)), 1)
        .prop_map(move |root| Family::of(&root, backoff))
        .prop_filter("an actor", |family| !family.places.is_empty())
}

/// Something that happens. Actors are named by any number.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// An actor that is up ends by itself.
    Exit(usize, Ended),
    /// The next start of an actor fails.
    FailsToStart(usize),
    Operator(usize, Order),
    /// The watchdog finds an actor stalled.
    Remedy(usize),
    /// An actor's arbiter is abandoned.
    Displaced(usize),
    Pass(Duration),
    /// One that was asked to start or stop answers.
    Answer(usize),
}

pub(super) fn happenings(most: usize) -> impl Generator<Value = Vec<Happening>> {
    use Happening::{Answer, Displaced, Exit, FailsToStart, Operator, Pass, Remedy};
    let ended = prop_oneof![
        6 => Just(Ended::Abnormal), 2 => Just(Ended::Normal), 1 => Just(Ended::Finished), 1 => Just(Ended::Probation),
    ];
    let order = prop_oneof![Just(Order::Stop), Just(Order::Start), Just(Order::Restart)];
    let happening = prop_oneof![
        8 => (any::<usize>(), ended).prop_map(|(actor, ended)| Exit(actor, ended)),
        2 => any::<usize>().prop_map(FailsToStart),
        3 => (any::<usize>(), order).prop_map(|(actor, order)| Operator(actor, order)),
        1 => any::<usize>().prop_map(Remedy),
        1 => any::<usize>().prop_map(Displaced),
        4 => (0u64..6).prop_map(|seconds| Pass(Duration::from_secs(seconds))),
        6 => any::<usize>().prop_map(Answer),
    ];
    prop::collection::vec(happening, 0..most)
}
