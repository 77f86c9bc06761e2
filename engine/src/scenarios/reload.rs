//! Reload: only what changed restarts, whatever fails leaves the old graph at work, and every record is written once.

use super::support::*;
use crate::batch::{Batch, PartitionKey};
use crate::claim::{ClaimRequest, LogRange, SinkIdentity};
use crate::testing::{Commit, MemoryOffsets};
use crate::{Class, Clock, Error, Handle, OffsetStore, ReloadError};
use aqueduct_topology::model::{Policy, Strategy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Offsets with the mark of who wrote them.
type Written = Vec<(i64, &'static str)>;

/// A log without end, a store of offsets, and what each sink has written: all that outlives actors here.
#[derive(Clone)]
struct Ground {
    offsets: MemoryOffsets,
    written: Arc<Mutex<BTreeMap<String, Written>>>,
    journal: Journal,
    /// How long a sink takes to write.
    pace: Duration,
}

impl Ground {
    fn new() -> Self {
        Self {
            offsets: MemoryOffsets::new(Vec::new(), i64::MAX),
            written: Arc::default(),
            journal: Journal::default(),
            pace: Duration::ZERO,
        }
    }

    /// Reads a record a millisecond, from where `sinks` are.
    fn ticks(&self, sinks: &[&str]) -> Behaviour {
        let identity =
            |id: &&str| SinkIdentity { id: (*id).into(), adopts: None, target: (*id).into(), required: true };
        let offsets = self.offsets.with_sinks(sinks.iter().map(identity).collect());
        let journal = self.journal.clone();
        behaviour(move |cx| {
            let (offsets, journal) = (offsets.clone(), journal.clone());
            Box::pin(async move {
                journal.note("+ticks");
                loop {
                    let log = LogRange { start: 0, end: i64::MAX, initial: 0 };
                    let requests = [ClaimRequest { key: key(), log, begun: false }];
                    let claim = offsets.claim(&requests).await?.remove(0);
                    cx.claims.insert(claim.clone());
                    let mut offset = claim.start;
                    while cx.claims.take_rewinds("ticks").is_empty() {
                        if cx.status.stopping() || cx.status.is_draining() {
                            journal.note("-ticks");
                            return Ok(());
                        }
                        let mut batch = record(offset);
                        batch.origin.epoch = claim.epoch;
                        cx.ledger.read(&batch.origin, &batch.raw);
                        cx.push(batch).await?;
                        offset += 1;
                        cx.clock.sleep(Duration::from_millis(1)).await;
                    }
                    journal.note("claimed anew");
                }
            })
        })
    }

    /// Hands on every batch, marked with `rules`.
    fn trades(&self, rules: &'static str) -> Behaviour {
        let journal = self.journal.clone();
        behaviour(move |cx| {
            let journal = journal.clone();
            Box::pin(async move {
                journal.note(format!("+trades {rules}"));
                while let Some(lease) = cx.lease().await {
                    cx.push(Batch::clone(&lease)).await?;
                    lease.settle();
                }
                Ok(())
            })
        })
    }

    /// Writes every batch and its offset, as the writer does it: together.
    fn sink(&self, mark: &'static str) -> Behaviour {
        let ground = self.clone();
        behaviour(move |cx| {
            let ground = ground.clone();
            Box::pin(async move {
                let name = cx.identity.name.to_string();
                ground.journal.note(format!("+{name} {mark}"));
                while let Some(lease) = cx.lease().await {
                    let key = lease.origin.key.clone();
                    let claim = cx.claims.get(&key).filter(|claim| claim.epoch == lease.origin.epoch);
                    let Some(claim) = claim else {
                        lease.settle();
                        continue;
                    };
                    cx.clock.sleep(ground.pace).await;
                    let positions = ground.offsets.positions().await?;
                    let stored = positions.iter().find(|one| *one.sink == *name && one.key == key);
                    let previous = stored.map_or(claim.start, |stored| stored.next_offset);
                    let (first, next) = (lease.origin.first, lease.origin.next);
                    assert!(first <= previous, "{name}: a gap before {first}, stored {previous}");
                    if next > previous {
                        let sink = name.as_str().into();
                        let (epoch, owner) = (claim.epoch, claim.owner);
                        let commit = Commit { sink, key, epoch, owner, previous, next };
                        ground.offsets.commit(&[commit]).expect("its claim holds");
                        ground.written.lock().unwrap().entry(name.clone()).or_default().push((first, mark));
                    }
                    cx.settle_written(lease);
                }
                Ok(())
            })
        })
    }

    fn line(&self, rules: &'static str, mark: &'static str) -> World {
        World::line(self.ticks(&["history"]), self.trades(rules), self.sink(mark))
    }

    fn count(&self, sink: &str) -> usize {
        self.written.lock().unwrap().get(sink).map_or(0, Vec::len)
    }

    /// Waits until so many more records are in `sink`.
    async fn goes_on(&self, handle: &Handle, sink: &str) {
        let before = self.count(sink);
        until(handle, "records go on", |_| self.count(sink) > before + 20).await;
    }

    /// Every record once, in order.
    fn check(&self, sink: &str) {
        let written = self.written.lock().unwrap();
        let offsets: Vec<_> = written[sink].iter().map(|(offset, _)| *offset).collect();
        let all: Vec<_> = (offsets[0]..).take(offsets.len()).collect();
        assert_eq!(offsets, all, "{sink}");
    }

    fn marks(&self, sink: &str) -> Vec<&'static str> {
        let mut marks: Vec<_> = self.written.lock().unwrap()[sink].iter().map(|(_, mark)| *mark).collect();
        marks.dedup();
        marks
    }
}

fn key() -> PartitionKey {
    record(0).origin.key
}

fn restarts(handle: &Handle, actor: &str) -> u64 {
    handle.observe(actor).unwrap().restarts
}

/// Runs `line` to a drain, with `play` in the middle; every record read is accounted for.
async fn play<F, Fut>(ground: &Ground, world: World, play: F)
where
    F: FnOnce(Handle) -> Fut,
    Fut: Future<Output = ()>,
{
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        ground.goes_on(&handle, "history").await;
        play(handle.clone()).await;
        ground.goes_on(&handle, "history").await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    for row in &outcome.ledger {
        assert_eq!((row.unaccounted, row.in_flight), (0, 0), "{row:?}");
    }
    ground.check("history");
}

#[tokio::test(start_paused = true)]
async fn only_what_changed_restarts() {
    let ground = Ground::new();
    let next = ground.line("old", "new").next(&["history"], 1);
    play(&ground, ground.line("old", "old"), async |handle| {
        assert_eq!(handle.reload(next).await, Ok(2));
        assert_eq!(["ticks", "trades", "history"].map(|actor| restarts(&handle, actor)), [0, 0, 1]);
        assert_eq!(handle.registry().generation(), 2);
        assert_eq!(handle.registry().canonical(), serde_json::json!(1));
    })
    .await;
    assert_eq!(ground.marks("history"), ["old", "new"]);
    assert_eq!(ground.journal.count("claimed anew"), 0, "nothing was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_sink_comes_and_goes() {
    let ground = Ground::new();
    let both = || {
        World::line(ground.ticks(&["history", "audit"]), ground.trades("same"), ground.sink("same")).sink(
            "audit",
            "trades",
            ground.sink("audit"),
        )
    };
    let (more, less) = (both().next(&["ticks"], 1), ground.line("same", "same").next(&["ticks"], 2));
    play(&ground, ground.line("same", "same"), async |handle| {
        assert_eq!(handle.reload(more).await, Ok(2));
        assert_eq!(restarts(&handle, "history"), 0, "it is what it was");
        assert_eq!(restarts(&handle, "trades"), 1, "it has another reader");
        ground.goes_on(&handle, "audit").await;
        let decide = || {
            let positions = handle.registry().ledger().positions();
            positions.into_iter().map(|position| position.sink.0).collect::<Vec<_>>()
        };
        assert_eq!(decide(), [0, 1], "a fate takes both of them");
        assert_eq!(handle.reload(less).await, Ok(3));
        assert_eq!(decide(), [0]);
        assert!(handle.observe("audit").is_none());
        assert_eq!(handle.registry().supervisors()[0].children.len(), 4);
    })
    .await;
    ground.check("audit");
    assert!(ground.written.lock().unwrap()["audit"][0].0 > 0, "a new sink begins where the others are");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_hold_is_taken_back() {
    let ground = Ground::new();
    let crash = behaviour(|_| Box::pin(async { Err(Error::new(Class::Bug, "cannot write")) }));
    let waits = behaviour(|cx| {
        Box::pin(async {
            let missing = async || Err::<(), _>(Error::new(Class::Config, "no table `trades`"));
            cx.until_ok(secs(1), missing).await.or(Ok(()))
        })
    });
    let crashing = ground.line("new", "new").behaving("history", crash).next(&["trades", "history"], 1);
    let waiting = ground.line("new", "new").behaving("history", waits).next(&["trades", "history"], 1);
    play(&ground, ground.line("old", "old"), async |handle| {
        for (next, why) in [(crashing, "cannot write"), (waiting, "no table `trades`")] {
            let Err(ReloadError::RolledBack(reason)) = handle.reload(next).await else {
                panic!("it holds: {why}")
            };
            assert!(reason.contains("`history`") && reason.contains(why), "{reason}");
            assert_eq!(handle.registry().generation(), 1);
            ground.goes_on(&handle, "history").await;
        }
        assert_eq!(restarts(&handle, "ticks"), 0);
    })
    .await;
    assert_eq!(ground.marks("history"), ["old"]);
    assert_eq!(ground.journal.lines().last().unwrap(), "-ticks");
}

/// It takes longer than the proof to find out that it cannot work: somebody waits for it, so nobody calls that proven.
#[tokio::test(start_paused = true)]
async fn who_has_shown_nothing_yet_is_waited_for() {
    let ground = Ground::new();
    let slow = behaviour(|cx| {
        Box::pin(async {
            cx.clock.sleep(secs(5)).await;
            Err(Error::new(Class::Bug, "cannot write"))
        })
    });
    let next = ground.line("old", "new").behaving("history", slow).next(&["history"], 1);
    play(&ground, ground.line("old", "old"), async |handle| {
        let Err(ReloadError::RolledBack(reason)) = handle.reload(next).await else { panic!("it holds") };
        assert!(reason.contains("cannot write"), "{reason}");
    })
    .await;
    assert_eq!(ground.marks("history"), ["old"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_does_not_take_it_back() {
    let ground = Ground::new();
    let away = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let sink = {
        let (inner, away) = (ground.sink("new"), away.clone());
        behaviour(move |cx| {
            let (inner, away) = (inner.clone(), away.clone());
            Box::pin(async move {
                let asked = async || match away.load(std::sync::atomic::Ordering::SeqCst) {
                    true => Err(Error::new(Class::Transient, "no answer")),
                    false => Ok(()),
                };
                cx.until_ok(secs(1), asked).await?;
                inner(cx).await
            })
        })
    };
    let next = ground.line("old", "new").behaving("history", sink).next(&["history"], 1);
    play(&ground, ground.line("old", "old"), async |handle| {
        assert_eq!(handle.reload(next).await, Ok(2));
        assert_eq!(state(&handle, "history"), "waiting");
        away.store(false, std::sync::atomic::Ordering::SeqCst);
    })
    .await;
    assert_eq!(ground.marks("history"), ["old", "new"]);
}

/// A link that goes is worked off first: nothing has to be read again.
#[tokio::test(start_paused = true)]
async fn what_can_be_worked_off_is() {
    let ground = Ground { pace: Duration::from_millis(5), ..Ground::new() };
    let wide = |actor: &mut aqueduct_topology::model::Actor| actor.link.batches = 64;
    let next = ground.line("new", "new").with(wide).next(&["trades", "history"], 1);
    play(&ground, ground.line("old", "old"), async |handle| {
        let full = |handle: &Handle| handle.observe("history").unwrap().inputs[0].ratio >= 1.0;
        until(&handle, "its link is full", full).await;
        assert_eq!(handle.reload(next).await, Ok(2));
    })
    .await;
    assert_eq!(ground.marks("history"), ["old", "new"]);
    assert_eq!(ground.journal.count("claimed anew"), 0);
}

/// The sink waits for somebody to change something, its link is full, and the link cannot stay: what is on it is given up
/// and read again.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_worked_off_is_read_again() {
    let ground = Ground::new();
    let stuck = Arc::new(tokio::sync::Notify::new());
    let sink = {
        let (inner, stuck) = (ground.sink("old"), stuck.clone());
        behaviour(move |cx| {
            let (inner, stuck) = (inner.clone(), stuck.clone());
            Box::pin(async move {
                let status = cx.status.clone();
                let wait = async {
                    stuck.notified().await;
                    status.waiting(&Error::new(Class::Config, "no table"));
                };
                tokio::select! {
                    ended = inner(cx) => return ended,
                    () = wait => {}
                }
                status.stopped().await;
                Ok(())
            })
        })
    };
    let wide = |actor: &mut aqueduct_topology::model::Actor| actor.link.batches = 64;
    let next = ground.line("new", "new").with(wide).next(&["trades", "history"], 1);
    let world = ground.line("old", "old").behaving("history", sink);
    play(&ground, world, async |handle| {
        stuck.notify_one();
        until(&handle, "its link is full", |handle| {
            handle.observe("history").unwrap().inputs[0].ratio >= 1.0
        })
        .await;
        assert_eq!(handle.reload(next).await, Ok(2));
        assert_eq!(restarts(&handle, "ticks"), 0);
    })
    .await;
    assert_eq!(ground.marks("history"), ["old", "new"]);
    assert_eq!(ground.journal.count("claimed anew"), 1);
}

/// What an actor has begun it finishes by the rules it began with, although its output is full when it is told to go.
#[tokio::test(start_paused = true)]
async fn what_was_begun_is_finished() {
    let ground = Ground::new();
    let hold = Arc::new(tokio::sync::watch::Sender::new(false));
    let trades = {
        let journal = ground.journal.clone();
        behaviour(move |cx| {
            let journal = journal.clone();
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    let pushed = cx.push(Batch::clone(&lease)).await;
                    if pushed.is_err() {
                        journal.note("cut");
                    }
                    pushed?;
                    lease.settle();
                }
                journal.note("finished");
                Ok(())
            })
        })
    };
    let history = {
        let (inner, hold) = (ground.sink("same"), hold.clone());
        behaviour(move |cx| {
            let (inner, hold) = (inner.clone(), hold.clone());
            Box::pin(async move {
                let _ = hold.subscribe().wait_for(|held| !held).await;
                inner(cx).await
            })
        })
    };
    let world = ground.line("old", "same").behaving("trades", trades).behaving("history", history.clone());
    let next = ground.line("new", "same").behaving("history", history).next(&["trades"], 1);
    play(&ground, world, async |handle| {
        hold.send_replace(true);
        handle.restart_actor("history").await.unwrap();
        until(&handle, "its output is full", |handle| {
            handle.observe("history").unwrap().inputs[0].ratio >= 1.0
        })
        .await;
        let (reloaded, ()) = tokio::join!(handle.reload(next), async {
            tokio::time::sleep(secs(1)).await;
            hold.send_replace(false);
        });
        assert_eq!(reloaded, Ok(2));
    })
    .await;
    assert_eq!((ground.journal.count("finished"), ground.journal.count("cut")), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_watches_whom_changes_without_a_restart() {
    let ground = Ground::new();
    let poke = Arc::new(tokio::sync::Notify::new());
    let crasher = {
        let (inner, poke) = (ground.trades("same"), poke.clone());
        behaviour(move |cx| {
            let (inner, poke) = (inner.clone(), poke.clone());
            Box::pin(async move {
                tokio::select! {
                    ended = inner(cx) => ended,
                    () = poke.notified() => Err(Error::new(Class::Transient, "poked")),
                }
            })
        })
    };
    let world = || ground.line("same", "same").behaving("trades", crasher.clone());
    let grouped = world().supervisor("ingest", &["trades", "history"], |ingest| {
        ingest.strategy = Strategy::OneForAll;
    });
    let (next, back) = (grouped.next(&[], 1), world().next(&[], 2));
    play(&ground, world(), async |handle| {
        assert_eq!(handle.reload(next).await, Ok(2));
        let all = ["dead_letter", "ticks", "trades", "history"];
        assert_eq!(all.map(|actor| restarts(&handle, actor)), [0; 4]);
        poke.notify_one();
        until(&handle, "the group restarts", |handle| restarts(handle, "history") == 1).await;
        until(&handle, "all are up", |handle| handle.registry().not_ready().is_empty()).await;
        assert_eq!(handle.reload(back).await, Ok(3));
        assert_eq!(all.map(|actor| restarts(&handle, actor)), [0, 0, 1, 1]);
        poke.notify_one();
        until(&handle, "it alone restarts", |handle| restarts(handle, "trades") == 2).await;
        assert_eq!(restarts(&handle, "history"), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_crashes_again_and_again_is_replaced() {
    let ground = Ground::new();
    let crash = behaviour(|_| Box::pin(async { Err(Error::new(Class::Transient, "cannot")) }));
    let tireless = |root: &mut aqueduct_topology::model::Supervisor| root.intensity = 1000;
    let next = ground.line("new", "new").root(tireless).next(&["trades"], 1);
    let world = ground.line("old", "old").root(tireless).behaving("trades", crash);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "it crashes", |handle| restarts(handle, "trades") > 5).await;
        assert_eq!(handle.reload(next).await, Ok(2));
        ground.goes_on(&handle, "history").await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    ground.check("history");
}

#[tokio::test(start_paused = true)]
async fn one_reload_at_a_time_and_none_while_it_ends() {
    let ground = Ground::new();
    let line = || ground.line("new", "new");
    let (first, second, third) =
        (line().next(&["trades"], 1), line().next(&["trades"], 1), line().next(&["trades"], 2));
    let other = line().with(|history| history.policy = Policy::BestEffort).next(&["history"], 9);
    play(&ground, ground.line("old", "old"), async |handle| {
        let (one, two) = tokio::join!(handle.reload(first), handle.reload(second));
        assert_eq!((one, two), (Ok(2), Err(ReloadError::Busy)));
        assert_eq!(handle.reload(other).await, Err(ReloadError::Busy), "compared with another generation");
        let (third, ()) = tokio::join!(handle.reload(third), async {
            until(&handle, "it has begun", |handle| state(handle, "trades") != "running").await;
            handle.stop_actor("history").await.unwrap();
            handle.start_actor("history").await.unwrap();
        });
        assert_eq!(third, Ok(3), "an operator's word waits for its end");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_operators_stop_outlives_it() {
    let ground = Ground::new();
    let next = ground.line("old", "new").next(&["history"], 1);
    play(&ground, ground.line("old", "old"), async |handle| {
        handle.stop_actor("history").await.unwrap();
        until(&handle, "it is down", |handle| state(handle, "history") == "stopped").await;
        assert_eq!(handle.reload(next).await, Ok(2));
        assert_eq!(state(&handle, "history"), "stopped");
        handle.start_actor("history").await.unwrap();
    })
    .await;
    assert_eq!(ground.marks("history"), ["old", "new"]);
}

/// A drain that comes meanwhile waits for the reload, which is soon over.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_it() {
    let ground = Ground::new();
    let clock = Clock::simulated(0);
    let next = ground.line("new", "new").next(&["trades", "history"], 1);
    let outcome =
        perform(ground.line("old", "old").builder().clock(clock).build().unwrap(), async |handle| {
            ground.goes_on(&handle, "history").await;
            let (reloaded, ()) = tokio::join!(handle.reload(next), async {
                until(&handle, "it has begun", |handle| state(handle, "trades") != "running").await;
                handle.drain().await;
            });
            assert!(matches!(reloaded, Ok(2) | Err(ReloadError::Refused(_))), "{reloaded:?}");
        })
        .await;
    assert_eq!(outcome.exit_code, 0, "{outcome:?}");
    ground.check("history");
}
