//! Actors answer late and in any order, and more happens meanwhile: all ends as in the model, where everything is done
//! at once. OTP's supervisor comes to the same end because it takes what happened meanwhile from its mailbox afterwards;
//! ours works on all of it together.
//!
//! On the way there are laws that hold at every step: nobody is started twice, nor before an earlier sibling that is on
//! its way up; nobody that is down is stopped; in a shutdown siblings go from last to first, and a supervisor that shuts
//! down starts nobody.
//!
//! Time stands still while an answer is due (what is late is the order, not the hour), but for a step past the shutdown
//! time, which kills. While a supervisor gives up nothing else happens: OTP's would not hear of it, ours neither, but the
//! one above it may, and the model, in which giving up takes no time, cannot tell which came first.

use super::super::core::{Ended, Why};
use super::super::tree::{Tree, TreeAction, TreeTimer};
use super::family::{Family, Happening, SHUTDOWN, families, happenings};
use super::otp::{Otp, Step};
use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Down,
    Starting,
    Up,
    Stopping,
}

/// The real tree among actors that take their time.
struct World {
    tree: Tree,
    places: Vec<(usize, usize)>,
    now: Duration,
    lives: Vec<Life>,
    timers: Vec<(Duration, TreeTimer)>,
    shutting_down: bool,
    down: Option<Why>,
}

impl World {
    fn new(family: &Family) -> Self {
        let places = family.places.clone();
        let (lives, now, timers) = (vec![Life::Down; places.len()], Duration::ZERO, Vec::new());
        Self { tree: family.tree(), places, now, lives, timers, shutting_down: false, down: None }
    }

    fn obey(&mut self, actions: Vec<TreeAction>) {
        for action in actions {
            match action {
                TreeAction::Start(actor) => {
                    // A supervisor further down may not have been told yet; OTP's would go on, too.
                    assert!(
                        !self.shutting_down || self.places[actor].0 != 0,
                        "{actor} is started by a supervisor that shuts down"
                    );
                    assert_eq!(self.lives[actor], Life::Down, "{actor} is started twice");
                    assert!(
                        self.siblings(actor)
                            .take_while(|sibling| *sibling != actor)
                            .all(|sibling| { self.lives[sibling] != Life::Starting }),
                        "{actor} is started before an earlier sibling is up"
                    );
                    self.lives[actor] = Life::Starting;
                }
                TreeAction::Stop(actor) => {
                    assert!(
                        matches!(self.lives[actor], Life::Starting | Life::Up),
                        "{actor} is stopped while down"
                    );
                    assert!(
                        !self.shutting_down || self.later_siblings(actor).all(|life| life == Life::Down),
                        "{actor} is stopped before a sibling that was started after it"
                    );
                    self.lives[actor] = Life::Stopping;
                }
                TreeAction::Kill(actor) => {
                    assert_eq!(self.lives[actor], Life::Stopping, "{actor} is killed unasked")
                }
                TreeAction::Arm(timer, after) => self.timers.push((self.now + after, timer)),
                TreeAction::Down(why) => {
                    assert!(
                        self.lives.iter().all(|life| *life == Life::Down),
                        "the root ends before its actors"
                    );
                    self.down = Some(why);
                }
                TreeAction::Waits(..) | TreeAction::GaveUp { .. } | TreeAction::Up => {}
            }
        }
    }

    /// The actors of the same supervisor, in start order, `actor` among them.
    fn siblings(&self, actor: usize) -> impl Iterator<Item = usize> {
        let at = self.places[actor].0;
        (0..self.places.len()).filter(move |other| self.places[*other].0 == at)
    }

    fn later_siblings(&self, actor: usize) -> impl Iterator<Item = Life> {
        self.siblings(actor).filter(move |sibling| *sibling > actor).map(|sibling| self.lives[sibling])
    }

    fn due(&self) -> Vec<usize> {
        let is_due = |actor: &usize| matches!(self.lives[*actor], Life::Starting | Life::Stopping);
        (0..self.lives.len()).filter(is_due).collect()
    }

    fn answer(&mut self, actor: usize) {
        let actions = if self.lives[actor] == Life::Starting {
            self.lives[actor] = Life::Up;
            self.tree.started(self.now, actor)
        } else {
            self.lives[actor] = Life::Down;
            self.tree.exited(self.now, actor, Ended::Normal)
        };
        self.obey(actions);
    }

    /// Until nobody owes an answer.
    fn settle(&mut self) {
        while let Some(actor) = self.due().first().copied() {
            self.answer(actor);
        }
    }

    /// The next timer up to `until` fires; `false`: there is none.
    fn fire_next(&mut self, until: Duration) -> bool {
        self.timers.sort();
        if self.timers.first().is_none_or(|timer| timer.0 > until) {
            return false;
        }
        let (due, timer) = self.timers.remove(0);
        self.now = self.now.max(due);
        let actions = self.tree.elapsed(self.now, timer);
        self.obey(actions);
        true
    }
}

