//! What people and probes see of one actor: its state with a reason and a time, its counters, and the signals that reach it.
//!
//! Two lifetimes meet here. State, counters and lag belong to the actor and survive its restarts; the signals (stop,
//! discard connections) belong to one start of it. A handle of an earlier start may still be held by a future that was
//! abandoned: it reads its own signals and can no longer change the state.

use crate::class::{Class, Error};
use crate::clock::{Clock, Instant};
use crate::limits::STOPPED_ATTEMPT_MAX;
use crate::quality::QualityBoard;
use crate::schedule::ScheduleBoard;
use crate::telemetry::{Figures, LagBoard, cut};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// The state of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Not there yet.
    Starting,
    /// At work, or ready for it.
    Running,
    /// A dependency is away; nobody's fault here.
    Waiting {
        /// The class of what it waits for.
        class: &'static str,
        /// What it waits for, and what to do.
        reason: String,
    },
    /// Another owner has its partitions.
    Fenced {
        /// By whom.
        reason: String,
    },
    /// Finishing what was read.
    Draining,
    /// Between a crash and the next start.
    Backoff {
        /// The crash.
        reason: String,
    },
    /// An operator stopped it, or the engine stops.
    Stopped,
    /// Its work was done.
    Finished,
    /// Its supervisor gave up.
    Failed {
        /// Why.
        reason: String,
    },
    /// At work, with input, held up by nobody, and yet it gets nowhere.
    Stalled {
        /// What waits and for how long.
        reason: String,
    },
}

impl State {
    /// Every word [`State::as_str`] may give, in the order of the variants.
    pub const WORDS: [&'static str; 10] = [
        "starting", "running", "waiting", "fenced", "draining", "backoff", "stopped", "finished", "failed",
        "stalled",
    ];

    /// The word used in JSON and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Running => "running",
            State::Waiting { .. } => "waiting",
            State::Fenced { .. } => "fenced",
            State::Draining => "draining",
            State::Backoff { .. } => "backoff",
            State::Stopped => "stopped",
            State::Finished => "finished",
            State::Failed { .. } => "failed",
            State::Stalled { .. } => "stalled",
        }
    }

    /// Why, where there is something to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            State::Waiting { reason, .. }
            | State::Fenced { reason }
            | State::Backoff { reason }
            | State::Failed { reason }
            | State::Stalled { reason } => Some(reason),
            _ => None,
        }
    }

    /// The class of what it waits for; `None` in every other state.
    pub fn waiting_class(&self) -> Option<&'static str> {
        match self {
            State::Waiting { class, .. } => Some(class),
            _ => None,
        }
    }

    /// Whether an actor in this state has something to do and nobody to wait for.
    pub fn is_at_work(&self) -> bool {
        matches!(self, State::Running | State::Draining | State::Stalled { .. })
    }

    /// Whether an actor in this state does (or has done) what it is there for.
    pub fn is_ready(&self) -> bool {
        matches!(self, State::Running | State::Draining | State::Finished)
    }
}

/// Whether an actor shall go, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Leave {
    Stay,
    /// Once it has finished what it holds: it is given nothing more.
    Finished,
    /// Whatever it waits for.
    Now,
}

/// The signals of one start. Dropped with the last handle of that start.
#[derive(Debug)]
struct Signals {
    generation: u64,
    leave: watch::Sender<Leave>,
    discard: watch::Sender<u64>,
}

impl Signals {
    fn new(generation: u64) -> Arc<Self> {
        Arc::new(Self { generation, leave: watch::Sender::new(Leave::Stay), discard: watch::Sender::new(0) })
    }
}

/// Cloning shares it.
#[derive(Clone, Debug)]
pub struct Status {
    shared: Arc<Shared>,
    signals: Arc<Signals>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    state: Mutex<(State, i64)>,
    /// What waits, and since when, while the actor is found to get nowhere: shown in place of its own word.
    stall: Mutex<Option<(String, i64)>>,
    /// When the dependency last answered, microseconds since 1970 UTC; 0 = it never has.
    contact_us: AtomicI64,
    /// When something last became durable there; 0 = nothing has.
    wrote_us: AtomicI64,
    /// The start whose handles may change the state.
    generation: AtomicU64,
    drain: watch::Sender<bool>,
    progress: AtomicU64,
    /// When the source last said that it is.
    caught_up: Mutex<Option<Instant>>,
    beats: AtomicU64,
    blocked_us: AtomicU64,
    blocked: AtomicU64,
    dead_letters: Mutex<BTreeMap<String, u64>>,
    lag: LagBoard,
    figures: Figures,
    quality: QualityBoard,
    schedule: ScheduleBoard,
}

