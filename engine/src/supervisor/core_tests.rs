//! The core against tables. Beside it, `model` holds the whole tree against OTP's semantics.

use super::*;
use crate::supervisor::spec::{BackoffSpec, ChildSpec, Intensity};

fn spec(strategy: Strategy, restarts: u32, kinds: &[Restart]) -> SupervisorSpec {
    let child = |(index, &restart): (usize, &Restart)| ChildSpec {
        name: format!("c{index}").into(),
        restart,
        shutdown: Shutdown::After(Duration::from_secs(5)),
    };
    SupervisorSpec {
        name: "s".into(),
        strategy,
        intensity: Intensity { restarts, period: Duration::from_secs(10) },
        backoff: BackoffSpec { initial: Duration::from_secs(1), max: Duration::from_secs(8), jitter: 0.0 },
        children: kinds.iter().enumerate().map(child).collect(),
    }
}

/// A world in which children start and stop at once, and time passes only to the next timer. It keeps what it saw.
struct Bench {
    core: Core,
    now: Duration,
    up: Vec<bool>,
    timers: Vec<(Duration, Timer)>,
    /// Children that do not stop when asked.
    deaf: Vec<usize>,
    log: Vec<String>,
    ended: Option<Why>,
}

impl Bench {
    fn new(strategy: Strategy, restarts: u32, kinds: &[Restart]) -> Self {
        let core = Core::new(spec(strategy, restarts, kinds));
        let up = vec![false; kinds.len()];
        let (timers, deaf, log) = (Vec::new(), Vec::new(), Vec::new());
        let mut bench = Self { core, now: Duration::ZERO, up, timers, deaf, log, ended: None };
        bench.tell(Event::Start);
        bench.log.clear();
        bench
    }

    fn tell(&mut self, event: Event) {
        for action in self.core.handle(self.now, event) {
            match action {
                Action::Start(child) => {
                    assert!(!self.up[child], "started twice");
                    assert!(
                        self.up[..child]
                            .iter()
                            .zip(&self.core.children)
                            .all(|(up, known)| { *up || known.held.is_some() || known.wait.is_some() }),
                        "an earlier child is not up"
                    );
                    self.up[child] = true;
                    self.log.push(format!("+{child}"));
                    self.tell(Event::Started(child));
                }
                Action::Stop(child) if self.deaf.contains(&child) => self.log.push(format!("?{child}")),
                Action::Stop(child) => self.down(child, "-"),
                Action::Kill(child) => self.down(child, "x"),
                Action::Arm(timer, after) => self.timers.push((self.now + after, timer)),
                Action::Waits(child, wait) => self.log.push(format!("{child} waits {}", wait.as_secs())),
                Action::Up => {}
                Action::Down(why) => {
                    assert!(self.up.iter().all(|up| !up), "ended with a child up");
                    self.log.push("down".to_owned());
                    self.ended = Some(why);
                }
            }
        }
    }

    fn down(&mut self, child: usize, how: &str) {
        self.up[child] = false;
        self.log.push(format!("{how}{child}"));
        self.tell(Event::Exited(child, Ended::Normal));
    }

    fn exit(&mut self, child: usize, ended: Ended) {
        self.up[child] = false;
        self.tell(Event::Exited(child, ended));
    }

    /// Lets the next timer fire; false = there is none.
    fn next_timer(&mut self) -> bool {
        self.timers.sort();
        if self.timers.is_empty() {
            return false;
        }
        let (at, timer) = self.timers.remove(0);
        self.now = self.now.max(at);
        self.tell(Event::Elapsed(timer));
        true
    }

    fn settle(&mut self) -> String {
        while self.next_timer() {}
        std::mem::take(&mut self.log).join(" ")
    }
}

use Restart::{Permanent, Temporary, Transient};
use Strategy::{OneForAll, OneForOne, RestForOne};

#[test]
fn who_goes_and_comes_when_the_middle_one_crashes() {
    for (strategy, expected) in [
        (OneForOne, "1 waits 1 +1"),
        (RestForOne, "-2 1 waits 1 +1 +2"),
        (OneForAll, "-2 -0 1 waits 1 +0 +1 +2"),
    ] {
        let mut bench = Bench::new(strategy, 3, &[Permanent; 3]);
        bench.exit(1, Ended::Abnormal);
        assert_eq!(bench.settle(), expected, "{strategy:?}");
    }
}

