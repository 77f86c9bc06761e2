//! OTP's supervisor as a program of its own.
//!
//! Written from "Supervisor Behaviour" (OTP Design Principles), the reference page of `supervisor` and, where those are
//! silent, `supervisor.erl` of OTP 27. A supervisor there is one process that takes exits from its mailbox one by one and
//! stops and starts children while it waits, so each exit is handled as if at once. That is what the model does: an
//! event in, all of its consequences as [`Step`]s.
//!
//! What it takes from OTP, with the function that says so:
//! - children start left to right (`start_children`), each after the one before is up, and stop in reverse
//!   (`terminate_children`), a supervisor with all below it;
//! - who is restarted (`restart/3`); a permanent child after every end, a transient one after an abnormal end, a
//!   temporary one never (`do_restart`);
//! - a restart is counted before anything is stopped; *more* than `intensity` within `period` end the supervisor, a
//!   restart exactly a period ago counts (`add_restart`); the supervisor above takes that for an abnormal end;
//! - in a group that goes down a temporary child is forgotten (`terminate_children`), and a transient one that had ended
//!   well comes back with the others (`start_children`);
//! - how a child ends while its group, or its supervisor, goes down is nobody's fault: not counted (`shutdown/1`);
//! - a supervisor that is restarted begins with fresh accounts and all of its children (`init/1`).
//!
//! Where ours differs on purpose:
//! - *Backoff.* OTP starts again at once. Ours waits; the child is then what OTP calls `restarting`, and the supervisor
//!   attends to other things meanwhile, as after `try_again_restart`. The wait itself counts nothing: OTP's failed
//!   attempts burn intensity in milliseconds, and a service that is away takes longer than that to come back.
//! - *A first start that fails* is a restart like any other; OTP gives up the whole tree. A node must come up while what
//!   it depends on is still down.
//! - *Finished* is an end of its own: the data ended, the outputs are closed, and a second start could only find them so.
//! - *An operator's stop is sticky*, through restarts of the group and of the supervisor; with OTP a child stopped by
//!   `terminate_child` comes back with its group. An operator who stops a writer wants it down.
//! - *Probation* (a batch that kills its actor is bisected) restarts that actor alone, at once, uncounted: the crash
//!   that began it was counted.
//! - *The watchdog's remedy* counts as a restart but fells nobody: the siblings get on. *Displaced* (the arbiter was
//!   abandoned because of another actor) counts nothing.
//! - Time is exact; OTP counts whole seconds.

use super::super::core::{Ended, Order};
use super::super::spec::{Restart, Strategy};
use super::super::tree::ChildRef;
use std::collections::BTreeSet;
use std::time::Duration;

/// What a supervisor does, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Start(usize),
    Stop(usize),
    /// A restart waits so long.
    Wait(Duration),
    GaveUp(usize),
    /// The root is up.
    Up,
    /// The root is down; whether it gave up.
    Down(bool),
}

/// What a supervisor is told.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) strategy: Strategy,
    pub(super) restarts: usize,
    pub(super) period: Duration,
    /// The first wait and the longest.
    pub(super) backoff: (Duration, Duration),
    pub(super) children: Vec<(ChildRef, Restart)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Down,
    /// Some child is not up for the first time.
    Starting,
    Up,
}

