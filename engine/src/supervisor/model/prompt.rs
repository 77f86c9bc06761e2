//! Actors answer at once: each step of the tree is the model's, in its order.

use super::super::core::{Ended, Why};
use super::super::tree::{Tree, TreeAction, TreeTimer};
use super::family::{Family, Happening, SHUTDOWN, families, happenings};
use super::otp::{Otp, Step};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The real tree among actors that do as they are told, at once.
struct World {
    tree: Tree,
    now: Duration,
    up: BTreeSet<usize>,
    unstartable: BTreeSet<usize>,
    /// In the order they were armed.
    timers: Vec<(Duration, TreeTimer)>,
    steps: Vec<Step>,
}

impl World {
    fn new(family: &Family) -> Self {
        let (now, up, unstartable, timers, steps) = Default::default();
        Self { tree: family.tree(), now, up, unstartable, timers, steps }
    }

    fn obey(&mut self, actions: Vec<TreeAction>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            let answer = match action {
                TreeAction::Start(actor) => {
                    assert!(!self.up.contains(&actor), "started twice");
                    self.steps.push(Step::Start(actor));
                    if self.unstartable.remove(&actor) {
                        self.tree.exited(self.now, actor, Ended::Abnormal)
                    } else {
                        self.up.insert(actor);
                        self.tree.started(self.now, actor)
                    }
                }
                TreeAction::Stop(actor) => {
                    assert!(self.up.remove(&actor), "stopped while down");
                    self.steps.push(Step::Stop(actor));
                    self.tree.exited(self.now, actor, Ended::Normal)
                }
                TreeAction::Kill(actor) => panic!("{actor} stops in time and is killed"),
                TreeAction::Arm(timer, after) => {
                    self.timers.push((self.now + after, timer));
                    if after != SHUTDOWN {
                        self.steps.push(Step::Wait(after));
                    }
                    continue;
                }
                TreeAction::GaveUp { supervisor, .. } => {
                    self.steps.push(Step::GaveUp(supervisor.parse().expect("a number")));
                    continue;
                }
                TreeAction::Up => {
                    self.steps.push(Step::Up);
                    continue;
                }
                TreeAction::Down(why) => {
                    self.steps.push(Step::Down(why != Why::Shutdown));
                    continue;
                }
                TreeAction::Waits(..) => continue,
            };
            actions.extend(answer);
        }
    }

    fn pass(&mut self, until: Duration) {
        while let Some(due) = self.timers.iter().map(|(due, _)| *due).min().filter(|due| *due <= until) {
            let next = self.timers.iter().position(|timer| timer.0 == due).expect("it is the least");
            let (_, timer) = self.timers.remove(next);
            self.now = due;
            let actions = self.tree.elapsed(self.now, timer);
            self.obey(actions);
        }
        self.now = until;
    }
}

/// Both sides, told the same.
struct Both {
    world: World,
    model: Otp,
    actors: usize,
}

impl Both {
    fn happen(&mut self, happening: Happening) {
        let Self { world, model, actors } = self;
        let now = world.now;
        let actions = match happening {
            Happening::Exit(any, ended) if world.up.remove(&(any % *actors)) => {
                model.exited(any % *actors, ended);
                world.tree.exited(now, any % *actors, ended)
            }
            Happening::FailsToStart(any) => {
                model.unstartable.insert(any % *actors);
                world.unstartable.insert(any % *actors);
                return;
            }
            Happening::Operator(any, order) => {
                model.ordered(any % *actors, order);
                world.tree.ordered(now, any % *actors, order)
            }
            Happening::Remedy(any) if world.up.contains(&(any % *actors)) => {
                model.remedy(any % *actors);
                world.tree.remedy(now, any % *actors)
            }
            Happening::Displaced(any) if world.up.remove(&(any % *actors)) => {
                model.displaced(any % *actors);
                world.tree.displaced(now, any % *actors)
            }
            Happening::Pass(time) => {
                while model.next_due().is_some_and(|due| due <= now + time) {
                    model.next_wait_ends();
                }
                model.pass(now + time);
                world.pass(now + time);
                return;
            }
            _ => return,
        };
        world.obey(actions);
    }

    fn compare(&mut self, after: &str) -> Result<(), TestCaseError> {
        let Self { world, model, actors } = self;
        let (real, expected) = (std::mem::take(&mut world.steps), std::mem::take(&mut model.steps));
        prop_assert_eq!(real, expected, "steps after {}", after);
        prop_assert_eq!(&world.unstartable, &model.unstartable, "failed starts after {}", after);
        for actor in 0..*actors {
            prop_assert_eq!(
                world.tree.is_down(actor),
                model.is_down(actor),
                "is {} down after {}",
                actor,
                after
            );
            prop_assert_eq!(
                world.tree.is_held(actor),
                model.is_held(actor),
                "is {} held after {}",
                actor,
                after
            );
        }
        prop_assert_eq!(world.tree.is_alive(), model.is_alive(), "is the root alive after {}", after);
        if model.is_alive() {
            prop_assert_eq!(world.tree.is_calm(), model.next_due().is_none(), "is all calm after {}", after);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, max_shrink_iters: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn every_step_is_otps(
        family in families((Duration::from_secs(1), Duration::from_secs(4))),
        happenings in happenings(40),
    ) {
        let mut both = Both { world: World::new(&family), model: family.model(), actors: family.places.len() };
        both.model.boot();
        let actions = both.world.tree.start(Duration::ZERO);
        both.world.obey(actions);
        both.compare("the start")?;
        for happening in happenings {
            both.happen(happening);
            both.compare(&format!("{happening:?}"))?;
            if !both.model.is_alive() {
                return Ok(());
            }
        }
        both.model.shutdown();
        let actions = both.world.tree.shutdown(both.world.now);
        both.world.obey(actions);
        both.compare("the shutdown")?;
    }
}
