//! Where a run happens: the processes of one or two nodes around the same stores, on this thread and in virtual time.
//!
//! Invariant: one workload, one schedule, one seed: one run, to the microsecond. Deliberately absent: judgement; what was
//! seen goes to the [oracle](super::oracle).

use super::oracle::Watch;
use super::schedule::{Act, End, LASTS, Schedule};
use super::workload::{BEGINS_MS, Fate, Sent, Workload};
use aqueduct_actors::stand_in::{Backup, Chance, Handover, Mishaps, StandIns};
use aqueduct_engine::application::{Handle, Settings};
use aqueduct_engine::task::{self, Task};
use aqueduct_engine::{Claims, Clock, Outcome};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// How often it is looked whether everything is decided, and whether the bounds hold.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// All is well, and yet it takes so long: it will never be.
const SETTLING_MAX: Duration = Duration::from_secs(400);
/// How long nothing is left to do before a node that ends when idle does.
const IDLE_FOR: Duration = Duration::from_millis(400);
/// Between restarts in a row.
const RESTART_EVERY: Duration = Duration::from_millis(60);
/// Starts that may be needed until a best-effort branch has been given all.
const HEALS_MAX: u32 = 8;
/// How long a drain may take, one that is cut included, and one that waits for somebody who hangs to be found.
const ENDING_MAX: Duration = Duration::from_secs(300);

/// What was seen of one run, when it is over.
pub struct Seen {
    pub around: StandIns,
    pub watch: Watch,
    /// Whether everything was decided in time.
    pub decided: bool,
    /// Whether nothing went wrong.
    pub calm: bool,
    /// How every process ended that was asked to drain when all was well.
    pub outcomes: Vec<Option<Outcome>>,
    /// What was done, and what struck, in order: alike for runs that are alike.
    pub trace: Vec<String>,
    /// What the processes told of themselves.
    pub events: Vec<String>,
}

/// A process of a node.
struct Process {
    around: StandIns,
    handle: Handle,
    outcome: Rc<RefCell<Option<Outcome>>>,
    /// The last of its events that was heard.
    heard: Cell<u64>,
    _task: Task,
}

impl Process {
    fn has_ended(&self) -> bool {
        self.outcome.borrow().is_some()
    }

    /// Everybody is well, and nothing is on its way.
    fn is_quiet(&self) -> bool {
        let registry = self.handle.registry();
        registry.not_ready().is_empty() && registry.ledger().is_idle()
    }

    /// Whether a best-effort branch was passed over, for being full, or left behind by a drain, for being away; or the
    /// cache hung to the end, so that it did not tell how far it had come.
    fn leaves_to_the_next(&self) -> bool {
        let registry = self.handle.registry();
        let passed = registry.ledger().passed_over_records();
        passed.iter().any(|(_, records)| *records > 0)
            || registry.events().after(0).iter().any(|event| {
                event.what == "left_behind" || (event.what == "killed" && event.subject.starts_with("last"))
            })
    }
}

struct Stage<'a> {
    workload: &'a Workload,
    around: StandIns,
    clock: Clock,
    /// By node; none while it is down.
    processes: Vec<Option<Process>>,
    /// Which node starts again when.
    starts: Vec<(tokio::time::Instant, usize)>,
    /// Whose trouble ends when.
    heals: Vec<(tokio::time::Instant, &'static str)>,
    backup: Option<Backup>,
    /// How each process ended that was drained while nothing else happened.
    rolled: Vec<Option<Outcome>>,
    gentle: bool,
    watch: Watch,
    trace: Vec<String>,
}