struct Supervisor {
    rules: Rules,
    above: Option<(usize, usize)>,
    life: Life,
    children: Vec<Child>,
    restarts: Vec<Duration>,
    /// Children from here on wait to be started together.
    group: Option<usize>,
    /// The one above has not been told yet.
    gave_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pid {
    /// Not started, to be started in its turn.
    Undefined,
    Alive,
    /// Waits to be started again.
    Restarting,
    /// Not to be started again: its restart kind says so.
    Forgotten,
}

struct Child {
    pid: Pid,
    stopped_by_operator: bool,
    finished: bool,
    /// Restarts since it last was up for a whole period.
    attempts: u32,
    up_since: Option<Duration>,
}

struct Wait {
    due: Duration,
    supervisor: usize,
    /// `None`: the group.
    child: Option<usize>,
}

pub(super) struct Otp {
    supervisors: Vec<Supervisor>,
    /// Where each actor hangs.
    places: Vec<(usize, usize)>,
    /// In the order they were begun.
    waits: Vec<Wait>,
    now: Duration,
    /// Actors whose next start fails.
    pub(super) unstartable: BTreeSet<usize>,
    /// What was done since last taken.
    pub(super) steps: Vec<Step>,
}

impl Otp {
    /// The root comes first; `places` says which child of which supervisor each actor is.
    pub(super) fn new(rules: &[Rules], places: &[(usize, usize)]) -> Self {
        let child = |_: &_| Child {
            pid: Pid::Undefined,
            stopped_by_operator: false,
            finished: false,
            attempts: 0,
            up_since: None,
        };
        let mut supervisors: Vec<Supervisor> = rules
            .iter()
            .map(|rules| Supervisor {
                above: None,
                life: Life::Down,
                children: rules.children.iter().map(child).collect(),
                restarts: Vec::new(),
                group: None,
                gave_up: false,
                rules: rules.clone(),
            })
            .collect();
        for (at, rules) in rules.iter().enumerate() {
            for (position, (child, _)) in rules.children.iter().enumerate() {
                if let ChildRef::Supervisor(below) = child {
                    supervisors[*below].above = Some((at, position));
                }
            }
        }
        let (waits, unstartable, steps) = Default::default();
        Self { supervisors, places: places.to_vec(), waits, now: Duration::ZERO, unstartable, steps }
    }

    // What can be seen.

    pub(super) fn is_down(&self, actor: usize) -> bool {
        let (at, child) = self.places[actor];
        self.supervisors[at].children[child].pid != Pid::Alive
    }

    pub(super) fn is_held(&self, actor: usize) -> bool {
        let (at, child) = self.places[actor];
        let child = &self.supervisors[at].children[child];
        child.stopped_by_operator && !child.finished
    }

    pub(super) fn is_alive(&self) -> bool {
        self.supervisors[0].life != Life::Down
    }

    /// When the next wait is over.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.waits.iter().map(|wait| wait.due).min()
    }

    // What happens.

    pub(super) fn boot(&mut self) {
        self.begin(0);
        self.advance(0);
    }

    pub(super) fn shutdown(&mut self) {
        self.bring_down(0);
        self.steps.push(Step::Down(false));
    }

    /// An actor ends by itself.
    pub(super) fn exited(&mut self, actor: usize, ended: Ended) {
        let (at, position) = self.places[actor];
        let child = &mut self.supervisors[at].children[position];
        child.finished |= ended == Ended::Finished;
        if child.pid != Pid::Alive {
            return;
        }
        child.pid = Pid::Undefined;
        let kind = self.supervisors[at].rules.children[position].1;
        match (ended, kind) {
            (Ended::Finished | Ended::Probation, _) => {}
            (_, Restart::Permanent) | (Ended::Abnormal, Restart::Transient) => {
                self.restart(at, position, self.supervisors[at].rules.strategy);
            }
            (_, Restart::Transient | Restart::Temporary) => {
                self.supervisors[at].children[position].pid = Pid::Forgotten;
            }
        }
        self.advance(at);
    }

    pub(super) fn ordered(&mut self, actor: usize, order: Order) {
        let (at, position) = self.places[actor];
        self.forget_wait(at, position);
        let child = &mut self.supervisors[at].children[position];
        match order {
            Order::Stop => child.stopped_by_operator = true,
            Order::Start | Order::Restart => {
                child.stopped_by_operator = false;
                child.attempts = 0;
                if child.pid == Pid::Forgotten {
                    child.pid = Pid::Undefined;
                }
            }
        }
        if order != Order::Start {
            self.terminate(at, position);
        }
        self.advance(at);
    }

    pub(super) fn remedy(&mut self, actor: usize) {
        let (at, position) = self.places[actor];
        if self.supervisors[at].children[position].pid == Pid::Alive {
            self.restart(at, position, Strategy::OneForOne);
            self.advance(at);
        }
    }

