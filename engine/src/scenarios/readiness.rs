//! Readiness tells the truth: each fault is told within the promised time, and so is its end; health is never doubted.
//!
//! In virtual time, asked every 50 ms as a probe would. What the probe answers is made of these same words.

use super::support::*;
use crate::batch::PartitionKey;
use crate::limits::READINESS_TELLS_WITHIN;
use crate::registry::{NotReady, Phase};
use crate::{Class, Error, Handle, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const ASK_EVERY: Duration = Duration::from_millis(50);

/// Set while the fault lasts.
#[derive(Clone, Default)]
struct Fault(Arc<AtomicBool>);

impl Fault {
    fn set(&self, lasts: bool) {
        self.0.store(lasts, Ordering::SeqCst);
    }

    fn lasts(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns once it is over.
    async fn over(&self) {
        while self.lasts() {
            sleep(ASK_EVERY).await;
        }
    }
}

/// The first entry of `actor` among those who are not ready, in time.
async fn named(handle: &Handle, actor: &str) -> NotReady {
    let begin = Instant::now();
    loop {
        let entries = handle.registry().not_ready();
        if let Some(entry) = entries.into_iter().find(|entry| &*entry.actor == actor) {
            assert!(!entry.reason.is_empty() && entry.since_us >= 0, "{entry:?}");
            return entry;
        }
        assert!(begin.elapsed() < READINESS_TELLS_WITHIN, "`{actor}` is not named");
        sleep(ASK_EVERY).await;
    }
}

/// Returns once everybody is ready, in time.
async fn ready(handle: &Handle) {
    let begin = Instant::now();
    while handle.registry().phase() != Phase::Running || !handle.registry().not_ready().is_empty() {
        let entries = handle.registry().not_ready();
        assert!(begin.elapsed() < READINESS_TELLS_WITHIN, "{entries:?}");
        sleep(ASK_EVERY).await;
    }
}

/// Whether everybody stays ready for so long.
async fn stays_ready(handle: &Handle, lasting: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < lasting {
        let entries = handle.registry().not_ready();
        assert!(entries.is_empty(), "after {:?}: {entries:?}", begin.elapsed());
        sleep(ASK_EVERY).await;
    }
}

/// Plays a fault of `actor` twice, and sees that it is told and forgotten each time.
async fn play(world: World, actor: &str, fault: &Fault) -> Vec<NotReady> {
    let mut told = Vec::new();
    perform(world.builder().build().unwrap(), async |handle| {
        ready(&handle).await;
        stays_ready(&handle, secs(8)).await;
        for _ in 0..2 {
            let before = handle.registry().clock.wall_us();
            fault.set(true);
            let entry = named(&handle, actor).await;
            let late = entry.since_us - before;
            assert!((0..=2_000_000).contains(&late), "since the fault, not since it was told: {late} us");
            told.push(entry);
            fault.set(false);
            ready(&handle).await;
            stays_ready(&handle, secs(3)).await;
        }
        handle.stop().await;
    })
    .await;
    told
}

/// Ten batches a second, for ever.
fn trickle() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            for offset in 0.. {
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
                let status = cx.status.clone();
                tokio::select! {
                    () = sleep(Duration::from_millis(100)) => {}
                    () = status.stopped() => break,
                }
            }
            Ok(())
        })
    })
}

/// Settles what comes, unless the fault lasts: then it does `meanwhile` first.
fn faulty<F>(fault: &Fault, meanwhile: F) -> Behaviour
where
    F: for<'a> Fn(&'a mut crate::Context, Fault) -> futures::future::LocalBoxFuture<'a, Result<(), Error>>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let fault = fault.clone();
    behaviour(move |cx| {
        let (fault, meanwhile) = (fault.clone(), meanwhile.clone());
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                if fault.lasts() {
                    meanwhile(cx, fault.clone()).await?;
                }
                cx.settle_written(lease);
            }
            Ok(())
        })
    })
}

fn line(history: Behaviour) -> World {
    World::line(trickle(), pass(&Journal::default()), history)
}

#[tokio::test(start_paused = true)]
async fn an_outage() {
    let fault = Fault::default();
    let world = line(faulty(&fault, |cx, fault| {
        Box::pin(async move {
            cx.until_ok(secs(1), async || match fault.lasts() {
                true => Err(Error::new(Class::Transient, "connect to db:5432: refused")),
                false => Ok(()),
            })
            .await
        })
    }));
    for entry in play(world, "history", &fault).await {
        assert_eq!((entry.state, &*entry.reason), ("waiting", "connect to db:5432: refused"));
    }
}

/// An answer on the way to work, such as a lease of a name before a group is joined, is not yet work.
#[tokio::test(start_paused = true)]
async fn an_answer_before_the_last_one() {
    let fault = Fault::default();
    let world = line(faulty(&fault, |cx, fault| {
        Box::pin(async move {
            cx.status.waiting(&Error::new(Class::Transient, "joining group `g`"));
            cx.until_answered(secs(1), async || Ok(())).await?;
            fault.over().await;
            cx.status.running();
            Ok(())
        })
    }));
    for entry in play(world, "history", &fault).await {
        assert_eq!((entry.state, &*entry.reason), ("waiting", "joining group `g`"));
    }
}