/// Plays `workload` under `schedule`.
pub fn play(workload: &Workload, schedule: &Schedule, seed: u64) -> Seen {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let local = tokio::task::LocalSet::new();
    // What the engine itself leaves to chance follows from the seed too.
    fastrand::seed(seed);
    local.block_on(&runtime, async {
        let clock = Clock::simulated(BEGINS_MS * 1000);
        let mishaps =
            Mishaps::of(seed, BEGINS_MS * 1000, schedule.mishaps_per_mille, super::schedule::CRASHES_MAX);
        let partitions: BTreeSet<u32> = (0..workload.partitions).collect();
        let around = StandIns::new(
            workload.topology.clone(),
            clock.clone(),
            Claims::default(),
            &BTreeMap::from([("ticks".to_owned(), partitions)]),
            Chance::of(seed),
            mishaps.clone(),
        );
        around.declare("history", workload.declared.clone());
        let mut stage = Stage {
            workload,
            around,
            clock,
            processes: Vec::new(),
            starts: Vec::new(),
            heals: Vec::new(),
            backup: None,
            rolled: Vec::new(),
            gentle: schedule.is_gentle(),
            watch: Watch::new(workload),
            trace: Vec::new(),
        };
        for node in 0..schedule.nodes {
            stage.processes.push(None);
            stage.start(node);
        }
        stage.perform(schedule).await;
        mishaps.stop();
        stage.make_well().await;
        let idles = schedule.end == End::DrainWhenIdle && schedule.nodes == 1;
        if let (true, Some(process)) = (idles, &stage.processes[0]) {
            // It shall find out by itself when that is.
            process.handle.drain_when_idle(IDLE_FOR).await;
        }
        let decided = stage.settle().await;
        let mut outcomes = stage.end(schedule.end).await;
        outcomes.append(&mut stage.rolled);
        let Stage { around, mut watch, mut trace, .. } = stage;
        let events = std::mem::take(&mut watch.events);
        trace.extend(mishaps.struck());
        trace.push(format!("{:?} questions; {:?}", mishaps.asked(), around.positions()));
        let calm = schedule.acts.is_empty() && schedule.mishaps_per_mille == 0;
        Seen { around, watch, decided, calm, outcomes, trace, events }
    })
}