struct Both {
    world: World,
    model: Otp,
}

impl Both {
    fn happen(&mut self, happening: Happening) {
        let Self { world, model } = self;
        let (now, actors) = (world.now, world.lives.len());
        let actions = match happening {
            Happening::Exit(any, ended) => {
                let actor = any % actors;
                let ended = match world.lives[actor] {
                    Life::Down => return,
                    // Its answer: only that its data ended is news.
                    Life::Stopping if ended != Ended::Finished => Ended::Normal,
                    // It fails to start.
                    Life::Starting if ended != Ended::Finished => Ended::Abnormal,
                    _ => ended,
                };
                if world.lives[actor] != Life::Stopping || ended == Ended::Finished {
                    model.exited(actor, ended);
                }
                world.lives[actor] = Life::Down;
                world.tree.exited(now, actor, ended)
            }
            Happening::Operator(any, order) => {
                model.ordered(any % actors, order);
                world.tree.ordered(now, any % actors, order)
            }
            Happening::Remedy(any) if world.lives[any % actors] == Life::Up => {
                model.remedy(any % actors);
                world.tree.remedy(now, any % actors)
            }
            Happening::Displaced(any) if world.lives[any % actors] == Life::Up => {
                world.lives[any % actors] = Life::Down;
                model.displaced(any % actors);
                world.tree.displaced(now, any % actors)
            }
            Happening::Answer(any) => {
                let due = world.due();
                if !due.is_empty() {
                    world.answer(due[any % due.len()]);
                }
                return;
            }
            Happening::Pass(time) if time.is_zero() => return self.kill_the_late(),
            Happening::Pass(time) => return self.pass(now + time),
            _ => return,
        };
        world.obey(actions);
    }

    fn pass(&mut self, until: Duration) {
        self.world.settle();
        while self.world.fire_next(until) {
            self.world.settle();
        }
        self.world.now = self.world.now.max(until);
        self.catch_up();
    }

    /// Whoever is still stopping has had its time.
    fn kill_the_late(&mut self) {
        let soon = self.world.now + SHUTDOWN;
        if self.world.due().is_empty() || self.model.next_due().is_some_and(|due| due <= soon) {
            return;
        }
        while self.world.fire_next(soon) {}
        self.world.now = soon;
        self.catch_up();
    }

    fn catch_up(&mut self) {
        while self.model.next_due().is_some_and(|due| due <= self.world.now) {
            self.model.next_wait_ends();
        }
        self.model.pass(self.world.now);
    }

    /// Every answer is given and every wait is over; then both are alike.
    fn come_to_rest(&mut self) -> Result<(), TestCaseError> {
        self.world.settle();
        while self.world.fire_next(Duration::MAX) {
            self.world.settle();
        }
        while let Some(due) = self.model.next_due() {
            self.model.next_wait_ends();
            self.world.now = self.world.now.max(due);
        }
        self.model.pass(self.world.now);
        let Self { world, model } = self;
        for actor in 0..world.lives.len() {
            prop_assert_eq!(world.lives[actor] == Life::Down, model.is_down(actor), "is {} down", actor);
            prop_assert_eq!(world.tree.is_down(actor), model.is_down(actor), "is {} thought down", actor);
            prop_assert_eq!(world.tree.is_held(actor), model.is_held(actor), "is {} held", actor);
        }
        prop_assert_eq!(world.tree.is_alive(), model.is_alive());
        prop_assert_eq!(world.down.is_some(), !model.is_alive());
        prop_assert!(!model.is_alive() || world.tree.is_calm(), "something is still thought to come");
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, max_shrink_iters: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn late_answers_come_to_the_same_end(
        family in families((Duration::from_secs(1), Duration::from_secs(1))),
        happenings in happenings(60),
        rests in prop::collection::vec(any::<u8>(), 60),
    ) {
        let mut both = Both { world: World::new(&family), model: family.model() };
        both.model.boot();
        let actions = both.world.tree.start(Duration::ZERO);
        both.world.obey(actions);
        for (happening, rest) in happenings.into_iter().zip(rests) {
            both.happen(happening);
            if both.model.steps.drain(..).any(|step| matches!(step, Step::GaveUp(_))) {
                both.world.settle();
            }
            if rest < 16 || !both.model.is_alive() {
                both.come_to_rest()?;
            }
            if !both.model.is_alive() {
                return Ok(());
            }
        }
        both.world.shutting_down = true;
        let actions = both.world.tree.shutdown(both.world.now);
        both.world.obey(actions);
        both.model.shutdown();
        both.come_to_rest()?;
        prop_assert!(both.world.down == Some(Why::Shutdown));
    }
}
