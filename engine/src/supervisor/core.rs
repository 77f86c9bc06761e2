//! One supervisor as a pure state machine: events in, actions out.
//!
//! It is level-triggered. An event changes what is known of a child or what is wanted; [`Core::settle`] then compares
//! the two and asks for the next step only: one stop (the last child first) or one start (the first child first) at a
//! time. So every order of events ends in the same place, and ordered start and reverse stop hold by construction.
//!
//! Deliberately absent: clocks, tasks, addresses. `now` comes with the event; waiting is an action with a timer that
//! comes back as an event, and a timer that is no longer wanted is not known any more.

use super::intensity::{Verdict, Window};
use super::spec::{Restart, Shutdown, Strategy, SupervisorSpec};
use crate::backoff::Backoff;
use std::time::Duration;

/// A timer the core asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timer(u64);

/// How a child ended, as far as supervision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its data ended. It has closed its outputs, so nobody starts it again.
    Finished,
    /// By itself, without fault.
    Normal,
    /// By a fault, which counts.
    Abnormal,
    /// By a fault on probation, which was counted when the probation began: that child alone starts again, at once.
    Probation,
}

/// What an operator wants of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Down, until told otherwise.
    Stop,
    /// Up again.
    Start,
    /// Down and up again.
    Restart,
}

/// What happened. Children are named by their position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The supervisor shall start, with fresh accounts.
    Start,
    /// The supervisor shall stop.
    Shutdown,
    /// The child is up.
    Started(usize),
    /// The child is down.
    Exited(usize, Ended),
    /// A wait is over.
    Elapsed(Timer),
    /// An operator speaks; does not count.
    Operator(usize, Order),
    /// The watchdog wants that child alone restarted; counts.
    Remedy(usize),
    /// The child's arbiter was abandoned through no fault of its own: it is gone and starts again; does not count.
    Displaced(usize),
    /// Nothing; see whether everything is as it should be.
    Look,
}

/// Where a child of a supervisor that takes another's place comes from.
#[derive(Clone, Copy, Debug)]
pub enum Heritage<'a> {
    /// It is what that supervisor's child was.
    From(&'a Core, usize),
    /// It is down.
    Fresh {
        /// An operator has stopped it.
        held: bool,
    },
    /// A supervisor that was not there: it is at work from now on.
    Instated,
}

/// What shall be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Start the child; answered by [`Event::Started`] or [`Event::Exited`].
    Start(usize),
    /// Ask the child to stop; answered by [`Event::Exited`].
    Stop(usize),
    /// End the child now; answered by [`Event::Exited`].
    Kill(usize),
    /// Come back with [`Event::Elapsed`] after so long.
    Arm(Timer, Duration),
    /// The child waits so long before it is started again; for people.
    Waits(usize, Duration),
    /// Every child that should be up has been started.
    Up,
    /// Every child is down, and why.
    Down(Why),
}

/// Why a supervisor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was told to.
    Shutdown,
    /// That child ended once too often.
    Escalated(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down,
    Starting,
    Up,
    Stopping { killed: bool },
}

/// Why a child that is down stays down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    ByOperator,
    Finished,
    /// Its restart kind says so.
    Done,
}

#[derive(Clone, Debug)]
struct Child {
    phase: Phase,
    held: Option<Held>,
    /// Asked to go down (and, unless held, up again) for its own sake.
    recycle: bool,
    /// The wait before its next start.
    wait: Option<Timer>,
    /// When its shutdown time is over.
    shutdown: Option<Timer>,
    backoff: Backoff,
    /// Since when it has been up; forgotten with its next start.
    up_since: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Down,
    Running,
    Ending(Why),
}

/// Children from here on go down together before any of them comes up.
#[derive(Clone, Copy, Debug)]
struct Felled {
    from: usize,
    /// Who is to blame: its backoff is waited out.
    culprit: usize,
    wait: Option<Timer>,
}

/// One supervisor.
#[derive(Clone, Debug)]
pub struct Core {
    spec: SupervisorSpec,
    children: Vec<Child>,
    window: Window,
    mode: Mode,
    felled: Option<Felled>,
    announced_up: bool,
    timers: u64,
}