#[test]
fn the_restart_kind_says_after_which_end() {
    for (kind, ended, expected) in [
        (Permanent, Ended::Normal, "0 waits 1 +0"),
        (Permanent, Ended::Abnormal, "0 waits 1 +0"),
        (Permanent, Ended::Finished, ""),
        (Transient, Ended::Normal, ""),
        (Transient, Ended::Abnormal, "0 waits 1 +0"),
        (Temporary, Ended::Normal, ""),
        (Temporary, Ended::Abnormal, ""),
    ] {
        let mut bench = Bench::new(OneForOne, 3, &[kind]);
        bench.exit(0, ended);
        assert_eq!(bench.settle(), expected, "{kind:?} {ended:?}");
    }
}

#[test]
fn a_temporary_child_felled_by_a_sibling_stays_down() {
    let mut bench = Bench::new(OneForAll, 3, &[Temporary, Permanent, Transient]);
    bench.exit(1, Ended::Abnormal);
    assert_eq!(bench.settle(), "-2 -0 1 waits 1 +1 +2");
}

#[test]
fn a_transient_child_that_ended_well_comes_back_with_the_group() {
    let mut bench = Bench::new(RestForOne, 3, &[Permanent, Transient]);
    bench.exit(1, Ended::Normal);
    bench.exit(0, Ended::Abnormal);
    assert_eq!(bench.settle(), "0 waits 1 +0 +1");
}

#[test]
fn a_temporary_childs_end_fells_nobody_and_costs_nothing() {
    let mut bench = Bench::new(OneForAll, 0, &[Temporary, Permanent]);
    bench.exit(0, Ended::Abnormal);
    assert_eq!(bench.settle(), "");
}

#[test]
fn the_wait_doubles_and_begins_anew_after_a_good_period() {
    let mut bench = Bench::new(OneForOne, 3, &[Permanent]);
    let mut waits = Vec::new();
    for _ in 0..3 {
        bench.exit(0, Ended::Abnormal);
        waits.push(bench.settle());
    }
    assert_eq!(waits, ["0 waits 1 +0", "0 waits 2 +0", "0 waits 4 +0"]);
    bench.now += Duration::from_secs(10);
    bench.exit(0, Ended::Abnormal);
    assert_eq!(bench.settle(), "0 waits 1 +0");
}

#[test]
fn one_restart_too_many_stops_the_others_in_reverse_and_ends() {
    let mut bench = Bench::new(OneForOne, 1, &[Permanent; 3]);
    bench.exit(0, Ended::Abnormal);
    bench.settle();
    bench.exit(0, Ended::Abnormal);
    assert_eq!(bench.settle(), "-2 -1 down");
    assert_eq!(bench.ended, Some(Why::Escalated(0)));
}

#[test]
fn probation_restarts_at_once_alone_and_is_not_counted() {
    let mut bench = Bench::new(OneForAll, 0, &[Permanent; 2]);
    for _ in 0..20 {
        bench.exit(0, Ended::Probation);
        assert_eq!(bench.settle(), "+0");
    }
}

#[test]
fn an_operators_word_is_sticky_and_free() {
    let mut bench = Bench::new(OneForAll, 1, &[Permanent; 2]);
    bench.tell(Event::Operator(1, Order::Stop));
    assert_eq!(bench.settle(), "-1");
    bench.exit(0, Ended::Abnormal);
    assert_eq!(bench.settle(), "0 waits 1 +0", "the sibling's restart does not bring it back");
    bench.tell(Event::Operator(1, Order::Start));
    for _ in 0..5 {
        bench.tell(Event::Operator(1, Order::Restart));
    }
    assert_eq!(bench.settle(), "+1 -1 +1 -1 +1 -1 +1 -1 +1 -1 +1");
    assert_eq!(bench.ended, None);
}

#[test]
fn a_stop_in_the_midst_of_a_backoff_holds() {
    let mut bench = Bench::new(OneForOne, 3, &[Permanent]);
    bench.exit(0, Ended::Abnormal);
    bench.tell(Event::Operator(0, Order::Stop));
    assert_eq!(bench.settle(), "0 waits 1");
    bench.tell(Event::Operator(0, Order::Start));
    assert_eq!(bench.settle(), "+0");
}