impl Stage<'_> {
    fn start(&mut self, node: usize) {
        let around = self.around.seen_by(node, Claims::default());
        // What kills an actor kills it in the first process only: another one may be spared.
        if self.watch.starts == node {
            for (actor, partition, offset) in self.workload.deadly() {
                around.poison(actor, partition, offset);
            }
        }
        self.watch.starts += 1;
        let settings = Settings { node: format!("node{node}").as_str().into(), ..Settings::default() };
        let application = around.application(settings).unwrap();
        let handle = application.handle();
        let outcome = Rc::new(RefCell::new(None));
        let ended = outcome.clone();
        let run = async move {
            let outcome = application.run().await;
            *ended.borrow_mut() = Some(outcome);
        };
        let task = task::spawn("process", run);
        self.processes[node] = Some(Process { around, handle, outcome, heard: Cell::new(0), _task: task });
    }

    /// Sends what is sent, and does what is done, until nothing more is.
    async fn perform(&mut self, schedule: &Schedule) {
        let began = self.clock.now();
        let mut acts = schedule.acts.iter().peekable();
        let records = self.workload.records.clone();
        let mut records = records.iter().peekable();
        while self.clock.now() < began + LASTS {
            let now = self.clock.now().duration_since(began);
            while let Some(sent) = records.next_if(|sent| sent.at <= now) {
                self.send(sent);
            }
            while let Some((_, act)) = acts.next_if(|(at, _)| *at <= now) {
                self.trace.push(format!("{:>10.3}s {act:?}", now.as_secs_f64()));
                self.act(act).await;
            }
            self.look();
            let due = [records.peek().map(|sent| sent.at), acts.peek().map(|(at, _)| *at)];
            let next = due.into_iter().flatten().min().unwrap_or(LASTS).min(now + LOOK_EVERY);
            self.clock.sleep(next.saturating_sub(now).max(Duration::from_millis(1))).await;
        }
        // Some acts take long; what is left to send is sent all the same.
        for sent in records {
            self.send(sent);
        }
    }

    fn send(&self, sent: &Sent) {
        let feed = self.around.feed("ticks").unwrap();
        match sent.fate {
            Fate::Marker => feed.mark(sent.partition),
            _ => drop(feed.send(sent.message())),
        }
    }

    async fn act(&mut self, act: &Act) {
        let now = self.clock.now();
        match *act {
            Act::Crash { node, actor, how } => {
                if let Some(process) = &self.processes[node] {
                    process.around.crash(actor, how);
                }
            }
            Act::Restart { node, actor, times } => {
                for _ in 0..times {
                    if let Some(process) = &self.processes[node] {
                        // One that has ended is not started again.
                        let _ = process.handle.restart_actor(actor).await;
                    }
                    self.clock.sleep(RESTART_EVERY).await;
                }
            }
            Act::Trouble { actor, what, lasting } => {
                self.around.set_trouble(actor, Some(what)).unwrap();
                self.heals.push((now + lasting, actor));
            }
            Act::Kill { node, down } => self.kill(node, down).await,
            Act::Roll { node } => self.roll(node).await,
            Act::HandOver { partition, to, how } => self.around.hand_over("ticks", partition, to, how),
            Act::Usurp { partition } => self.around.usurp("ticks", partition),
            Act::BackUp => self.backup = Some(self.around.back_up()),
            Act::FailOver => {
                if let Some(backup) = self.backup.take() {
                    self.around.fail_over(backup);
                }
            }
        }
    }

    /// What a process holds is dropped where it stands.
    async fn kill(&mut self, node: usize, down: Duration) {
        if let Some(process) = self.processes[node].take() {
            self.watch.listen(&process.handle, &process.heard);
            process.handle.abort().await;
            self.starts.push((self.clock.now() + down, node));
        }
    }

    /// Drains a process while the others go on; whatever comes of it in the midst of trouble, a new one follows.
    async fn roll(&mut self, node: usize) {
        if let Some(process) = self.processes[node].take() {
            process.handle.drain().await;
            let outcome = self.ended(&process).await;
            if self.gentle {
                self.rolled.push(outcome);
            }
            self.watch.listen(&process.handle, &process.heard);
            process.handle.abort().await;
            self.starts.push((self.clock.now(), node));
        }
    }

    /// Waits for the end of a process that was told to drain.
    async fn ended(&self, process: &Process) -> Option<Outcome> {
        let began = self.clock.now();
        while process.outcome.borrow().is_none() && self.clock.now() < began + ENDING_MAX {
            self.clock.sleep(Duration::from_millis(20)).await;
        }
        process.outcome.borrow_mut().take()
    }

    /// Bounds, and what is due by itself.
    fn look(&mut self) {
        let now = self.clock.now();
        for process in self.processes.iter().flatten() {
            self.watch.look(&process.handle);
            self.watch.listen(&process.handle, &process.heard);
        }
        let due = |at: &tokio::time::Instant| *at <= now;
        for (_, actor) in self.heals.extract_if(.., |(at, _)| due(at)).collect::<Vec<_>>() {
            self.around.set_trouble(actor, None).unwrap();
        }
        for (_, node) in self.starts.extract_if(.., |(at, _)| due(at)).collect::<Vec<_>>() {
            self.start(node);
        }
    }

    /// Nothing is wrong any more: every node is up, every store well, every partition has an owner that is up.
    async fn make_well(&mut self) {
        self.trace.push(format!("{:>10.3}s all is well", LASTS.as_secs_f64()));
        for (at, _) in &mut self.starts {
            *at = self.clock.now();
        }
        for (at, _) in &mut self.heals {
            *at = self.clock.now();
        }
        self.look();
    }

    /// Whether everything comes to be decided.
    async fn settle(&mut self) -> bool {
        let began = self.clock.now();
        let mut rounds_left = HEALS_MAX;
        while self.clock.now() < began + SETTLING_MAX {
            self.clock.sleep(LOOK_EVERY).await;
            self.look();
            let up = || self.processes.iter().flatten();
            let all_done = up().all(|process| process.has_ended() || process.is_quiet());
            if all_done && self.around.is_at_end() {
                return true;
            }
            let heals = up().any(Process::leaves_to_the_next);
            let all_ended = up().all(Process::has_ended) && self.starts.is_empty();
            if all_done && heals && rounds_left > 0 {
                // Of a best-effort branch that was full, or away: the next start heals it.
                rounds_left -= 1;
                for node in 0..self.processes.len() {
                    self.kill(node, Duration::ZERO).await;
                }
            } else if all_ended {
                break;
            }
        }
        for process in self.processes.iter().flatten() {
            self.watch.undecided(&process.handle, &self.around);
        }
        false
    }

    async fn end(&mut self, end: End) -> Vec<Option<Outcome>> {
        let mut outcomes = Vec::new();
        for process in self.processes.iter_mut().filter_map(Option::take).collect::<Vec<_>>() {
            match end {
                End::Drain => process.handle.drain().await,
                End::DrainWhenIdle => process.handle.drain_when_idle(IDLE_FOR).await,
            }
            outcomes.push(self.ended(&process).await);
            self.watch.listen(&process.handle, &process.heard);
            process.handle.abort().await;
            // The partitions of one that has left go to one that is there.
            self.around.hand_over("ticks", None, 0, Handover::Sudden);
        }
        outcomes
    }
}