    pub(super) fn displaced(&mut self, actor: usize) {
        let (at, position) = self.places[actor];
        let child = &mut self.supervisors[at].children[position];
        if child.pid == Pid::Alive {
            child.pid = Pid::Undefined;
            self.advance(at);
        }
    }

    /// Time goes on to `now`, which is no later than the next wait's end.
    pub(super) fn pass(&mut self, now: Duration) {
        assert!(self.next_due().is_none_or(|due| due >= now));
        self.now = now;
    }

    /// The next wait ends; now is its end.
    pub(super) fn next_wait_ends(&mut self) {
        let due = self.next_due().expect("somebody waits");
        let next = self.waits.iter().position(|wait| wait.due == due).expect("it is the least");
        let wait = self.waits.remove(next);
        self.now = due;
        let supervisor = &mut self.supervisors[wait.supervisor];
        match wait.child {
            Some(child) => supervisor.children[child].pid = Pid::Undefined,
            None => supervisor.group = None,
        }
        self.advance(wait.supervisor);
    }

    // How.

    /// `init/1`: fresh accounts, every child.
    fn begin(&mut self, at: usize) {
        let supervisor = &mut self.supervisors[at];
        supervisor.life = Life::Starting;
        supervisor.restarts.clear();
        for child in &mut supervisor.children {
            child.pid = Pid::Undefined;
            child.attempts = 0;
        }
    }

    /// Starts whoever should be up, and tells the supervisor above what came of it.
    fn advance(&mut self, at: usize) {
        let before = self.supervisors[at].life;
        self.start_children(at);
        let supervisor = &mut self.supervisors[at];
        let gave_up = std::mem::take(&mut supervisor.gave_up);
        let is_up = (before, supervisor.life) == (Life::Starting, Life::Up);
        let Some((above, position)) = supervisor.above else { return };
        if gave_up {
            self.child_gave_up(above, position);
        } else if is_up {
            self.supervisors[above].children[position].up_since = Some(self.now);
        } else {
            return;
        }
        self.advance(above);
    }

    /// Left to right. Ends early at a supervisor that is not up yet.
    fn start_children(&mut self, at: usize) {
        let mut position = 0;
        while self.supervisors[at].life != Life::Down {
            let supervisor = &self.supervisors[at];
            if position >= supervisor.group.unwrap_or(supervisor.children.len()) {
                break;
            }
            let child = &supervisor.children[position];
            let wanted = child.pid == Pid::Undefined && !child.stopped_by_operator && !child.finished;
            let on_its_way = match supervisor.rules.children[position].0 {
                ChildRef::Actor(actor) => {
                    if wanted {
                        self.start_actor(at, position, actor);
                    }
                    false
                }
                ChildRef::Supervisor(below) => {
                    if wanted {
                        self.start_supervisor(at, position, below);
                    }
                    self.supervisors[below].life == Life::Starting
                }
            };
            if on_its_way {
                return;
            }
            position += 1;
        }
        let supervisor = &mut self.supervisors[at];
        if supervisor.life == Life::Starting && supervisor.group.is_none() {
            supervisor.life = Life::Up;
            if at == 0 {
                self.steps.push(Step::Up);
            }
        }
    }

    fn start_actor(&mut self, at: usize, position: usize, actor: usize) {
        self.steps.push(Step::Start(actor));
        let child = &mut self.supervisors[at].children[position];
        if !self.unstartable.remove(&actor) {
            child.pid = Pid::Alive;
            child.up_since = Some(self.now);
            return;
        }
        child.up_since = None;
        if self.supervisors[at].rules.children[position].1 == Restart::Temporary {
            self.supervisors[at].children[position].pid = Pid::Forgotten;
        } else {
            self.restart(at, position, self.supervisors[at].rules.strategy);
        }
    }

    fn start_supervisor(&mut self, at: usize, position: usize, below: usize) {
        self.supervisors[at].children[position].pid = Pid::Alive;
        self.supervisors[at].children[position].up_since = None;
        self.begin(below);
        self.start_children(below);
        if std::mem::take(&mut self.supervisors[below].gave_up) {
            self.child_gave_up(at, position);
        } else if self.supervisors[below].life == Life::Up {
            self.supervisors[at].children[position].up_since = Some(self.now);
        }
    }