impl Core {
    /// A supervisor that is down.
    pub fn new(spec: SupervisorSpec) -> Self {
        let child = |_| Child {
            phase: Phase::Down,
            held: None,
            recycle: false,
            wait: None,
            shutdown: None,
            backoff: Backoff::new(spec.backoff.initial, spec.backoff.max, spec.backoff.jitter),
            up_since: None,
        };
        Self {
            children: spec.children.iter().map(child).collect(),
            window: Window::new(spec.intensity),
            mode: Mode::Down,
            felled: None,
            announced_up: false,
            timers: 0,
            spec,
        }
    }

    /// This supervisor, which is down, at work in the place of `old`, if there was one; that one is calm. A restart that
    /// `old` counted counts on, unless the intensity is another one now.
    pub fn succeeding(mut self, old: Option<&Self>, children: &[Heritage<'_>]) -> Self {
        (self.mode, self.announced_up) = (Mode::Running, true);
        if let Some(old) = old {
            self.timers = old.timers;
            if self.spec.intensity == old.spec.intensity {
                self.window = old.window.clone();
            }
        }
        for (child, heritage) in self.children.iter_mut().zip(children) {
            match *heritage {
                Heritage::Fresh { held } => child.held = held.then_some(Held::ByOperator),
                Heritage::Instated => child.phase = Phase::Up,
                Heritage::From(old, index) => {
                    let known = &old.children[index];
                    (child.phase, child.held, child.up_since) = (known.phase, known.held, known.up_since);
                    if self.spec.backoff == old.spec.backoff {
                        child.backoff = known.backoff.clone();
                    }
                }
            }
        }
        self
    }

    /// Whether it is at work, and no start, stop or wait is still to come.
    pub fn is_calm(&self) -> bool {
        let settled = |child: &Child| {
            let is_there = matches!((child.phase, child.held), (Phase::Up, None) | (Phase::Down, Some(_)));
            is_there && child.wait.is_none() && child.shutdown.is_none() && !child.recycle
        };
        self.mode == Mode::Running && self.felled.is_none() && self.children.iter().all(settled)
    }

    /// Whether that child is down.
    pub fn is_down(&self, child: usize) -> bool {
        self.children[child].phase == Phase::Down
    }

    /// Whether an operator has stopped that child.
    pub fn is_held(&self, child: usize) -> bool {
        self.children[child].held == Some(Held::ByOperator)
    }

    /// What it was told.
    pub fn spec(&self) -> &SupervisorSpec {
        &self.spec
    }

    /// Whether it is at work (not down, not ending).
    pub fn is_running(&self) -> bool {
        self.mode == Mode::Running
    }

    /// Takes `event`, which happened at `now` (time since any fixed moment), and says what to do, in order.
    pub fn handle(&mut self, now: Duration, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Start => self.begin(),
            Event::Shutdown => self.end(Why::Shutdown),
            Event::Started(child) => self.started(child, now),
            Event::Exited(child, ended) => self.exited(child, ended, now, &mut actions),
            Event::Elapsed(timer) => self.elapsed(timer, &mut actions),
            Event::Operator(child, order) => self.ordered(child, order),
            Event::Remedy(child) => self.remedy(child, now, &mut actions),
            Event::Displaced(child) => self.displaced(child),
            Event::Look => {}
        }
        self.settle(&mut actions);
        actions
    }

    fn begin(&mut self) {
        if self.mode != Mode::Down {
            return;
        }
        self.mode = Mode::Running;
        self.felled = None;
        self.announced_up = false;
        self.window = Window::new(self.spec.intensity);
        for child in &mut self.children {
            assert_eq!(child.phase, Phase::Down, "a supervisor that is down has no child up");
            child.backoff.reset();
            (child.recycle, child.wait, child.shutdown) = (false, None, None);
            // An operator's stop is sticky and ended data stays ended; anything else is a new life, as in OTP.
            if child.held == Some(Held::Done) {
                child.held = None;
            }
        }
    }