#[test]
fn a_sticky_stop_survives_its_supervisors_restart() {
    let mut bench = Bench::new(OneForOne, 3, &[Permanent, Temporary, Permanent]);
    bench.tell(Event::Operator(0, Order::Stop));
    bench.exit(1, Ended::Normal);
    bench.exit(2, Ended::Finished);
    bench.tell(Event::Shutdown);
    bench.settle();
    bench.tell(Event::Start);
    assert_eq!(bench.settle(), "+1", "a new life for the temporary one, none for stopped and finished ones");
}

#[test]
fn who_does_not_stop_is_killed_when_its_time_is_over() {
    let mut bench = Bench::new(OneForOne, 3, &[Permanent; 3]);
    bench.deaf = vec![1];
    bench.tell(Event::Shutdown);
    assert_eq!(bench.log.join(" "), "-2 ?1", "one at a time");
    while !bench.log.contains(&"x1".to_owned()) {
        assert!(bench.next_timer());
    }
    assert_eq!(bench.now, Duration::from_secs(5));
    assert_eq!(bench.settle(), "-2 ?1 x1 -0 down");
}

#[test]
fn a_crash_while_others_are_being_felled_widens_the_circle() {
    let mut bench = Bench::new(RestForOne, 3, &[Permanent; 4]);
    bench.exit(2, Ended::Abnormal);
    bench.exit(0, Ended::Abnormal);
    assert_eq!(bench.settle(), "-3 2 waits 1 -1 0 waits 1 +0 +1 +2 +3");
}

#[test]
fn the_watchdog_restarts_one_alone_and_it_counts() {
    let mut bench = Bench::new(OneForAll, 1, &[Permanent; 2]);
    bench.tell(Event::Remedy(0));
    assert_eq!(bench.settle(), "0 waits 1 -0 +0");
    bench.tell(Event::Remedy(0));
    assert_eq!(bench.settle(), "-1 -0 down");
}

#[test]
fn a_displaced_child_comes_back_for_nothing() {
    let mut bench = Bench::new(OneForAll, 0, &[Permanent; 2]);
    bench.up[0] = false;
    bench.tell(Event::Displaced(0));
    assert_eq!(bench.settle(), "+0");
}

#[test]
fn how_a_child_ends_while_its_group_goes_down_is_not_counted() {
    let mut bench = Bench::new(OneForAll, 1, &[Permanent, Transient, Permanent]);
    bench.deaf = vec![2];
    bench.exit(0, Ended::Abnormal);
    bench.exit(1, Ended::Normal);
    bench.down(2, "-");
    assert_eq!(
        bench.settle(),
        "?2 -2 0 waits 1 +0 +1 +2",
        "one restart, and the transient child is part of the group"
    );
    assert_eq!(bench.ended, None);
}

#[test]
fn a_child_that_waits_for_its_own_sake_comes_up_with_its_group_in_order() {
    let mut bench = Bench::new(OneForAll, 3, &[Permanent, Permanent]);
    bench.tell(Event::Remedy(0));
    bench.tell(Event::Remedy(0));
    bench.exit(1, Ended::Abnormal);
    assert_eq!(bench.settle(), "0 waits 1 -0 1 waits 1 +0 +1");
}

#[test]
fn the_wait_goes_on_doubling_while_starts_fail_after_a_long_life() {
    let mut core = Core::new(spec(OneForOne, 9, &[Permanent]));
    core.handle(Duration::ZERO, Event::Start);
    core.handle(Duration::ZERO, Event::Started(0));
    let mut now = Duration::from_secs(100);
    let mut waits = Vec::new();
    for _ in 0..3 {
        let actions = core.handle(now, Event::Exited(0, Ended::Abnormal));
        let Some(Action::Arm(timer, wait)) = actions.last() else { panic!("{actions:?}") };
        waits.push(wait.as_secs());
        now += *wait;
        core.handle(now, Event::Elapsed(*timer));
    }
    assert_eq!(waits, [1, 2, 4]);
}

#[test]
fn data_that_ends_as_a_restart_is_asked_for_leaves_nothing_to_come() {
    let mut bench = Bench::new(OneForOne, 3, &[Permanent]);
    bench.deaf = vec![0];
    bench.tell(Event::Operator(0, Order::Restart));
    bench.exit(0, Ended::Finished);
    assert_eq!(bench.settle(), "?0");
    assert!(bench.core.is_calm(), "a reload waits for that");
}