    fn child_gave_up(&mut self, at: usize, position: usize) {
        self.supervisors[at].children[position].pid = Pid::Undefined;
        self.restart(at, position, self.supervisors[at].rules.strategy);
    }

    fn restart(&mut self, at: usize, position: usize, strategy: Strategy) {
        let now = self.now;
        let supervisor = &mut self.supervisors[at];
        let period = supervisor.rules.period;
        supervisor.restarts.retain(|&restart| now - restart <= period);
        supervisor.restarts.push(now);
        if supervisor.restarts.len() > supervisor.rules.restarts {
            self.give_up(at);
            return;
        }
        let child = &mut supervisor.children[position];
        if child.up_since.take().is_some_and(|since| now - since >= period) {
            child.attempts = 0;
        }
        let last = supervisor.children.len();
        match strategy {
            Strategy::OneForOne => {
                self.wait(at, position, Some(position));
                self.terminate(at, position);
                self.supervisors[at].children[position].pid = Pid::Restarting;
            }
            Strategy::RestForOne => self.restart_group(at, position, position..last),
            Strategy::OneForAll => self.restart_group(at, position, 0..last),
        }
    }

    fn restart_group(&mut self, at: usize, culprit: usize, group: std::ops::Range<usize>) {
        // One that waits already is part of a group that reaches as far as itself, and of one that reaches further.
        let from = self.supervisors[at].group.map_or(group.start, |earlier| earlier.min(group.start));
        for position in (from..group.end).rev() {
            self.terminate(at, position);
            self.forget_wait(at, position);
            let supervisor = &mut self.supervisors[at];
            let child = &mut supervisor.children[position];
            child.pid = match (supervisor.rules.children[position].1, child.pid) {
                (Restart::Temporary, _) => Pid::Forgotten,
                (Restart::Transient, Pid::Forgotten) => Pid::Undefined,
                (_, pid) => pid,
            };
        }
        self.waits.retain(|wait| wait.supervisor != at || wait.child.is_some());
        self.supervisors[at].group = Some(from);
        self.wait(at, culprit, None);
    }

    fn wait(&mut self, at: usize, culprit: usize, child: Option<usize>) {
        let (initial, max) = self.supervisors[at].rules.backoff;
        let culprit = &mut self.supervisors[at].children[culprit];
        let wait = (initial * 2u32.pow(culprit.attempts.min(16))).min(max);
        culprit.attempts += 1;
        self.waits.push(Wait { due: self.now + wait, supervisor: at, child });
        self.steps.push(Step::Wait(wait));
    }

    fn forget_wait(&mut self, at: usize, position: usize) {
        self.waits.retain(|wait| (wait.supervisor, wait.child) != (at, Some(position)));
        let child = &mut self.supervisors[at].children[position];
        if child.pid == Pid::Restarting {
            child.pid = Pid::Undefined;
        }
    }

    fn give_up(&mut self, at: usize) {
        self.bring_down(at);
        self.supervisors[at].gave_up = true;
        self.steps.push(Step::GaveUp(at));
        if at == 0 {
            self.steps.push(Step::Down(true));
        }
    }

    /// Last to first; the supervisor is gone then.
    fn bring_down(&mut self, at: usize) {
        for position in (0..self.supervisors[at].children.len()).rev() {
            self.terminate(at, position);
            self.forget_wait(at, position);
        }
        self.waits.retain(|wait| wait.supervisor != at);
        self.supervisors[at].group = None;
        self.supervisors[at].life = Life::Down;
    }

    fn terminate(&mut self, at: usize, position: usize) {
        if self.supervisors[at].children[position].pid != Pid::Alive {
            return;
        }
        match self.supervisors[at].rules.children[position].0 {
            ChildRef::Actor(actor) => self.steps.push(Step::Stop(actor)),
            ChildRef::Supervisor(below) => self.bring_down(below),
        }
        self.supervisors[at].children[position].pid = Pid::Undefined;
    }
}