    fn end(&mut self, why: Why) {
        match self.mode {
            Mode::Down | Mode::Running => self.mode = Mode::Ending(why),
            // Told to stop while giving up: the telling wins, there is nobody to escalate to.
            Mode::Ending(_) if why == Why::Shutdown => self.mode = Mode::Ending(why),
            Mode::Ending(_) => {}
        }
        self.felled = None;
        for child in &mut self.children {
            child.wait = None;
        }
    }

    fn started(&mut self, index: usize, now: Duration) {
        let child = &mut self.children[index];
        if child.phase == Phase::Starting {
            child.phase = Phase::Up;
        }
        child.up_since = Some(now);
    }

    fn exited(&mut self, index: usize, ended: Ended, now: Duration, actions: &mut Vec<Action>) {
        // How a child ends while its group goes down with it is nobody's fault, as in OTP.
        let is_felled = self.is_felled(index);
        let child = &mut self.children[index];
        let was_asked = matches!(child.phase, Phase::Stopping { .. });
        (child.phase, child.shutdown, child.recycle) = (Phase::Down, None, false);
        if ended == Ended::Finished {
            child.held = Some(Held::Finished);
            return;
        }
        if was_asked || is_felled || self.mode != Mode::Running {
            return;
        }
        let again = match (self.spec.children[index].restart, ended) {
            (_, Ended::Probation) => {
                child.wait = None;
                return;
            }
            (Restart::Permanent, _) => true,
            (Restart::Transient, ended) => ended != Ended::Normal,
            (Restart::Temporary, _) => false,
        };
        if !again {
            child.held.get_or_insert(Held::Done);
            return;
        }
        self.restart(index, self.spec.strategy, now, actions);
    }

    /// Whether that child goes down with its group.
    fn is_felled(&self, index: usize) -> bool {
        self.felled.is_some_and(|felled| index >= felled.from)
    }

    /// Counts a restart of `index` and fells whom the strategy names.
    fn restart(&mut self, index: usize, strategy: Strategy, now: Duration, actions: &mut Vec<Action>) {
        if self.window.record(now) == Verdict::Escalate {
            self.end(Why::Escalated(index));
            return;
        }
        let period = self.spec.intensity.period;
        let child = &mut self.children[index];
        if child.up_since.take().is_some_and(|since| now.saturating_sub(since) >= period) {
            child.backoff.reset();
        }
        let from = match strategy {
            Strategy::OneForOne => {
                self.wait_before_start(index, actions);
                return;
            }
            Strategy::OneForAll => 0,
            Strategy::RestForOne => index,
        };
        let from = self.felled.map_or(from, |felled| felled.from.min(from));
        // The group goes down and comes up as a whole, as in OTP: a temporary child does not come up with it, and a
        // transient one that had ended well does.
        for (child, spec) in self.children[from..].iter_mut().zip(&self.spec.children[from..]) {
            (child.wait, child.recycle) = (None, false);
            match spec.restart {
                Restart::Temporary => {
                    child.held.get_or_insert(Held::Done);
                }
                Restart::Transient if child.held == Some(Held::Done) => child.held = None,
                Restart::Transient | Restart::Permanent => {}
            }
        }
        self.felled = Some(Felled { from, culprit: index, wait: None });
    }

    fn wait_before_start(&mut self, index: usize, actions: &mut Vec<Action>) {
        let timer = self.timer();
        let wait = self.children[index].backoff.next_wait();
        self.children[index].wait = Some(timer);
        actions.push(Action::Waits(index, wait));
        actions.push(Action::Arm(timer, wait));
    }

    fn elapsed(&mut self, timer: Timer, actions: &mut Vec<Action>) {
        if self.felled.is_some_and(|felled| felled.wait == Some(timer)) {
            self.felled = None;
        }
        for (index, child) in self.children.iter_mut().enumerate() {
            if child.wait == Some(timer) {
                child.wait = None;
            }
            if child.shutdown == Some(timer) {
                child.shutdown = None;
                child.phase = Phase::Stopping { killed: true };
                actions.push(Action::Kill(index));
            }
        }
    }

