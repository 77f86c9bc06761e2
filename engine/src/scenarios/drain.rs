//! How an application ends.

use super::support::*;
use crate::lifecycle::{EXIT_CUT, EXIT_OK};
use crate::{Class, Error, Settings};
use aqueduct_topology::model::Policy;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes one batch and waits for a database that never comes back.
fn away() -> Behaviour {
    behaviour(|cx| {
        Box::pin(async move {
            let _held = cx.lease().await;
            let attempt = async || Err::<(), _>(Error::new(Class::Transient, "the database is away"));
            let _ = cx.until_ok(secs(1), attempt).await;
            Ok(())
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_drain_finishes_in_data_order_and_loses_nothing() {
    let journal = Journal::default();
    let world = World::line(source(100), pass(&journal), sink(&journal));
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "under way", |_| journal.count("history 3") == 1).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_OK, "{:?}", outcome.reasons);
    let lines = journal.lines();
    assert_eq!(lines[lines.len() - 2..], ["trades done", "history done"]);
    let row = &outcome.ledger[0];
    assert_eq!(row.read, lines.len() as u64 - 2, "what was read was written");
    assert_eq!((row.in_flight, row.unaccounted), (0, 0), "{row:?}");
}

#[tokio::test(start_paused = true)]
async fn a_branch_that_waits_ends_the_drain_at_once_with_a_manifest() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), away());
    let clock = crate::Clock::system();
    let before = clock.now();
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "waiting", |handle| state(handle, "history") == "waiting").await;
        tokio::time::sleep(secs(2)).await;
        handle.drain().await;
    })
    .await;
    assert!(clock.now().duration_since(before) < secs(10), "the deadline is not waited out");
    assert_eq!(outcome.exit_code, EXIT_CUT);
    assert_eq!(outcome.reasons.last().unwrap(), "`history` is waiting: the database is away");
    assert_eq!(outcome.manifest.len(), 1);
    assert_eq!((outcome.manifest[0].source.as_ref(), outcome.manifest[0].in_flight), ("ticks", 3));
}

#[tokio::test(start_paused = true)]
async fn a_best_effort_branch_that_waits_is_left_behind() {
    let journal = Journal::default();
    let world = World::line(source(3), pass(&journal), sink(&journal))
        .sink("cache", "trades", away())
        .with(|cache| cache.policy = Policy::BestEffort);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "waiting", |handle| state(handle, "cache") == "waiting").await;
        tokio::time::sleep(secs(2)).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_OK, "{:?}", outcome.reasons);
    assert_eq!(journal.count("history done"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_a_drain() {
    let journal = Journal::default();
    let slow = behaviour(|cx| {
        Box::pin(async move {
            let _held = cx.lease().await;
            std::future::pending().await
        })
    });
    let world = World::line(source(1), pass(&journal), slow);
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "read", |handle| handle.registry().ledger().totals().read == 1).await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_CUT);
    assert!(
        outcome.reasons.last().unwrap().contains("deadline passed before history finished"),
        "{outcome:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn data_that_ends_ends_the_application() {
    let journal = Journal::default();
    let replay = behaviour(|cx| {
        Box::pin(async move {
            for offset in 0..20 {
                let batch = record(offset);
                cx.ledger.read(&batch.origin, &batch.raw);
                cx.push(batch).await?;
            }
            Ok(())
        })
    });
    let world = World::line(replay, pass(&journal), sink(&journal));
    let outcome = perform(world.builder().build().unwrap(), async |_| {}).await;
    assert_eq!(outcome.exit_code, EXIT_OK);
    assert_eq!(outcome.ledger[0].read, 20);
    assert_eq!(journal.count("history 19"), 1);
    assert_eq!(journal.count("trades done"), 1, "nobody whose data ended is started again");
}

#[tokio::test(start_paused = true)]
async fn idle_long_enough_drains_by_itself() {
    let journal = Journal::default();
    let world = World::line(source(10), pass(&journal), sink(&journal));
    let clock = crate::Clock::system();
    let before = clock.now();
    let outcome =
        perform(world.builder().build().unwrap(), async |handle| handle.drain_when_idle(secs(5)).await).await;
    assert_eq!(outcome.exit_code, EXIT_OK);
    assert!(clock.now().duration_since(before) >= secs(5));
    assert_eq!(journal.count("history 9"), 1);
}

fn raise_sigterm() {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_ends_at_once() {
    let journal = Journal::default();
    let slow = behaviour(|cx| {
        Box::pin(async move {
            let _held = cx.lease().await;
            std::future::pending().await
        })
    });
    let world = World::line(source(2), pass(&journal), slow);
    let settings = Settings { signals: true, ..Settings::default() };
    let outcome = perform(world.builder().settings(settings).build().unwrap(), async |handle| {
        until(&handle, "read", |handle| handle.registry().ledger().totals().read == 2).await;
        raise_sigterm();
        until(&handle, "draining", |handle| state(handle, "ticks") == "finished").await;
        raise_sigterm();
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_CUT);
    assert_eq!(outcome.reasons, ["drained: SIGTERM", "SIGTERM while draining"]);
    assert_eq!(outcome.manifest[0].in_flight, 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_crashed_while_draining_comes_back_to_drain() {
    let journal = Journal::default();
    let first = Arc::new(AtomicBool::new(true));
    let crashes = behaviour(move |cx| {
        let first = first.clone();
        Box::pin(async move {
            cx.status.draining().await;
            assert!(!first.swap(false, Ordering::SeqCst), "the first life ends here");
            Ok(())
        })
    });
    let world = World::line(crashes, pass(&journal), sink(&journal));
    let outcome = perform(world.builder().build().unwrap(), async |handle| {
        until(&handle, "up", |handle| state(handle, "history") == "running").await;
        handle.drain().await;
    })
    .await;
    assert_eq!(outcome.exit_code, EXIT_OK, "{:?}", outcome.reasons);
    assert_eq!(journal.lines(), ["trades done", "history done"]);
}