/// While it lives, the actor counts as held up by a full output.
#[derive(Debug)]
pub struct Blocked {
    shared: Arc<Shared>,
    since: Instant,
}

impl Drop for Blocked {
    fn drop(&mut self) {
        let held = self.shared.clock.now().duration_since(self.since);
        self.shared.blocked_us.fetch_add(held.as_micros() as u64, Ordering::Relaxed);
        self.shared.blocked.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Status {
    /// A status in [`State::Starting`].
    pub fn new(clock: Clock) -> Self {
        let shared = Shared {
            state: Mutex::new((State::Starting, clock.wall_us())),
            stall: Mutex::default(),
            contact_us: AtomicI64::new(0),
            wrote_us: AtomicI64::new(0),
            generation: AtomicU64::new(0),
            drain: watch::Sender::new(false),
            progress: AtomicU64::new(0),
            caught_up: Mutex::default(),
            beats: AtomicU64::new(0),
            blocked_us: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            dead_letters: Mutex::new(BTreeMap::new()),
            lag: LagBoard::new(clock.clone()),
            figures: Figures::default(),
            quality: QualityBoard::default(),
            schedule: ScheduleBoard::default(),
            clock,
        };
        Self { shared: Arc::new(shared), signals: Signals::new(0) }
    }

    /// The handle of the next start: fresh signals; handles of earlier starts lose their say.
    pub fn next_start(&self) -> Self {
        let generation = self.shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        *self.shared.caught_up.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.shared.lag.restarted();
        self.shared.quality.clear();
        self.shared.schedule.disown();
        self.progress_now();
        Self { shared: self.shared.clone(), signals: Signals::new(generation) }
    }

    /// The state and since when, in microseconds since 1970 UTC.
    pub fn state(&self) -> (State, i64) {
        let own = self.own_state();
        match &*self.shared.stall.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((reason, since_us)) if own.0.is_at_work() => {
                (State::Stalled { reason: reason.clone() }, *since_us)
            }
            _ => own,
        }
    }

    /// What it says of itself, whatever the watchdog finds.
    pub(crate) fn own_state(&self) -> (State, i64) {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The watchdog's finding: what waits, and since when in microseconds since 1970 UTC; `None` = all is well.
    pub(crate) fn stalled(&self, found: Option<(String, i64)>) {
        *self.shared.stall.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    /// The dependency answered.
    pub fn contacted(&self) {
        self.shared.contact_us.store(self.shared.clock.wall_us(), Ordering::Relaxed);
    }

    /// When it last did, microseconds since 1970 UTC.
    pub fn last_contact_us(&self) -> Option<i64> {
        Some(self.shared.contact_us.load(Ordering::Relaxed)).filter(|&at| at != 0)
    }

    /// Something became durable in the dependency.
    pub fn wrote(&self) {
        self.contacted();
        self.shared.wrote_us.store(self.shared.clock.wall_us(), Ordering::Relaxed);
    }

    /// When something last did, microseconds since 1970 UTC.
    pub fn last_write_us(&self) -> Option<i64> {
        Some(self.shared.wrote_us.load(Ordering::Relaxed)).filter(|&at| at != 0)
    }

    /// Changes the state; `since` moves only when it really changed. Ignored on a handle of an earlier start.
    pub fn set(&self, state: State) {
        let mut current = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.signals.generation == self.shared.generation.load(Ordering::Acquire) && current.0 != state {
            *current = (state, self.shared.clock.wall_us());
        }
    }

    /// Changes the state from outside the actor: the supervisor's word.
    pub(crate) fn rule(&self, state: State) {
        let mut current = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 != state {
            *current = (state, self.shared.clock.wall_us());
        }
    }

    /// At work again; while a drain is on, finishing its work.
    pub fn running(&self) {
        self.set(if self.is_draining() { State::Draining } else { State::Running });
    }

    /// A dependency is away.
    pub fn waiting(&self, error: &Error) {
        match error.class {
            Class::Fenced => self.set(State::Fenced { reason: error.message.to_string() }),
            class => self.set(State::Waiting { class: class.as_str(), reason: error.message.to_string() }),
        }
    }

    /// A batch was read, handed on or settled: the watchdog sees it.
    pub fn progressed(&self) {
        if self.signals.generation == self.shared.generation.load(Ordering::Relaxed) {
            self.progress_now();
        }
    }

    fn progress_now(&self) {
        self.shared.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// How often [`Status::progressed`] was said.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Relaxed)
    }

    /// Held up by others, such as a full output, for as long as the answer lives.
    pub fn blocked(&self) -> Blocked {
        self.shared.blocked.fetch_add(1, Ordering::Relaxed);
        Blocked { shared: self.shared.clone(), since: self.shared.clock.now() }
    }

    /// Whether it is held up by others now.
    pub fn is_blocked(&self) -> bool {
        self.shared.blocked.load(Ordering::Relaxed) > 0
    }

    /// How long it has been held up by others, altogether; a wait that still lasts is not in it yet.
    pub fn blocked_total(&self) -> Duration {
        Duration::from_micros(self.shared.blocked_us.load(Ordering::Relaxed))
    }

    /// A record was rejected.
    pub fn count_dead_letter(&self, reason: &str) {
        let reason = cut(reason);
        let mut counts = self.shared.dead_letters.lock().unwrap_or_else(PoisonError::into_inner);
        let full = counts.len() >= crate::limits::DEAD_LETTER_REASONS_MAX;
        let reason = if full && !counts.contains_key(reason) { "other" } else { reason };
        *counts.entry(reason.to_owned()).or_default() += 1;
    }

    /// Rejected records by reason.
    pub fn dead_letters(&self) -> BTreeMap<String, u64> {
        self.shared.dead_letters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A source says whether every partition it has was read to its end since it was claimed. It says so again whenever
    /// it has looked: what it said once may have ceased to be true since, and one that hangs does not take it back.
    pub fn caught_up(&self, caught_up: bool) {
        if self.is_current() {
            let said = caught_up.then(|| self.shared.clock.now());
            *self.shared.caught_up.lock().unwrap_or_else(PoisonError::into_inner) = said;
        }
    }

    /// What the source last said.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up_at().is_some()
    }

    /// When it last said that it is caught up, unless it took it back since.
    pub(crate) fn caught_up_at(&self) -> Option<Instant> {
        *self.shared.caught_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It is there, and looks after what it has to though nothing waits on a link into it: a source its log, a sink its
    /// connection. One that hangs then is known by its silence alone; so who has said this must go on saying it, at least
    /// every [`CONTACT_WAIT_MAX`](crate::limits::CONTACT_WAIT_MAX), or is taken to be stalled: before it rests, and before it asks.
    ///
    /// That goes for later starts, too, which may hang before they say anything.
    pub fn beat(&self) {
        if self.is_current() {
            self.shared.beats.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often it said so, in this start and those before.
    pub(crate) fn beats(&self) -> u64 {
        self.shared.beats.load(Ordering::Relaxed)
    }

    /// Whether this is a handle of the newest start.
    fn is_current(&self) -> bool {
        self.signals.generation == self.shared.generation.load(Ordering::Acquire)
    }

    /// How far behind a source is, per partition.
    pub fn lag(&self) -> &LagBoard {
        &self.shared.lag
    }

    /// What the actor measures of itself; it survives its starts and goes with it.
    pub fn figures(&self) -> &Figures {
        &self.shared.figures
    }

    /// When a schedule ran, and what came of it.
    pub fn schedule(&self) -> &ScheduleBoard {
        &self.shared.schedule
    }

    /// What a quality gate says of its keys.
    pub fn quality(&self) -> &QualityBoard {
        &self.shared.quality
    }

    /// Asks the actor to stop.
    pub fn ask_stop(&self) {
        self.signals.leave.send_replace(Leave::Now);
    }

    /// Whether a stop was asked.
    pub fn stopping(&self) -> bool {
        *self.signals.leave.borrow() == Leave::Now
    }

    /// Completes once a stop is asked.
    pub async fn stopped(&self) {
        let mut leave = self.signals.leave.subscribe();
        let _ = leave.wait_for(|leave| *leave == Leave::Now).await;
    }

    /// Completes a little after a stop is asked: an answer that is on its way may still come, and one that would take long
    /// must not keep the node from its end.
    pub async fn overdue(&self) {
        self.stopped().await;
        self.shared.clock.sleep(STOPPED_ATTEMPT_MAX).await;
    }

    /// Asks the actor to finish what it has on lease and go: it is leased nothing more, and waits on for what it waits
    /// for. So what it has begun is judged by one set of rules.
    pub fn ask_retire(&self) {
        self.signals.leave.send_modify(|leave| *leave = Leave::Finished.max(*leave));
    }

    /// Whether it is to go, now or once it has finished what it holds.
    pub fn leaving(&self) -> bool {
        *self.signals.leave.borrow() > Leave::Stay
    }

    /// Completes once it is to go, now or once it has finished what it holds.
    pub async fn retired(&self) {
        let mut leave = self.signals.leave.subscribe();
        let _ = leave.wait_for(|leave| *leave > Leave::Stay).await;
    }

    /// Asks for a drain; it outlives the start. A source stops reading, hands on what it has and returns `Ok`; the
    /// others learn it in band.
    pub fn ask_drain(&self) {
        self.shared.drain.send_replace(true);
        let mut current = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        if current.0 == State::Running {
            *current = (State::Draining, self.shared.clock.wall_us());
        }
    }

    /// Whether a drain was asked.
    pub fn is_draining(&self) -> bool {
        *self.shared.drain.borrow()
    }

    /// Completes once a drain is asked.
    pub async fn draining(&self) {
        let mut drain = self.shared.drain.subscribe();
        let _ = drain.wait_for(|drain| *drain).await;
    }

    /// Asks the actor to throw its connections away and make new ones: the watchdog's first remedy.
    pub fn request_discard(&self) {
        self.signals.discard.send_modify(|generation| *generation += 1);
    }

    /// Follows those requests: `changed().await` completes at each; the value counts them.
    pub fn discard_requested(&self) -> watch::Receiver<u64> {
        self.signals.discard.subscribe()
    }

    /// Sleeps; `true` = a stop was asked meanwhile.
    pub async fn sleep_or_stop(&self, clock: &Clock, wait: Duration) -> bool {
        clock.timeout(wait, self.stopped()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_handle_of_an_earlier_start_has_no_say() {
        let status = Status::new(Clock::system());
        let first = status.next_start();
        first.running();
        let second = status.next_start();
        second.waiting(&Error::new(Class::Transient, "no broker"));
        first.running();
        assert_eq!(status.state().0.as_str(), "waiting");
        first.ask_stop();
        assert!(first.stopping() && !second.stopping(), "a stop signal is for one start");
    }

    #[tokio::test(start_paused = true)]
    async fn since_moves_only_when_the_state_changes() {
        let clock = Clock::simulated(1_000_000);
        let status = Status::new(clock.clone()).next_start();
        status.running();
        let (_, since) = status.state();
        clock.sleep(Duration::from_secs(3)).await;
        status.running();
        assert_eq!(status.state().1, since);
        status.waiting(&Error::new(Class::Config, "no table"));
        assert_eq!(status.state().1, since + 3_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn blocked_time_adds_up() {
        let clock = Clock::system();
        let status = Status::new(clock.clone());
        let blocked = status.blocked();
        clock.sleep(Duration::from_secs(2)).await;
        assert!(status.is_blocked());
        drop(blocked);
        assert!(!status.is_blocked());
        assert_eq!(status.blocked_total(), Duration::from_secs(2));
    }

    #[test]
    fn words_follow_the_variants() {
        assert_eq!(State::WORDS[0], State::Starting.as_str());
        assert_eq!(State::WORDS[9], State::Stalled { reason: String::new() }.as_str());
    }

    #[test]
    fn a_stall_shows_only_in_place_of_work() {
        let status = Status::new(Clock::simulated(5));
        status.stalled(Some(("3 batches wait".into(), 4)));
        assert_eq!(status.state().0, State::Starting);
        status.rule(State::Running);
        assert_eq!(status.state(), (State::Stalled { reason: "3 batches wait".into() }, 4));
        assert!(!status.state().0.is_ready());
        status.stalled(None);
        assert_eq!(status.state().0, State::Running);
    }
}