    fn ordered(&mut self, index: usize, order: Order) {
        let child = &mut self.children[index];
        match order {
            Order::Stop => {
                if child.held.is_none() || child.held == Some(Held::Done) {
                    child.held = Some(Held::ByOperator);
                }
                child.wait = None;
            }
            Order::Start | Order::Restart => {
                if child.held != Some(Held::Finished) {
                    child.held = None;
                }
                child.wait = None;
                child.backoff.reset();
                child.recycle = order == Order::Restart && child.phase != Phase::Down;
            }
        }
    }

    fn remedy(&mut self, index: usize, now: Duration, actions: &mut Vec<Action>) {
        let is_there = matches!(self.children[index].phase, Phase::Starting | Phase::Up);
        if self.mode != Mode::Running || !is_there || self.is_felled(index) {
            return;
        }
        self.restart(index, Strategy::OneForOne, now, actions);
        self.children[index].recycle = true;
    }

    fn displaced(&mut self, index: usize) {
        let child = &mut self.children[index];
        child.phase = Phase::Down;
        (child.recycle, child.shutdown) = (false, None);
    }

    /// Asks for the next step towards what is wanted.
    fn settle(&mut self, actions: &mut Vec<Action>) {
        if let Mode::Ending(why) = self.mode {
            if !self.bring_down(0, actions) {
                return;
            }
            self.mode = Mode::Down;
            actions.push(Action::Down(why));
            return;
        }
        if self.mode == Mode::Down {
            return;
        }
        self.stop_single_children(actions);
        if let Some(felled) = self.felled
            && felled.wait.is_none()
            && self.bring_down(felled.from, actions)
        {
            let timer = self.timer();
            let wait = self.children[felled.culprit].backoff.next_wait();
            self.felled = Some(Felled { wait: Some(timer), ..felled });
            actions.push(Action::Waits(felled.culprit, wait));
            actions.push(Action::Arm(timer, wait));
        }
        self.bring_up(actions);
    }

    /// Children that go down for their own sake: an operator's word or the watchdog's.
    fn stop_single_children(&mut self, actions: &mut Vec<Action>) {
        for index in 0..self.children.len() {
            let child = &self.children[index];
            let unwanted = child.recycle || child.held == Some(Held::ByOperator);
            if unwanted && matches!(child.phase, Phase::Starting | Phase::Up) {
                self.stop(index, actions);
            }
        }
    }

    /// Stops the last child that is not down, at or after `from`; `true` = all of them are down.
    fn bring_down(&mut self, from: usize, actions: &mut Vec<Action>) -> bool {
        let Some(last) = (from..self.children.len()).rev().find(|&i| self.children[i].phase != Phase::Down)
        else {
            return true;
        };
        if matches!(self.children[last].phase, Phase::Starting | Phase::Up) {
            self.stop(last, actions);
        }
        false
    }

    /// Starts the first child that is down and should not be, unless an earlier one is still on its way.
    fn bring_up(&mut self, actions: &mut Vec<Action>) {
        let felled_from = self.felled.map_or(usize::MAX, |felled| felled.from);
        for index in 0..self.children.len().min(felled_from) {
            let child = &mut self.children[index];
            match child.phase {
                Phase::Starting => return,
                Phase::Down if child.held.is_none() && child.wait.is_none() => {
                    (child.phase, child.up_since) = (Phase::Starting, None);
                    actions.push(Action::Start(index));
                    return;
                }
                _ => {}
            }
        }
        if self.felled.is_none() && !self.announced_up {
            self.announced_up = true;
            actions.push(Action::Up);
        }
    }

    fn stop(&mut self, index: usize, actions: &mut Vec<Action>) {
        self.children[index].phase = Phase::Stopping { killed: false };
        actions.push(Action::Stop(index));
        if let Shutdown::After(wait) = self.spec.children[index].shutdown {
            let timer = self.timer();
            self.children[index].shutdown = Some(timer);
            actions.push(Action::Arm(timer, wait));
        }
    }

    fn timer(&mut self) -> Timer {
        self.timers += 1;
        Timer(self.timers)
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