/// A server that takes the request and never answers.
#[tokio::test(start_paused = true)]
async fn a_black_hole_in_the_middle_of_a_request() {
    let fault = Fault::default();
    let world = line(faulty(&fault, |_, fault| {
        Box::pin(async move {
            fault.over().await;
            Ok(())
        })
    }));
    for entry in play(world, "history", &fault).await {
        assert_eq!(entry.state, "stalled");
        assert!(entry.reason.contains("wait on its links and none is settled"), "{}", entry.reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fence() {
    let fault = Fault::default();
    let world = line(faulty(&fault, |cx, fault| {
        Box::pin(async move {
            cx.status.set(State::Fenced { reason: "partition 2 has another owner".into() });
            fault.over().await;
            cx.status.running();
            Ok(())
        })
    }));
    for entry in play(world, "history", &fault).await {
        assert_eq!((entry.state, &*entry.reason), ("fenced", "partition 2 has another owner"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_and_the_wait_before_the_next_start() {
    let crash = Arc::new(AtomicBool::new(false));
    let crashes = {
        let crash = crash.clone();
        behaviour(move |cx| {
            let crash = crash.clone();
            Box::pin(async move {
                while let Some(lease) = cx.lease().await {
                    assert!(!crash.swap(false, Ordering::SeqCst), "index out of bounds");
                    cx.settle_written(lease);
                }
                Ok(())
            })
        })
    };
    let world = World::line(trickle(), pass(&Journal::default()), crashes)
        .root(|root| root.backoff.initial = secs(2));
    perform(world.builder().build().unwrap(), async |handle| {
        ready(&handle).await;
        crash.store(true, Ordering::SeqCst);
        let entry = named(&handle, "history").await;
        assert_eq!(entry.state, "backoff");
        assert!(entry.reason.contains("index out of bounds"), "{}", entry.reason);
        ready(&handle).await;
        stays_ready(&handle, secs(3)).await;
        handle.stop().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_operators_stop_and_a_drain() {
    let world = World::line(source(0), pass(&Journal::default()), sink(&Journal::default()));
    perform(world.builder().build().unwrap(), async |handle| {
        ready(&handle).await;
        handle.stop_actor("trades").await.unwrap();
        let entry = named(&handle, "trades").await;
        assert_eq!(entry.state, "stopped");
        assert!(entry.reason.contains("/start starts it"), "{}", entry.reason);
        handle.start_actor("trades").await.unwrap();
        ready(&handle).await;
        let before = handle.registry().clock.wall_us();
        handle.drain().await;
        until(&handle, "draining", |handle| handle.registry().phase() != Phase::Running).await;
        let phase = handle.registry().phase_view();
        assert!(phase.since_us >= before && !phase.reason.is_empty(), "{phase:?}");
    })
    .await;
}

/// Four partitions that are read, each second a record; while the fault lasts, the third is not.
fn four_partitions(fault: &Fault) -> Behaviour {
    let fault = fault.clone();
    behaviour(move |cx| {
        let fault = fault.clone();
        Box::pin(async move {
            let topic: Arc<str> = "md".into();
            let status = cx.status.clone();
            for end in 1_i64.. {
                for partition in 0..4 {
                    status.lag().log(&topic, partition, 0, end);
                    if !(partition == 2 && fault.lasts()) {
                        status.lag().passed(&topic, partition, end);
                    }
                }
                status.progressed();
                tokio::select! {
                    () = sleep(Duration::from_millis(500)) => {}
                    () = status.stopped() => break,
                }
            }
            Ok(())
        })
    })
}

#[tokio::test(start_paused = true)]
async fn one_partition_of_four_that_stands_still() {
    let fault = Fault::default();
    let world = World::new().source("ticks", four_partitions(&fault));
    for entry in play(world, "ticks", &fault).await {
        assert_eq!(entry.state, "stalled");
        assert!(entry.reason.starts_with("partition 2 of md: "), "{}", entry.reason);
    }
}

/// Bursts and pauses, a slow sink with full links before it, and an empty line: nothing of it is a fault.
#[tokio::test(start_paused = true)]
async fn health_is_never_doubted() {
    let bursts = behaviour(|cx| {
        Box::pin(async move {
            let status = cx.status.clone();
            for offset in 0.. {
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
                let key = PartitionKey { source: "ticks".into(), topic: "md".into(), partition: 0 };
                status.lag().log(&key.topic, 0, 0, (offset / 40 + 1) * 40);
                status.lag().passed(&key.topic, 0, offset + 1);
                status.progressed();
                if offset % 40 == 39 {
                    sleep(secs(15)).await;
                }
                if status.stopping() {
                    break;
                }
            }
            Ok(())
        })
    });
    let slow = behaviour(|cx| {
        Box::pin(async move {
            while let Some(lease) = cx.lease().await {
                sleep(secs(2)).await;
                cx.settle_written(lease);
            }
            Ok(())
        })
    });
    let world = World::line(bursts, pass(&Journal::default()), slow);
    perform(world.builder().build().unwrap(), async |handle| {
        ready(&handle).await;
        stays_ready(&handle, secs(300)).await;
        handle.stop().await;
    })
    .await;
}
